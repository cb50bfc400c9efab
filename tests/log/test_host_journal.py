"""Finding the one record that kills every process that takes it."""

from pathlib import Path

import pytest

from dispatch.log.application import Deadline, Record
from dispatch.log.journal import FileOfJournal, Journal, Taken


def record(offset: int, partition: int = 0) -> Taken:
    return Taken("commands", partition, offset)


def timer(aggregate_id: str, at_ms: int = 5) -> Taken:
    return Taken("commands", 0, aggregate_id=aggregate_id, deadline=Deadline("alarm", at_ms))


def dies_with(path: Path, *taken: Taken) -> None:
    """A process takes these and is never heard of again."""
    journal = Journal(FileOfJournal(path))
    journal.take(taken)
    journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "slot-0.json"


def test_a_record_is_deadly_after_three_deaths_at_it_alone(path: Path) -> None:
    for deaths in range(3):
        assert not Journal(FileOfJournal(path)).is_deadly(record(7)), deaths
        dies_with(path, record(7))
    assert Journal(FileOfJournal(path)).is_deadly(record(7))
    assert not Journal(FileOfJournal(path)).is_deadly(record(8))


def test_a_batch_in_which_a_process_died_is_taken_one_by_one(path: Path) -> None:
    dies_with(path, record(1), record(2), record(3))
    journal = Journal(FileOfJournal(path))
    assert journal.suspicious
    for offset in (1, 2, 3):
        assert journal.suspicious
        journal.take([record(offset)])
        journal.done([record(offset)])
    assert not journal.suspicious


def test_one_that_was_handled_well_is_no_longer_suspected(path: Path) -> None:
    dies_with(path, record(1))
    journal = Journal(FileOfJournal(path))
    journal.take([record(1)])
    journal.done([record(1)])
    journal.close()
    assert not Journal(FileOfJournal(path)).suspicious


def test_what_was_committed_before_the_death_does_not_keep_the_worker_slow(path: Path) -> None:
    dies_with(path, record(1), record(2), record(3, partition=1))
    journal = Journal(FileOfJournal(path))
    journal.settle(lambda _taken: False)
    assert not journal.suspicious


def test_what_was_not_committed_stays_suspected_and_its_deaths_counted(path: Path) -> None:
    for _ in range(3):
        dies_with(path, record(7))
    journal = Journal(FileOfJournal(path))
    journal.settle(lambda taken: taken.offset >= 7)
    assert journal.is_deadly(record(7))


@pytest.mark.parametrize("at", [record(7), timer("a")])
def test_a_death_with_nothing_in_hand_is_no_death_at_what_is_suspected(path: Path, at: Taken) -> None:
    for _ in range(2):
        dies_with(path, at)
    for _ in range(3):
        journal = Journal(FileOfJournal(path))
        journal.take([record(1)])
        journal.done([record(1)])
        journal.close()
    assert Journal(FileOfJournal(path)).suspicious
    assert not Journal(FileOfJournal(path)).is_deadly(at)


def test_a_timer_is_deadly_after_three_deaths_of_which_the_first_may_be_with_others(path: Path) -> None:
    dies_with(path, record(1), timer("a"), timer("b"))
    for _ in range(2):
        assert not Journal(FileOfJournal(path)).is_deadly(timer("a"))
        dies_with(path, timer("a"))
    assert Journal(FileOfJournal(path)).is_deadly(timer("a"))
    assert not Journal(FileOfJournal(path)).is_deadly(timer("a", at_ms=6))
    assert not Journal(FileOfJournal(path)).is_deadly(timer("b"))


def test_a_file_torn_by_the_death_is_no_reason_to_stop(path: Path) -> None:
    dies_with(path, record(1))
    path.write_text('{"in_hand": [["comm')
    assert not Journal(FileOfJournal(path)).suspicious


def test_without_a_path_nothing_is_remembered() -> None:
    journal = Journal(None)
    journal.take([record(1)])
    assert not journal.suspicious
    journal.close()


def test_a_suspect_is_handled_alone_and_what_lies_before_it_together(path: Path) -> None:
    dies_with(path, record(1, partition=1), record(2, partition=1))
    journal = Journal(FileOfJournal(path))
    read = [
        Record("commands", number, offset, 0, None, None) for number, offset in ((0, 7), (0, 8), (1, 1), (1, 2), (0, 9))
    ]
    assert journal.room(2_000) == 1, "a suspect may be the next"
    assert journal.parted(read[:1]) == (read[:1], [])
    assert journal.room(2_000) == 100
    assert journal.parted(read) == (read[:2], read[2:])
    assert journal.parted(read[2:]) == (read[2:3], read[3:])
    assert journal.room(2_000) == 1
    journal.settle(lambda _taken: False)
    assert journal.room(2_000) == 2_000
    assert journal.parted(read) == (read, [])
    assert journal.parted([]) == ([], [])


def test_of_many_a_fiftieth_is_handled_at_a_time_and_after_the_next_death_one(path: Path) -> None:
    dies_with(path, *(record(offset) for offset in range(2_000)))
    read = [Record("commands", 0, offset, 0, None, None) for offset in range(1_990, 2_100)]
    journal = Journal(FileOfJournal(path))
    assert journal.room(2_000) == 41
    assert journal.parted(read[:41]) == (read[:10], read[10:41])
    assert journal.parted(read[10:]) == (read[10:], [])
    dies_with(path, *(record(offset) for offset in range(41)))
    journal = Journal(FileOfJournal(path))
    assert journal.room(2_000) == 1
    assert not journal.is_deadly(record(7))
    for _ in range(2):
        dies_with(path, record(7))
    assert Journal(FileOfJournal(path)).is_deadly(record(7))
