"""How a zone is counted: drivers where they are, searches while they last, waits within the window, alerts once."""

from typing import Any

import shapely

from dispatch.contract import identity
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as ve
from dispatch.contract.records.shared import Order
from dispatch.contract.records.system import ZoneHealth
from dispatch.core.policy import ZonePolicy
from dispatch.core.zones import Zone, ZoneTable
from dispatch.streams.waiting import Waiting
from dispatch.streams.zone_health import Change, ZonesLive, quantile

NOW_MS = 1_790_000_000_000
POLICY = ZonePolicy()


def a_zone(name: str, west: float, least: int = 2) -> Zone:
    return Zone(zone_id=name, name=name, priority=3, min_drivers_online=least, target_wait_s=300,
                shape=shapely.box(west, 48, west + 1, 49))  # fmt: skip


TABLE = ZoneTable([a_zone("harbour", 7), a_zone("hill", 8, least=0)], 4)


def event(kind: type[Any], name: str, at_ms: int = NOW_MS, **fields: Any) -> Any:
    key = "delivery_id" if kind.__module__ == de.__name__ else "driver_id"
    header = {"event_id": identity.derived(name), key: name, "version": 1, "at_ms": at_ms, "actor_type": "system"}
    return kind(**header, actor_id="t", causation_id=identity.derived("c"), correlation_id="c", **fields)


class Day:
    """The zones' day, in the domain's words."""

    def __init__(self) -> None:
        self.live, self.now_ms = ZonesLive(), NOW_MS

    def driver(self, name: str, lng: float, word: str = "AVAILABLE") -> None:
        signed = event(
            ve.DriverSignedOn, name, vehicle="car", capacity=1, rating=4.5, lat=48.5, lng=lng, offline_at_ms=1
        )
        self.live.driver_event(signed)
        self.live.driver_event(
            event(ve.DriverAvailabilityChanged, name, from_availability="OFFLINE", to_availability=word, reason="r",
                  duty="working", paused=False, offline=False, pending_break_ms=0, pending_notice_ms=0,
                  pending_end=False, free_capacity=1)
        )  # fmt: skip

    def ready(self, name: str, zone: str = "harbour") -> None:
        order = Order(seller_id="s", seller_order_id=name, store_name="A", pickup_lat=48.5, pickup_lng=7.5,
                      dropoff_lat=48.5, dropoff_lng=7.6, order_value_minor=1, delivery_fee_minor=1, currency="EUR",
                      placed_at_ms=self.now_ms)  # fmt: skip
        self.live.delivery_event(event(de.DeliveryCreated, name, order=order, order_digest="", remember_ms=1))
        started = event(
            de.AssignmentStarted, name, self.now_ms, driver_offers=True, reassignment=True, escalation=True,
            radius_m=5_000, level_1_ms=1, level_2_ms=2, level_3_ms=3, policy_version=1, zone=zone,
        )  # fmt: skip
        self.live.delivery_event(started)

    def assigned(self, name: str) -> None:
        self.tell(de.DriverAssigned, name)

    def tell(self, kind: type[Any], name: str, **fields: Any) -> None:
        """An event of which only kind and moment matter here."""
        blank = {field: None for field in kind.__struct_fields__}  # noqa: C420 - kinds differ
        header = {"delivery_id": name, "at_ms": self.now_ms}
        self.live.delivery_event(kind(**{**blank, **header, **fields}))

    def after_s(self, seconds: float) -> list[Change]:
        """Time passes in seconds, counted at each."""
        changes = []
        for _ in range(round(seconds)):
            self.now_ms += 1_000
            changes += self.live.healths(TABLE, POLICY, self.now_ms)[1]
        return changes

    def health(self, zone: str = "harbour") -> ZoneHealth:
        found, _ = self.live.healths(TABLE, POLICY, self.now_ms)
        return next(one for one in found if one.zone == zone)


def test_drivers_are_counted_where_they_are_by_what_they_do() -> None:
    day = Day()
    for name, lng, word in (("a", 7.1, "AVAILABLE"), ("b", 7.2, "BUSY"), ("c", 7.3, "ON_BREAK"), ("d", 8.5, "PAUSED"),
                            ("e", 20, "OFFLINE"), ("f", 7.4, "SHIFT_ENDED")):  # fmt: skip
        day.driver(name, lng, word)
    seen = day.health()
    counts = (seen.drivers_available, seen.drivers_busy, seen.drivers_on_break, seen.drivers_shift_ended)
    assert (counts, seen.drivers_online, seen.zone_version) == ((1, 1, 1, 1), 2, 4)
    assert day.health("hill").drivers_paused == 1
    assert day.health("none").drivers_offline == 1
    day.live.moved("a", 48.5, 8.1, NOW_MS + 10)
    day.live.moved("a", 48.5, 7.1, NOW_MS + 9)
    day.live.moved("nobody", 48.5, 8.1, NOW_MS)
    assert (day.health().drivers_available, day.health("hill").drivers_available) == (0, 1)


def test_a_search_is_open_until_somebody_holds_the_delivery_and_again_when_it_is_taken_away() -> None:
    day = Day()
    day.driver("a", 7.1)
    for name in ("d1", "d2", "d3"):
        day.ready(name)
    day.now_ms += 90_000
    seen = day.health()
    assert (seen.open_searches, seen.oldest_search_s, seen.pressure) == (3, 90, 3.0)
    day.assigned("d1")
    day.tell(de.DeliveryCancelled, "d2")
    day.tell(de.ManualReviewRequired, "d3")
    assert day.health().open_searches == 0
    day.tell(de.AssignmentReassigned, "d1")
    day.now_ms += 5_000
    assert (day.health().open_searches, day.health().oldest_search_s) == (1, 5)


def test_with_nobody_available_the_pressure_is_as_with_one() -> None:
    day = Day()
    day.driver("a", 7.1, "BUSY")
    day.ready("d1")
    day.ready("d2")
    assert day.health().pressure == 2.0


def test_waits_are_those_of_the_window() -> None:
    day = Day()
    for number in range(10):
        day.ready(f"d{number}")
        day.now_ms += 10_000
        day.assigned(f"d{number}")
    seen = day.health()
    assert (seen.waits, seen.wait_p50_ms, seen.wait_p95_ms) == (10, 10_000, 10_000)
    day.now_ms += 600_000 - 40_000
    assert day.health().waits == 5
    day.now_ms += 60_000
    assert (day.health().waits, day.health().wait_p95_ms) == (0, 0)


def test_the_alert_begins_and_ends_only_after_a_while_and_once() -> None:
    day = Day()
    day.driver("a", 7.1)
    assert day.after_s(29) == []
    (began,) = day.after_s(10)
    assert (began.began, began.health.zone, began.health.understaffed) == (True, "harbour", True)
    assert day.after_s(300) == []
    day.driver("b", 7.2)
    assert day.after_s(50) == []
    day.driver("b", 7.2, "ON_BREAK")
    day.after_s(5)
    day.driver("b", 7.2)
    assert day.after_s(59) == []
    (ended,) = day.after_s(5)
    assert (ended.began, ended.health.understaffed) == (False, False)


def test_an_alert_taken_up_after_a_restart_is_not_told_again() -> None:
    day = Day()
    day.after_s(40)
    known = day.health()
    assert known.understaffed
    again = Day()
    again.live.recall(known)
    assert again.after_s(60) == []
    assert again.health().understaffed_since_ms == known.understaffed_since_ms


def test_the_trend_is_against_some_minutes_before() -> None:
    day = Day()
    day.driver("a", 7.1)
    day.after_s(10)
    assert day.health().trend == "steady"
    day.ready("d1")
    assert day.health().trend == "rising"
    day.after_s(400)
    assert day.health().trend == "steady"
    day.assigned("d1")
    assert day.health().trend == "falling"


def test_who_comes_free_in_the_wider_reach_of_an_understaffed_zone_wakes_the_delivery() -> None:
    day, waiting = Day(), Waiting()
    day.live.delivery_event = waiting.take  # type: ignore[method-assign, assignment]
    day.ready("d1")
    for radius_m in (5_000, 15_000):
        day.tell(de.DriverCandidatesFound, "d1", radius_m=radius_m)
        day.tell(de.NoDriverFound, "d1")
        far = 48.5 + 12_000 / 111_195
        assert list(waiting.near("ana", far, 7.5, "car")) == (["d1"] if radius_m == 15_000 else [])


def test_a_quantile_is_a_value_that_was_seen() -> None:
    assert [quantile(list(range(1, 101)), share) for share in (0, 0.5, 0.95, 1)] == [1, 51, 96, 100]
    assert quantile([], 0.5) == 0
