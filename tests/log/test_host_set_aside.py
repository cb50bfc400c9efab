"""What is set aside for good, in which form it is kept, and what bounds it."""

import msgspec
import pytest
from account import value
from batches import NOW_MS, a_store, committed, decided, fired, record, restored, said, taken

from dispatch.config import Settings
from dispatch.log import envelope
from dispatch.log.application import Deadline
from dispatch.log.envelope import REMEMBERED_BYTES
from dispatch.log.errors import BadRecord
from dispatch.log.settings import HostSettings


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("poison", "asked to raise"), ("unclear", "what the timer needs"), ("broken", "no command")],
)
def test_a_poison_timer_is_set_aside_once_and_does_not_come_again_after_a_restart(kind: str, reason: str) -> None:
    store, poison = a_store(), Deadline(kind, NOW_MS)
    committed(store, record(0, value("a", "0", f"arm_{kind}", NOW_MS)))
    outcome = taken(fired(store, poison))
    assert [reason in letter["reason"] for letter in said(outcome, "letters")] == [True]
    for known in (store, restored(outcome)):
        assert known.next_due_ms(NOW_MS) is None
        after = restored(committed(known, record(1, value("a", "1"))))
        assert after.next_due_ms(NOW_MS) is None, "set again by the next step"
        assert after.get("a").set_aside == (poison,)
        assert fired(after, poison).messages == []


def test_a_timer_at_which_the_process_died_is_set_aside_undecided_and_the_others_fire() -> None:
    store, deadly = a_store(), Deadline("deadly", NOW_MS)
    committed(store, record(0, value("a", "0", "arm_deadly", NOW_MS)), record(1, value("a", "1", "arm", NOW_MS)))
    outcome = taken(fired(store, deadly, fault=BadRecord("died")))
    assert [letter["reason"] for letter in said(outcome, "letters")] == ["died"]
    assert [event["op"] for event in said(fired(store, deadly, Deadline("alarm", NOW_MS)), "events")] == ["fired"]


def test_a_deadline_set_aside_is_forgotten_when_the_state_no_longer_wants_it() -> None:
    store = a_store()
    committed(store, record(0, value("a", "0", "arm_poison", NOW_MS)))
    taken(fired(store, Deadline("poison", NOW_MS)))
    committed(store, record(1, value("a", "1", "disarm")))
    assert store.get("a").set_aside == ()


def test_a_poison_timer_that_was_overtaken_is_not_set_aside() -> None:
    store = a_store()
    committed(store, record(0, value("a", "0", "arm_broken", NOW_MS)))
    committed(store, record(1, value("a", "1", "disarm")))
    assert fired(store, Deadline("broken", NOW_MS)).messages == []


def test_a_store_written_in_format_1_is_read_and_written_on_in_2() -> None:
    store = restored(committed(a_store(), record(0, value("a", "0", "arm_poison", NOW_MS)), written=1))
    assert store.next_due_ms(NOW_MS) == NOW_MS
    outcome = fired(store, Deadline("poison", NOW_MS))
    assert envelope.load(outcome.messages[-1].value or b"").format == 2


def test_with_format_1_chosen_nothing_is_written_that_a_reader_of_format_1_cannot_read() -> None:
    class First(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
        format: int
        now_ms: int
        deadlines: tuple[tuple[str, int, str], ...]
        recent: tuple[tuple[bytes, bytes], ...]
        state: bytes

    store = a_store()
    outcomes = [
        committed(store, record(0, value("a", "0", "arm_poison", NOW_MS)), written=1),
        taken(fired(store, Deadline("poison", NOW_MS), written=1)),
        committed(store, record(1, value("a", "1")), written=1),
    ]
    kept = [msgspec.msgpack.decode(outcome.messages[-1].value or b"", type=First) for outcome in outcomes]
    assert [(one.format, one.deadlines) for one in kept] == [(1, (("poison", NOW_MS, ""),)), (1, ()), (1, ())]


def test_the_form_written_is_the_newest_unless_the_setting_says_another_that_is_read() -> None:
    assert Settings.model_fields["state_format"].default == HostSettings("", "").state_format == envelope.WRITTEN
    assert max(envelope.READ) == envelope.WRITTEN
    for wrong in (min(envelope.READ) - 1, max(envelope.READ) + 1):
        with pytest.raises(ValueError, match="state_format"):
            Settings(state_format=wrong)


def test_what_is_remembered_of_commands_is_bounded_in_bytes_and_the_oldest_goes_first() -> None:
    store = a_store()
    half = REMEMBERED_BYTES // 2
    committed(store, *(record(number, value("a", str(number), "outcome", half)) for number in range(3)))
    outcome = decided(store, record(3, value("a", "1")), record(4, value("a", "2")), record(5, value("a", "0")))
    assert [event["op"] for event in said(outcome, "events")] == ["repeat", "repeat", "add"]


def test_a_command_with_an_outcome_too_large_to_be_remembered_is_set_aside() -> None:
    outcome = decided(a_store(), record(0, value("a", "0", "outcome", REMEMBERED_BYTES + 1)))
    reasons = [letter["reason"] for letter in said(outcome, "letters")]
    assert reasons == ["leads to an outcome of 4097 bytes; 4096 at most"]
    assert said(outcome, "events") == []
