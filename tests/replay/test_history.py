"""What was so at a moment, over time, and why: told from the log alone."""

from typing import Any

import msgspec
import pytest
from city import START_MS, City, an_evening
from msgspec.structs import replace

from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Candidate
from dispatch.core.policy import OfferPolicy, Policy
from dispatch.replay.explaining import explained
from dispatch.replay.history import History, history
from dispatch.replay.moment import Moment, at
from dispatch.replay.policies import Policies
from dispatch.replay.ranking_words import ranked, why_first


def history_in(city: City, name: str, kind: str = "delivery") -> History:
    topic = f"{kind}.events"
    return history(kind, name, city.log["decisions"], city.log[topic], ("decisions", topic))


@pytest.fixture(scope="module")
def evening() -> City:
    return an_evening()


@pytest.fixture
def first(evening: City) -> History:
    return history_in(evening, (evening.log["delivery.commands"][0].key or b"").decode())


def sights(found: Moment | None) -> dict[str, str]:
    assert found is not None
    return {sight.party: " | ".join(sight.sees) for sight in found.sights}


def test_every_decision_stands_with_its_events_and_the_states_round_them(evening: City, first: History) -> None:
    made = [event for entry in first.entries for event in entry.events]
    assert made == list(first.events)
    assert first.entries[0].before.version == 0
    assert first.entries[-1].after == evening.state(first.aggregate_id)
    assert all(one.after == two.before for one, two in zip(first.entries, first.entries[1:], strict=False))


def test_a_moment_within_an_open_offer_says_who_sees_what(first: History) -> None:
    found = at(first, START_MS + 1_000)
    assert found is not None
    assert (found.status, found.phase, found.version) == ("offered", "offered", 5)
    assert found.facts["driver_id"] == "ana"
    assert [(kind, due - START_MS) for kind, due, _ in found.timers] == [
        ("offer_expiry", 30_000),
        ("escalation", 300_000),
    ]
    assert [seen.driver_id for seen in found.candidates] == ["ana", "ben", "cleo"]
    said = sights(found)
    assert "no driver and no place" in said["customer"]
    assert "ana: the offer of Anker" in said["driver"]
    assert "29.0 s left" in said["driver"]
    assert "delivery.created" in said["seller"]
    assert "somebody is asked" in said["operations"]


def test_the_moment_of_an_event_is_after_it_and_the_one_before_is_not(first: History) -> None:
    refused = next(event for event in first.events if isinstance(event, de.DriverRejected))
    before, after = at(first, refused.at_ms - 1), at(first, refused.at_ms)
    assert before is not None
    assert after is not None
    assert before.former == ()
    assert after.former == ("ana",)
    assert "not asked again: ana" in sights(after)["driver"]


def test_while_somebody_holds_it_the_customer_sees_them_and_after_the_end_nobody_does(first: History) -> None:
    assigned = next(event for event in first.events if isinstance(event, de.DriverAssigned))
    said = sights(at(first, assigned.at_ms))
    assert "the driver ben" in said["customer"]
    assert "told driver assigned" in said["customer"]
    assert "with the exact drop-off and the contact" in said["driver"]
    ended = sights(at(first, first.events[-1].at_ms))
    assert "status delivered" in ended["customer"]
    assert "no driver" in ended["customer"]
    assert "delivery.delivered" in ended["seller"]
    assert ended["driver"].startswith("nothing more")


def test_whoever_finds_nobody_is_seen_waiting_by_operations(evening: City) -> None:
    name = next(record.key for record in reversed(evening.log["delivery.events"])) or b""
    known = history_in(evening, name.decode())
    said = sights(at(known, known.events[-1].at_ms))
    assert "level 3" in said["operations"]
    assert "told unassigned critical" in said["operations"]
    assert "told support ticket" in said["operations"]


def test_before_the_first_event_nothing_is_known(first: History) -> None:
    assert at(first, START_MS - 1) is None


def test_a_decision_is_explained_by_rule_facts_and_order(evening: City, first: History) -> None:
    entry = first.decision_at(START_MS)
    assert entry is not None
    found = explained(first.entries[0], Policies(evening.published))
    assert (found.command, found.outcome, found.phase_before) == ("MarkReady", "accepted", "unknown")
    assert found.rule == "dispatch.core.delivery.orders.ready"
    assert found.rule_words == "Dispatch begins. Ready alone is enough."
    assert found.events[-2:] == ("DriverCandidatesFound", "ReservationRequested")
    assert found.same_again
    assert found.candidates[0].driver_id == "ana"
    assert "ana was" in found.why[0]
    assert "the shorter way to the store" in found.why[0]
    assert any("3 free" in fact for fact in found.facts)
    assert msgspec.json.decode(msgspec.json.encode(found))["command_id"] == found.command_id


def test_a_refusal_is_explained_with_its_sentence_and_a_policy_with_what_differs() -> None:
    city = City(Policy(version=3, offer=OfferPolicy(timeout_s=12))).sign_on("ana")
    name = city.ready(1)
    held = city.offer(name)
    city.pass_s(14, 1)
    city.send(dc.RejectOffer, name, **held, reason="no_time")
    city.work()
    known = history_in(city, name)
    found = explained(known.entries[-1], Policies(city.published))
    assert (found.outcome, found.reason) == ("refused", "offer_expired")
    assert found.detail
    assert found.policy_differs == ("offer.timeout_s = 12.0",) or found.policy_differs == ("offer.timeout_s = 12",)
    assert found.actor == "driver ana"


def test_a_drivers_decision_is_explained_too(evening: City) -> None:
    known = history_in(evening, "ana", "driver")
    found = explained(known.entries[0], Policies(evening.published))
    assert (found.command, found.phase_before, found.phase_after) == ("SignOn", "unknown", "AVAILABLE")
    assert found.same_again


def search(*candidates: Candidate) -> Any:
    city = City().sign_on("ana")
    known = history_in(city, city.ready(1))
    event = next(event for event in known.events if isinstance(event, de.DriverCandidatesFound))
    first = event.candidates[0]
    made = tuple(
        replace(first, **{name: getattr(one, name) for name in ("driver_id", "distance_m", "travel_min", "load_min",
                                                                "score", "excluded")})
        for one in candidates
    )  # fmt: skip
    return replace(event, candidates=made)


def candidate(name: str, metres: int, travel: float, load: float = 0.0, excluded: str = "") -> Any:
    city = City().sign_on("ana")
    known = history_in(city, city.ready(1))
    event: Any = next(event for event in known.events if isinstance(event, de.DriverCandidatesFound))
    return replace(event.candidates[0], driver_id=name, distance_m=metres, travel_min=travel, load_min=load,
                   rating_min=0.0, fairness_min=0.0, score=travel + load, excluded=excluded)  # fmt: skip


def test_why_the_nearer_one_was_not_taken_is_said() -> None:
    event = search(
        candidate("far", 2_000, 6.0),
        candidate("busy", 900, 3.0, load=8.0),
        candidate("former", 100, 1.0, excluded="former_driver"),
    )
    said = why_first(event)
    assert said[0].startswith("far was 5.00 min before busy: the lighter load (8.00), against busy's the shorter way")
    assert "busy was 1,100 m nearer; the above outweighed it" in said
    assert "former, 1,900 m nearer, was not asked: had it before, or refused it" in said
    assert [seen.place for seen in ranked(event)] == [1, 2, 3]
