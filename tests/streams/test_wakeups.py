"""Who is woken when a driver becomes free: the most urgent first, at most so many, and each at most once in a while."""

import uuid
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Order
from dispatch.core.policy import WakeUpPolicy
from dispatch.core.travel import distance_m
from dispatch.inputs.candidates.port import IndexedDriver
from dispatch.streams.waiting import Waiting
from dispatch.streams.wakeups import RECENT_MS, WakeUps

NOW_MS = 1_790_000_000_000
LAT, LNG = 48.0, 7.85
POLICY = WakeUpPolicy()


def an_event(kind: type[Any], name: str, at_ms: int = NOW_MS, **fields: Any) -> Any:
    header: dict[str, Any] = {
        "event_id": str(uuid.uuid4()), "delivery_id": name, "version": 1, "at_ms": at_ms, "actor_type": "system",
        "actor_id": "t", "causation_id": "c", "correlation_id": name,
    }  # fmt: skip
    missing = {field: 0 for field in kind.__struct_fields__ if field not in header | fields}
    return kind(**header, **{**missing, **fields})


class Town:
    """Drivers and deliveries, and what wakes whom."""

    def __init__(self) -> None:
        self.drivers: dict[str, IndexedDriver] = {}
        self.waiting = Waiting()
        self.wake_ups = WakeUps(self.waiting, self.drivers.get)

    def waits(self, name: str, lat: float = LAT, lng: float = LNG, **changes: Any) -> None:
        fields = {"since_ms": NOW_MS - 60_000, "radius_m": 5_000, "level": 0, "vehicle": "any", **changes}
        order = Order(
            seller_id="s", seller_order_id=name, store_name="s", pickup_lat=lat, pickup_lng=lng, dropoff_lat=lat,
            dropoff_lng=lng, order_value_minor=1, delivery_fee_minor=0, currency="EUR", placed_at_ms=NOW_MS,
            vehicle=fields["vehicle"],
        )  # fmt: skip
        self.waiting.take(an_event(de.DeliveryCreated, name, order=order))
        started = an_event(de.AssignmentStarted, name, fields["since_ms"], radius_m=fields["radius_m"])
        self.waiting.take(started)
        if fields["level"]:
            level = fields["level"]
            self.waiting.take(an_event(de.UnassignedEscalated, name, level=level, radius_m=fields["radius_m"]))
        assert self.waiting.take(an_event(de.NoDriverFound, name, fields["since_ms"]))

    def free(self, name: str, now_ms: int = NOW_MS, lat: float = LAT, lng: float = LNG, **changes: Any) -> None:
        fields: dict[str, Any] = {
            "vehicle": "car", "capacity": 1, "orders": 0, "rating": 4.5, "availability": "AVAILABLE"
        } | changes  # fmt: skip
        self.drivers[name] = IndexedDriver(driver_id=name, lat=lat, lng=lng, **fields)
        self.wake_ups.freed(name, str(uuid.uuid4()), now_ms, now_ms, POLICY)

    def woken(self, now_ms: int = NOW_MS) -> list[str]:
        return [wake_up.delivery_id for wake_up in self.wake_ups.due(now_ms, POLICY)]


@pytest.fixture
def town() -> Town:
    return Town()


def test_the_most_urgent_are_woken_first_and_no_more_than_a_driver_may_wake(town: Town) -> None:
    for number in range(10):
        town.waits(f"d{number}", since_ms=NOW_MS - number * 1_000)
    town.waits("escalated", since_ms=NOW_MS, level=2)
    town.free("ana")
    assert town.woken() == ["escalated", "d9", "d8"]
    assert town.woken() == []


def test_a_driver_who_comes_and_goes_wakes_no_more_than_one_who_stays(town: Town) -> None:
    for number in range(10):
        town.waits(f"d{number}")
    for moment in range(0, 900, 100):
        town.free("ana", NOW_MS + moment)
    assert len(town.woken(NOW_MS + 900)) == POLICY.per_driver
    town.free("ana", NOW_MS + 2_000)
    assert len(town.woken(NOW_MS + 2_000)) == POLICY.per_driver


def test_a_hundred_drivers_wake_a_lonely_delivery_once_and_once_more_when_it_still_waits(town: Town) -> None:
    town.waits("d")
    for number in range(100):
        town.free(f"driver-{number}", NOW_MS + number)
        town.woken(NOW_MS + number)
    assert town.woken(NOW_MS + 999) == []
    assert town.woken(NOW_MS + 1_100) == ["d"]
    assert [name for at in range(1_200, 30_000, 100) for name in town.woken(NOW_MS + at)] == []


def test_what_was_found_a_driver_meanwhile_is_not_woken_again(town: Town) -> None:
    town.waits("d")
    town.free("ana")
    assert town.woken() == ["d"]
    town.free("ben", NOW_MS + 100)
    assert town.woken(NOW_MS + 100) == []
    town.waiting.take(an_event(de.ReservationRequested, "d"))
    assert town.woken(NOW_MS + 2_000) == []


@pytest.mark.parametrize(
    ("delivery", "driver"),
    [
        ({"lat": LAT + 0.1}, {}),
        ({"vehicle": "van"}, {"vehicle": "bicycle"}),
        ({}, {"availability": "ON_BREAK"}),
        ({}, {"orders": 1}),
    ],
)
def test_a_driver_who_would_not_be_found_wakes_nobody(
    town: Town, delivery: dict[str, Any], driver: dict[str, Any]
) -> None:
    town.waits("d", **delivery)
    town.free("ana", **driver)
    assert town.woken() == []


def test_a_driver_who_refused_it_does_not_wake_it(town: Town) -> None:
    town.waits("d")
    town.waiting.take(an_event(de.DriverRejected, "d", driver_id="ana"))
    town.free("ana")
    assert town.woken() == []
    town.free("ben")
    assert town.woken() == ["d"]


def test_a_search_that_just_missed_the_driver_is_made_again(town: Town) -> None:
    town.free("ana")
    assert town.woken() == []
    town.waits("d")
    town.wake_ups.searched_in_vain("d", NOW_MS + 300)
    assert town.woken(NOW_MS + 320) == ["d"]
    town.wake_ups.searched_in_vain("d", NOW_MS + 2_000)
    assert town.woken(NOW_MS + 2_000) == [], "ana was free long before that search"


def test_one_who_became_free_long_ago_is_not_news(town: Town) -> None:
    town.waits("d")
    town.free("ana")
    assert town.woken() == ["d"]
    town.wake_ups.freed("ana", "e", NOW_MS - RECENT_MS - 1, NOW_MS + 5_000, POLICY)
    assert town.woken(NOW_MS + 5_000) == []


_PLACES = st.tuples(st.floats(-85, 85), st.floats(-180, 180))


@given(_PLACES, st.lists(st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)), max_size=12), st.integers(100, 40_000))
def test_whoever_waits_in_reach_is_found_wherever_on_earth(
    place: tuple[float, float], around: list[tuple[float, float]], radius_m: int
) -> None:
    town, (lat, lng) = Town(), place
    places = {f"d{at}": (lat + north, (lng + east + 180) % 360 - 180) for at, (north, east) in enumerate(around)}
    for name, (there_lat, there_lng) in places.items():
        town.waits(name, there_lat, there_lng, radius_m=radius_m)
    found = list(town.waiting.near("ana", lat, lng, "car"))
    assert sorted(found) == [name for name in sorted(places) if distance_m(lat, lng, *places[name]) <= radius_m]


@given(st.lists(st.tuples(st.sampled_from("fsrcv"), st.integers(0, 7), st.integers(0, 700)), max_size=80))
def test_never_a_thundering_herd_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    town, now_ms = Town(), NOW_MS
    woken_at: dict[str, list[int]] = {}
    by_driver: dict[str, list[int]] = {}
    for number in range(8):
        town.waits(f"d{number}")
    for what, number, pause_ms in steps:
        now_ms += pause_ms
        match what:
            case "f":
                town.free(f"driver-{number}", now_ms)
            case "s":
                town.waiting.take(an_event(de.NoDriverFound, f"d{number}", now_ms))
                town.wake_ups.searched_in_vain(f"d{number}", now_ms)
            case "r":
                town.waiting.take(an_event(de.ReservationRequested, f"d{number}", now_ms))
            case "c":
                town.waiting.take(an_event(de.DeliveryCancelled, f"d{number}", now_ms))
        for wake_up in town.wake_ups.due(now_ms, POLICY):
            assert town.waiting.waits(wake_up.delivery_id)
            woken_at.setdefault(wake_up.delivery_id, []).append(now_ms)
            by_driver.setdefault(wake_up.driver_id, []).append(now_ms)
    for moments in woken_at.values():
        assert all(later - before >= 1_000 for before, later in pairwise(moments))
    for moments in by_driver.values():
        assert all(later - before >= 1_000 for before, later in zip(moments, moments[3:], strict=False))
