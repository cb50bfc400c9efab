"""Handing over: what one aggregate commands another that is held here is decided in the same batch, in order."""

import json
from typing import Any

import pytest
from account import value
from batches import NOW_MS, Decided, a_store, committed, record, said
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.log.application import Message, Record
from dispatch.log.batch import ROUNDS
from dispatch.log.positions import Positions
from dispatch.log.reach import murmur2
from dispatch.log.store import PartitionStore


def of_both() -> PartitionStore:
    store = a_store()
    committed(store, record(0, value("a", "first", n=10)), record(1, value("b", "first of b", n=10), "b"))
    return store


def pays(name: str, *, then: str = "add", n: int = 1, to: str = "b") -> bytes:
    return value("a", name, "pay", n, to=to, then=then)


def detours(outcome: Decided) -> list[Any]:
    return [json.loads(message.value or b"") for message in outcome.batch.detours]


def balances(store: PartitionStore, *accounts: str) -> list[int]:
    return [store.get(account).state.balance for account in accounts]


def test_what_one_commands_another_that_is_held_here_is_decided_in_the_same_batch() -> None:
    store = of_both()
    outcome = committed(store, record(2, pays("x", n=3)), reach=True)
    assert balances(store, "a", "b") == [7, 13]
    assert [event["account"] for event in said(outcome, "events")] == ["a", "b"]
    assert said(outcome, "commands") == []
    assert outcome.batch.detours == []
    assert sorted(message.key or b"" for message in outcome.messages if message.topic == "state") == [b"a", b"b"]
    assert outcome.batch.decisions == 2


def test_an_aggregate_that_is_answered_in_the_same_batch_is_written_once() -> None:
    store = of_both()
    outcome = committed(store, record(2, value("a", "x", "pay", 3, to="b", then="pay")), reach=True, wall_ms=NOW_MS)
    assert sum(message.topic == "state" and message.key == b"a" for message in outcome.messages) == 1
    versions = [event["version"] for event in said(outcome, "events") if event["account"] == "a"]
    assert versions == list(range(versions[0], versions[0] + len(versions)))


def test_two_that_never_stop_answering_each_other_go_on_by_the_log() -> None:
    store = of_both()
    outcome = committed(store, record(2, value("a", "x", "pay", 1, to="b", then="pay")), reach=True)
    assert outcome.batch.decisions == ROUNDS
    assert len(outcome.batch.detours) == 1


def test_what_is_out_of_reach_goes_by_the_log() -> None:
    store = of_both()
    outcome = committed(store, record(2, pays("x")))
    assert [detour["account"] for detour in detours(outcome)] == ["b"]
    assert balances(store, "a", "b") == [9, 10]


class Door:
    """Records of another topic become commands to the same account."""

    name, topic = "door", "inbound"

    def transform(self, came: Record) -> list[Message]:
        return [Message("commands", came.key, came.value)]


def test_what_comes_through_a_door_does_not_overtake_its_predecessor_that_went_by_the_log_and_is_read_with_it() -> None:
    store = of_both()
    inbound = record(7, value("a", "second", n=1))._replace(topic="inbound")
    outcome = committed(store, inbound, record(2, value("a", "first, by the log", n=5)), reach=True, doors=[Door()])
    assert outcome.batch.detours == []
    assert [event["balance"] for event in said(outcome, "events")] == [15, 16]


def test_one_that_is_not_known_yet_is_handed_to_as_well() -> None:
    store = of_both()
    committed(store, record(2, pays("x", to="nobody")), reach=True)
    assert balances(store, "nobody") == [1]


@pytest.mark.parametrize("then", ["deposit", "raise", "needs_raises"])
def test_what_wants_a_fact_or_fails_goes_by_the_log_and_nothing_overtakes_it(then: str) -> None:
    store = of_both()
    outcome = committed(store, record(2, pays("x", then=then)), record(3, pays("y")), reach=True)
    assert [detour["op"] for detour in detours(outcome)] == [then, "add"]
    assert balances(store, "b") == [10]
    assert outcome.batch.dead_letters == 0


def test_a_state_that_cannot_be_written_sends_only_its_cause_and_what_follows_by_the_log() -> None:
    store = of_both()
    bodies = [pays("x"), pays("y", then="unwritable"), pays("z")]
    outcome = committed(store, *(record(2 + n, body) for n, body in enumerate(bodies)), reach=True)
    assert [detour["op"] for detour in detours(outcome)] == ["unwritable", "add"]
    assert balances(store, "b") == [11]


def test_what_is_handed_over_has_the_time_of_its_cause_and_none_before_its_own_last() -> None:
    store = of_both()
    late = record(2, value("b", "late", n=0), "b", NOW_MS + 4_000)
    outcome = committed(store, record(3, pays("x"), stamp_ms=NOW_MS + 1_000), reach=True)
    assert [event["now_ms"] for event in said(outcome, "events")] == [NOW_MS + 1_000] * 2
    committed(store, late)
    outcome = committed(store, record(4, pays("y"), stamp_ms=NOW_MS + 2_000), reach=True)
    assert [event["now_ms"] for event in said(outcome, "events")] == [NOW_MS + 2_000, NOW_MS + 4_000]


@pytest.mark.no_cover  # each step is one of the host that other tests count
@settings(max_examples=500)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from(["pay", "pay", "add"]), st.sampled_from("abc"),
            st.sampled_from(["add", "deposit", "raise", "unwritable", "pay"]),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_between_two_accounts_what_was_said_first_is_decided_first(script: Any) -> None:
    """Each batch of one record; a detour comes back in a later batch. Reach is the host's: after the last detour."""
    store, at = a_store(), Positions()
    at.took_over(("commands", 0), 0, 0)
    log: list[tuple[str, bytes]] = [
        (who, value(who, f"{n}", op, 1, to=to, then=then)) for n, (who, op, to, then) in enumerate(script)
    ]
    done: dict[tuple[str, str], list[int]] = {}
    offset = 0
    while offset < min(len(log), 60):  # two that pay each other back never stop
        taken = [record(offset + n, body, who) for n, (who, body) in enumerate(log[offset : offset + 2])]
        offsets = at.offsets(taken, [])
        reach = at.has_read_all(("commands", 0), offsets)
        outcome = committed(store, *taken, reach=reach)
        offset += len(taken)
        for message in outcome.batch.detours:
            log.append(((message.key or b"").decode(), message.value or b""))
        at.committed(offsets, {("commands", 0): len(log)} if outcome.batch.detours else {})
        for event in said(outcome, "events"):
            if event.get("by"):
                payer, version = event["by"].split()
                done.setdefault((payer, event["account"]), []).append(int(version))
    for pair, versions in done.items():
        assert versions == sorted(versions), pair


def test_a_partition_is_in_reach_when_it_has_read_all_that_was_sent_to_it() -> None:
    at, place = Positions(), ("commands", 0)
    at.took_over(place, 5, 9)
    assert [at.has_read_all(place, offsets) for offsets in ({}, {place: 8}, {place: 9})] == [False, False, True]
    at.end[place] = 9  # the end of the log lies behind markers, which are no records
    assert at.has_read_all(place, {})
    at.committed({place: 9}, {place: 12})
    assert [at.has_read_all(place, offsets) for offsets in ({}, {place: 12})] == [False, True]


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829), (b"abc", 479470107),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)  # fmt: skip
def test_keys_find_their_partition_as_in_kafka(key: bytes, hashed: int) -> None:
    """The values of Kafka's own UtilsTest."""
    assert murmur2(key) == hashed & 0x7FFFFFFF
