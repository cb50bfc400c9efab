"""A timer at T fires only when the partition has consumed every record stamped before T."""

from typing import Any

from account import Accounts, application
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st

from dispatch.log.application import Deadline
from dispatch.log.settings import HostSettings
from dispatch.log.store import Live, PartitionStore
from dispatch.log.worker import Worker

PLACE = ("commands", 0)


class Polled:
    """What the client gives: a record, or the end of the partition."""

    def __init__(self, offset: int, stamp_ms: int, end: bool = False) -> None:
        self._offset, self._stamp_ms, self._end = offset, stamp_ms, end

    def error(self) -> Any:
        return KafkaError(KafkaError._PARTITION_EOF) if self._end else None

    def topic(self) -> str:
        return PLACE[0]

    def partition(self) -> int:
        return PLACE[1]

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, self._stamp_ms

    def key(self) -> bytes:
        return b"a"

    def value(self) -> bytes:
        return b""


class Partition:
    """A partition whose stamps rise, its consumer, and a worker that reads it; all timers from 1 to 40 are open."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.stamps: list[int] = []
        self.position = self.committed = 0
        self.fired: set[int] = set()
        self.store = PartitionStore(Accounts(), 0)
        deadlines = tuple(Deadline("alarm", at_ms) for at_ms in range(1, 41))
        self.store.put("a", b"", Live(None, deadlines=deadlines))
        self.worker = Worker(HostSettings("", ""), application(""), clock_ms=lambda: self.now_ms)
        self.worker._stores, self.worker._owned = {PLACE: self.store}, {PLACE}
        self.worker._at.next[PLACE] = 0
        self.worker._consumer = self.worker._asker = self  # type: ignore[assignment]

    def get_watermark_offsets(self, _place: Any, **_: Any) -> tuple[int, int]:
        return 0, len(self.stamps)

    def seek(self, place: Any) -> None:
        self.position = place.offset

    def append(self, count: int) -> None:
        self.stamps += [self.now_ms] * count

    def poll(self, count: int) -> None:
        for _ in range(count):
            if self.position < len(self.stamps):
                self.worker._note(Polled(self.position, self.stamps[self.position]), [])  # type: ignore[arg-type]
                self.position += 1
            else:
                self.worker._note(Polled(self.position, 0, end=True), [])  # type: ignore[arg-type]

    def commit(self) -> None:
        self.worker._at.next[PLACE] = self.committed = self.position

    def abort(self) -> None:
        self.worker._seek(*PLACE)

    def fire(self) -> None:
        for _, timers in self.worker._due([]):
            for _, deadline in timers:
                missed = [stamp for stamp in self.stamps[self.position :] if stamp < deadline.at_ms]
                assert not missed, f"{deadline.at_ms} fired, records stamped {missed} were not consumed"
                assert deadline.at_ms <= self.now_ms
                assert deadline.at_ms not in self.fired
                self.fired.add(deadline.at_ms)


moves = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["append", "poll"]), st.integers(1, 3)),
        st.tuples(st.just("pass"), st.integers(1, 5)),
        st.tuples(st.sampled_from(["commit", "abort", "fire"]), st.just(0)),
    ),
    max_size=60,
)


@given(moves)
def test_no_timer_passes_a_record_stamped_before_it_whatever_is_polled_aborted_or_late(steps: Any) -> None:
    partition = Partition()
    for move, count in steps:
        match move:
            case "append":
                partition.append(count)
            case "poll":
                partition.poll(count)
            case "pass":
                partition.now_ms += count
            case "commit":
                partition.commit()
            case "abort":
                partition.abort()
            case "fire":
                partition.fire()
    partition.poll(len(partition.stamps) + 1)
    partition.fire()
    assert partition.fired == set(range(1, min(partition.now_ms, 40) + 1))


def test_a_record_refused_for_its_stamp_does_not_let_timers_pass_what_lies_behind_it() -> None:
    partition = Partition()
    partition.stamps = [1_000_000, 1]
    partition.now_ms = 10
    partition.poll(1)
    partition.fire()
    assert partition.fired == set()


def test_after_an_abort_no_timer_passes_the_records_that_come_again() -> None:
    partition = Partition()
    partition.append(1)
    partition.now_ms = 20
    partition.append(1)
    partition.poll(2)
    partition.abort()
    partition.fire()
    assert partition.fired == set()
