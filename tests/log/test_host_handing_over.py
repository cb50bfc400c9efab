"""Handing over: what one aggregate commands another that is held here is decided in the same batch, in order."""

import json
from typing import Any

import pytest
from account import value
from batches import NOW_MS, Decided, a_store, committed, record, said
from hypothesis import given
from hypothesis import strategies as st

from dispatch.log.batch import ROUNDS
from dispatch.log.positions import Positions
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
    outcome = committed(store, record(2, pays("x", n=3)), reach=(store,))
    assert balances(store, "a", "b") == [7, 13]
    assert [event["account"] for event in said(outcome, "events")] == ["a", "b"]
    assert said(outcome, "commands") == []
    assert outcome.batch.detours == []
    assert sorted(message.key or b"" for message in outcome.messages if message.topic == "state") == [b"a", b"b"]
    assert outcome.batch.decisions == 2


def test_an_aggregate_that_is_answered_in_the_same_batch_is_written_once() -> None:
    store = of_both()
    outcome = committed(store, record(2, value("a", "x", "pay", 3, to="b", then="pay")), reach=(store,), wall_ms=NOW_MS)
    assert sum(message.topic == "state" and message.key == b"a" for message in outcome.messages) == 1
    versions = [event["version"] for event in said(outcome, "events") if event["account"] == "a"]
    assert versions == list(range(versions[0], versions[0] + len(versions)))


def test_two_that_never_stop_answering_each_other_go_on_by_the_log() -> None:
    store = of_both()
    outcome = committed(store, record(2, value("a", "x", "pay", 1, to="b", then="pay")), reach=(store,))
    assert outcome.batch.decisions == ROUNDS
    assert len(outcome.batch.detours) == 1


@pytest.mark.parametrize("to", ["b", "nobody"])
def test_what_is_out_of_reach_or_unknown_goes_by_the_log(to: str) -> None:
    store = of_both()
    outcome = committed(store, record(2, pays("x", to=to)), reach=() if to == "b" else (store,))
    assert [detour["account"] for detour in detours(outcome)] == [to]
    assert balances(store, "a", "b") == [9, 10]


@pytest.mark.parametrize("then", ["deposit", "raise", "needs_raises"])
def test_what_wants_a_fact_or_fails_goes_by_the_log_and_nothing_overtakes_it(then: str) -> None:
    store = of_both()
    outcome = committed(store, record(2, pays("x", then=then)), record(3, pays("y")), reach=(store,))
    assert [detour["op"] for detour in detours(outcome)] == [then, "add"]
    assert balances(store, "b") == [10]
    assert outcome.batch.dead_letters == 0


def test_a_state_that_cannot_be_written_sends_only_its_cause_and_what_follows_by_the_log() -> None:
    store = of_both()
    bodies = [pays("x"), pays("y", then="unwritable"), pays("z")]
    outcome = committed(store, *(record(2 + n, body) for n, body in enumerate(bodies)), reach=(store,))
    assert [detour["op"] for detour in detours(outcome)] == ["unwritable", "add"]
    assert balances(store, "b") == [11]


def test_what_is_handed_over_has_the_time_of_its_cause_and_none_before_its_own_last() -> None:
    store = of_both()
    late = record(2, value("b", "late", n=0), "b", NOW_MS + 4_000)
    outcome = committed(store, record(3, pays("x"), stamp_ms=NOW_MS + 1_000), reach=(store,))
    assert [event["now_ms"] for event in said(outcome, "events")] == [NOW_MS + 1_000] * 2
    committed(store, late)
    outcome = committed(store, record(4, pays("y"), stamp_ms=NOW_MS + 2_000), reach=(store,))
    assert [event["now_ms"] for event in said(outcome, "events")] == [NOW_MS + 2_000, NOW_MS + 4_000]


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
        reach = at.reach(["commands"], {("commands", 0): store}, offsets)
        outcome = committed(store, *taken, reach=tuple(reach["commands"]))
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
    at, store, place = Positions(), a_store(), ("commands", 0)

    def reached(offsets: dict[tuple[str, int], int]) -> bool:
        return at.reach(["commands"], {place: store}, offsets) == {"commands": [store]}

    at.took_over(place, 5, 9)
    assert [reached({}), reached({place: 8}), reached({place: 9})] == [False, False, True]
    at.end[place] = 9  # the end of the log lies behind markers, which are no records
    assert reached({})
    at.committed({place: 9}, {place: 12})
    assert [reached({}), reached({place: 12})] == [False, True]
