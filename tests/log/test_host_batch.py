"""Deciding over the overlay: what one record does to the others, and what reaches the store."""

from typing import Any

import msgspec
import pytest
from account import letter_of, rates, value
from batches import NOW_MS, a_store, committed, decided, fired, record, said, worked_off
from hypothesis import given
from hypothesis import strategies as st

from dispatch.log import envelope
from dispatch.log.application import Deadline
from dispatch.log.batch import LARGEST, Batch
from dispatch.log.errors import Aborted, Misconfigured


def test_commands_of_one_batch_see_each_other_and_the_store_sees_none_before_the_commit() -> None:
    store = a_store()
    outcome = decided(store, record(0, value("a", "1", n=2)), record(1, value("a", "2", n=3)))
    assert [event["balance"] for event in said(outcome, "events")] == [2, 5]
    assert store.get("a").state.balance == 0
    assert sum(message.topic == "state" for message in outcome.messages) == 1


def test_a_command_seen_before_is_answered_again_and_changes_nothing() -> None:
    store = a_store()
    committed(store, record(0, value("a", "1")))
    outcome = committed(store, record(1, value("a", "1")), record(2, value("a", "2")))
    assert [event["op"] for event in said(outcome, "events")] == ["repeat", "add"]
    assert store.get("a").state.balance == 2


def test_a_command_whose_needs_changed_under_an_earlier_one_asks_again() -> None:
    asked: list[Any] = []

    def lookup(needs: Any) -> Any:
        asked.append(list(needs))
        return rates(needs)

    bodies = [value("a", str(number), "deposit") for number in range(3)]
    outcome = decided(a_store(), *(record(number, body) for number, body in enumerate(bodies)), lookup=lookup)
    assert [event["balance"] for event in said(outcome, "events")] == [1, 3, 7]
    assert asked == [[("rate", 0)], [("rate", 1)], [("rate", 3)]]


def test_the_needs_of_a_batch_are_asked_for_in_one_round_trip() -> None:
    asked: list[Any] = []

    def lookup(needs: Any) -> Any:
        asked.append(list(needs))
        return rates(needs)

    store = a_store()
    committed(store, record(0, value("b", "0", n=5), "b"))
    decided(store, record(1, value("a", "1", "deposit")), record(2, value("b", "2", "deposit"), "b"), lookup=lookup)
    assert asked == [[("rate", 0), ("rate", 5)]]


@pytest.mark.parametrize("op", ["add", "deposit"])
def test_a_lookup_that_fails_is_tried_again_and_is_no_fault_of_the_command(op: str) -> None:
    def down(_needs: Any) -> Any:
        raise ConnectionError("nobody answers")

    with pytest.raises(Aborted, match="nobody answers"):
        decided(a_store(), record(0, value("a", "0", op)), record(1, value("a", "1", "deposit")), lookup=down)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"{}", "account"),
        (value("b", "x"), "it is for b"),
        (value("a", "x", "raise"), "asked to raise"),
        (value("a", "x", "needs_raises"), "cannot say"),
        (value("a", "x", "unwritable"), "no form"),
        (value("a", "x", "grow", LARGEST), "state of"),
    ],
)
def test_a_poison_record_is_set_aside_with_its_cause_and_the_rest_goes_on(body: bytes, reason: str) -> None:
    store = a_store()
    outcome = committed(store, record(0, value("a", "0")), record(1, body), record(2, value("a", "2")),
                        record(3, value("c", "3"), "c"))  # fmt: skip
    letters = said(outcome, "letters")
    assert [letter["offset"] for letter in letters] == [1]
    assert reason in letters[0]["reason"]
    assert [event["balance"] for event in said(outcome, "events")] == [1, 2, 1]
    assert store.get("a").state.balance == 2
    assert outcome.batch.dead_letters == 1


def test_a_command_that_cannot_say_what_it_needs_is_set_aside() -> None:
    outcome = decided(a_store(), record(0, value("a", "0", "needs_raises")), record(1, value("a", "1")))
    assert [letter["reason"] for letter in said(outcome, "letters")] == ["cannot say what it needs"]
    assert [event["balance"] for event in said(outcome, "events")] == [1]


def test_a_record_stamped_in_the_future_is_refused() -> None:
    outcome = decided(a_store(), record(0, value("a", "0"), stamp_ms=NOW_MS + 5_001),
                      record(1, value("a", "1"), stamp_ms=NOW_MS + 5_000))  # fmt: skip
    assert [letter["reason"] for letter in said(outcome, "letters")] == ["stamped 5.0 s in the future; at most 5 s"]
    assert len(said(outcome, "events")) == 1


def test_time_never_runs_backwards_within_an_aggregate() -> None:
    store = a_store()
    committed(store, record(0, value("a", "0"), stamp_ms=NOW_MS))
    outcome = committed(store, record(1, value("a", "1"), stamp_ms=NOW_MS - 900), wall_ms=NOW_MS - 900)
    assert said(outcome, "events")[0]["now_ms"] == NOW_MS


def test_a_timer_is_never_decided_before_its_moment_even_if_the_clock_stepped_back() -> None:
    store = a_store()
    committed(store, record(0, value("a", "0", "arm", NOW_MS + 900)))
    outcome = fired(store, Deadline("alarm", NOW_MS + 900), wall_ms=NOW_MS - 5_000)
    assert [event["now_ms"] for event in said(outcome, "events")] == [NOW_MS + 900]


def test_a_timer_that_was_overtaken_in_its_own_batch_has_no_effect() -> None:
    store = a_store()
    committed(store, record(0, value("a", "0", "arm", NOW_MS)))
    batch = Batch(rates, letter_of, NOW_MS)
    batch.prepare([record(1, value("a", "1", "disarm"))], {("commands", 0): store}, {})
    batch.add_timer(store, "a", Deadline("alarm", NOW_MS))
    assert [event["op"] for event in said(worked_off(batch), "events")] == ["disarm"]


def test_the_messages_of_an_aggregate_come_together_and_the_states_last() -> None:
    outcome = decided(a_store(), record(0, value("a", "0")), record(1, value("b", "1"), "b"),
                      record(2, value("a", "2", "unwritable")), record(3, value("a", "3")))  # fmt: skip
    topics = [message.topic for message in outcome.messages]
    assert topics == ["events", "letters", "events", "events", "state", "state"]


def test_a_timer_that_makes_no_command_is_set_aside_and_the_others_fire() -> None:
    store = a_store()
    committed(store, record(0, value("a", "0", "arm", NOW_MS)), record(1, value("a", "1", "arm_broken", NOW_MS)))
    outcome = fired(store, Deadline("broken", NOW_MS), Deadline("alarm", NOW_MS))
    assert outcome.batch.dead_letters == 1
    assert [event["op"] for event in said(outcome, "events")] == ["fired"]


def test_a_forgotten_aggregate_leaves_a_tombstone_and_begins_anew() -> None:
    store = a_store()
    committed(store, record(0, value("a", "0", n=7)))
    outcome = committed(store, record(1, value("a", "1", "close")))
    assert [message.value for message in outcome.messages if message.topic == "state"] == [None]
    assert len(store) == 0
    assert said(committed(store, record(2, value("a", "2"))), "events")[0]["balance"] == 1


def test_a_state_of_a_format_from_the_future_stops_the_process_and_sets_nothing_aside() -> None:
    store = a_store()
    store.restored("a", envelope.dump(envelope.Envelope(99, 0, (), (), b"")))
    with pytest.raises(Misconfigured, match="newer release"):
        decided(store, record(0, value("a", "0")))


@given(st.lists(st.tuples(st.text(), st.integers(0, 2**53), st.text())), st.integers(0, 2**53), st.binary())
def test_what_is_kept_of_an_aggregate_reads_back_as_it_was(timers: Any, now_ms: int, state: bytes) -> None:
    kept = envelope.Envelope(envelope.WRITTEN, now_ms, tuple(timers), ((b"0" * 16, b"done"),), state, tuple(timers[:2]))
    assert msgspec.to_builtins(envelope.load(envelope.dump(kept))) == msgspec.to_builtins(kept)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-5, 5), st.booleans()), max_size=30), st.data())
def test_cutting_the_records_into_batches_anywhere_gives_the_same_events_and_states(rows: Any, data: Any) -> None:
    records = [
        record(number, value(account, str(number), "raise" if bad else "add", n), account)
        for number, (account, n, bad) in enumerate(rows)
    ]
    whole, cut = a_store(), a_store()
    at_once = committed(whole, *records)
    piecewise: list[Any] = []
    left = records
    while left:
        size = data.draw(st.integers(1, len(left)))
        piecewise += said(committed(cut, *left[:size]), "events")
        left = left[size:]
    for name in "abc":  # the order between aggregates is nobody's
        assert of(name, said(at_once, "events")) == of(name, piecewise)
    assert [(name, whole.get(name).state) for name in "abc"] == [(name, cut.get(name).state) for name in "abc"]


def of(account: str, events: list[Any]) -> list[Any]:
    return [event for event in events if event["account"] == account]
