"""What of the events counts for a driver, and that their order between deliveries does not matter."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.shared import OfferTerms
from dispatch.core.driver_score import Tally
from dispatch.streams.driver_scores import COUNTED, Tallies

AT_MS = 1_790_000_000_000
ETA_MS = AT_MS + 600_000
SLACK_MS = 300_000.0
TERMS = OfferTerms(
    store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=1, dropoff_lng=1, pickup_eta_ms=AT_MS,
    delivery_eta_ms=ETA_MS, pickup_distance_m=1330, total_distance_m=4000, earning_minor=489, incentive_minor=0,
    currency="EUR",
)  # fmt: skip


def event(kind: type[Any], delivery: str = "d", at_ms: int = AT_MS, driver: str = "ana", **fields: Any) -> Any:
    header = {"event_id": "e", "version": 1, "at_ms": at_ms, "actor_type": "system", "actor_id": "t",
              "causation_id": "c", "correlation_id": "c", "driver_id": driver}  # fmt: skip
    if kind.__module__ == de.__name__:
        header |= {"delivery_id": delivery}
        header |= {"offer_id": "o"} if "offer_id" in kind.__struct_fields__ else {}
    return kind(**header, **fields)


def assigned(delivery: str, driver: str = "ana") -> Any:
    return event(de.DriverAssigned, delivery, driver=driver, fence=1, how="accepted", terms=TERMS, search_ms=1)


def completed(delivery: str, at_ms: int, driver: str = "ana") -> Any:
    return event(de.DeliveryCompleted, delivery, at_ms, driver, total_ms=1)


def taken_away(delivery: str, reason: str, driver: str = "ana") -> Any:
    return event(
        de.AssignmentReassigned, delivery, driver=driver, reason=reason, assigned_at_ms=AT_MS, attempt_count=1,
        notify_customer=False,
    )  # fmt: skip


def counted(*events: Any) -> dict[str, Tally]:
    tallies = Tallies()
    for one in events:
        tallies.take(one, SLACK_MS)
    assert tallies.changed == set(tallies.drivers)
    return tallies.drivers


def test_answers_and_silence_are_counted_and_what_was_withdrawn_is_not() -> None:
    tally = counted(
        event(de.DriverAccepted, response_ms=1), event(de.DriverRejected, response_ms=1, reason="too_far"),
        event(de.OfferExpired, auto_assigned=True), event(de.OfferExpired, auto_assigned=False),
        event(de.OfferWithdrawn, why="order_cancelled"),
    )["ana"]  # fmt: skip
    assert (tally.accepted, tally.refused, tally.expired, tally.offers) == (1, 1, 2, 4)


def test_on_time_is_by_the_time_told_at_the_assignment_with_some_slack() -> None:
    tally = counted(
        assigned("a"), completed("a", ETA_MS + 300_000), assigned("b"), completed("b", ETA_MS + 300_001),
        completed("never-assigned", AT_MS),
    )["ana"]  # fmt: skip
    assert (tally.completed, tally.on_time, tally.at_ms) == (3, 1, ETA_MS + 300_001)


def test_what_a_driver_gave_up_and_lost_is_told_apart_from_what_an_admin_took() -> None:
    tally = counted(
        taken_away("a", "driver_cancelled"), taken_away("b", "driver_offline"),
        taken_away("c", "driver_distance_too_far"), event(dr.DriverSignedOn, vehicle="car", capacity=1, rating=4.4,
        lat=1, lng=1, offline_at_ms=1),
    )["ana"]  # fmt: skip
    assert (tally.given_up, tally.lost, tally.assignments, tally.rating) == (1, 2, 3, 4.4)
    assert counted(taken_away("d", "admin_forced")) == {}


def test_the_next_driver_is_judged_by_what_was_told_to_them() -> None:
    drivers = counted(
        assigned("a"), taken_away("a", "driver_offline"), completed("a", ETA_MS, "ben"), assigned("b"),
        taken_away("b", "admin_forced"), assigned("b", "ben"), completed("b", ETA_MS, "ben"),
    )  # fmt: skip
    assert (drivers["ben"].completed, drivers["ben"].on_time) == (2, 1)
    assert drivers["ana"].lost == 1


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_between_deliveries_does_not_matter(order: list[str]) -> None:
    lives = {
        "a": [assigned("a"), completed("a", ETA_MS)],
        "b": [assigned("b"), taken_away("b", "driver_cancelled")],
        "c": [assigned("c", "ben"), completed("c", ETA_MS + 10**7, "ben")],
        "d": [event(de.DriverRejected, "d", response_ms=1, reason="other")],
    }
    folded = counted(*(one for name in order for one in lives[name]))
    assert folded == counted(*(one for life in lives.values() for one in life))


def test_every_event_that_is_counted_is_read() -> None:
    assert {de.DriverAccepted, de.OfferExpired, dr.DriverSignedOn} <= set(COUNTED)
    assert de.DriverCandidatesFound not in COUNTED
