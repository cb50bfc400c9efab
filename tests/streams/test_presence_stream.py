"""What the stream makes of pings and heartbeats: places believed, and at most one sign of life in a while."""

import uuid
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.driver_commands import SeenAlive
from dispatch.contract.records.system import DriverHeartbeat, DriverLocation
from dispatch.core.policy import Policy
from dispatch.streams.fleet import Fleet
from dispatch.streams.presence import COUNTED, EARLY_MOST, EARLY_MS, Presence

NOW_MS = 1_790_000_000_000
POLICY = Policy()
LAT, LNG = 48.0, 7.85


def an_event(kind: type[Any], at_ms: int, **fields: Any) -> Any:
    header: dict[str, Any] = {
        "event_id": str(uuid.uuid4()), "driver_id": "ana", "version": 1, "at_ms": at_ms, "actor_type": "system",
        "actor_id": "t", "causation_id": "c", "correlation_id": "ana",
    }  # fmt: skip
    missing = {field: 0 for field in kind.__struct_fields__ if field not in header | fields}
    return kind(**header, **{**missing, **fields})


class Street:
    """One driver, and the stream that hears her."""

    def __init__(self, *, past: bool = False) -> None:
        self.fleet = Fleet()
        self.presence = Presence(self.fleet)
        self.past = past
        signed_on = an_event(dr.DriverSignedOn, NOW_MS, lat=LAT, lng=LNG, vehicle="car", capacity=1, rating=4.5)
        self.event(signed_on)
        self.changed(0, offline=False, to="AVAILABLE")

    def event(self, event: Any) -> None:
        self.fleet.take(event)
        self.presence.take(event, past=self.past)

    def changed(self, after_s: float, *, offline: bool, to: str) -> None:
        at_ms = NOW_MS + round(after_s * 1000)
        self.event(an_event(dr.DriverAvailabilityChanged, at_ms, to_availability=to, offline=offline))

    def seen(self, after_s: float, **place: float) -> None:
        at_ms = NOW_MS + round(after_s * 1000)
        self.event(an_event(dr.DriverSeen, at_ms, seen_at_ms=at_ms, **{"lat": None, "lng": None, **place}))

    def ping(self, after_s: float, lat: float = LAT, lng: float = LNG, **more: Any) -> tuple[bool, SeenAlive | None]:
        now_ms = NOW_MS + round(after_s * 1000)
        ping = DriverLocation(**{"driver_id": "ana", "lat": lat, "lng": lng, "at_ms": now_ms, **more})
        return self.presence.ping(ping, now_ms, now_ms, POLICY)

    def beat(self, after_s: float, name: str = "ana", at_s: float | None = None) -> SeenAlive | None:
        now_ms = NOW_MS + round(after_s * 1000)
        beat = DriverHeartbeat(driver_id=name, at_ms=NOW_MS + round((after_s if at_s is None else at_s) * 1000))
        return self.presence.heartbeat(beat, now_ms, now_ms, POLICY)

    @property
    def lat(self) -> float:
        return self.fleet.drivers["ana"].lat


@pytest.fixture
def street() -> Street:
    return Street()


def counted(outcome: str) -> float:
    return COUNTED[outcome]._value.get()


def test_pings_every_second_and_heartbeats_between_give_one_sign_of_life_a_minute(street: Street) -> None:
    told = []
    for second in range(600):
        told += [second for alive in (street.ping(second)[1], street.beat(second + 0.5)) if alive]
    assert len(told) == 10
    assert all(later - before >= 60 for before, later in pairwise(told))


def test_after_a_restart_the_last_sign_of_life_is_known_from_the_events(street: Street) -> None:
    assert street.ping(1)[1] is not None
    again = Street(past=True)
    again.seen(1, lat=LAT + 0.01, lng=LNG)
    assert again.lat == LAT + 0.01
    again.past = False
    assert again.ping(2)[1] is None
    assert again.ping(61)[1] is not None


def test_the_first_sign_of_life_of_one_who_is_missed_is_told_at_once_and_once(street: Street) -> None:
    assert street.beat(1) is not None
    street.changed(10, offline=True, to="OFFLINE")
    assert street.beat(11) is not None
    assert street.beat(12) is None
    street.changed(12, offline=False, to="AVAILABLE")
    assert street.beat(13) is None


def test_what_was_heard_before_they_were_missed_brings_nobody_back() -> None:
    street = Street(past=True)
    street.changed(10, offline=True, to="OFFLINE")
    street.past = False
    assert street.ping(9)[1] is None
    assert street.ping(11)[1] is not None


def test_a_jump_is_a_sign_of_life_without_a_place(street: Street) -> None:
    before = counted("jump")
    believed, alive = street.ping(10, lat=LAT + 1)
    assert not believed
    assert alive is not None
    assert (alive.lat, alive.lng) == (None, None)
    assert street.lat == LAT
    assert counted("jump") == before + 1
    assert street.ping(20, lat=LAT + 1.001)[0]
    assert street.lat == LAT + 1.001


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"lat": 0, "lng": 0}, "zero_place"),
        ({"at_ms": NOW_MS + 10_000 + 61_000}, "in_the_future"),
        ({"at_ms": NOW_MS + 10_000 - 601_000}, "too_old"),
        ({"accuracy_m": -5}, "bad_accuracy"),
        ({"driver_id": "nobody"}, "unknown_driver"),
    ],
)
def test_a_ping_that_is_refused_is_counted_by_reason_moves_nobody_and_is_no_sign_of_life(
    street: Street, changes: dict[str, Any], outcome: str
) -> None:
    before = counted(outcome)
    assert street.ping(10, **{"lat": LAT + 0.0001, **changes}) == (False, None)
    assert counted(outcome) == before + 1
    assert street.lat == LAT


def test_pings_out_of_order_move_nobody_back(street: Street) -> None:
    assert street.ping(10, lat=LAT + 0.001)[0]
    assert not street.ping(11, lat=LAT, at_ms=NOW_MS + 5_000)[0]
    assert street.lat == LAT + 0.001


def test_a_heartbeat_too_old_or_of_nobody_known_is_passed_over(street: Street) -> None:
    assert street.beat(700, at_s=1) is None
    assert street.beat(1, "nobody") is None


def a_ping(name: str, at_ms: int, lat: float = LAT) -> DriverLocation:
    return DriverLocation(driver_id=name, lat=lat, lng=LNG, at_ms=at_ms)


def test_the_last_ping_read_before_its_sign_on_waits_for_it_and_one_from_before_it_does_not() -> None:
    fleet = Fleet()
    presence = Presence(fleet)
    for name, heard_ms in (("late", NOW_MS), ("late", NOW_MS + 1), ("before", NOW_MS - 1)):
        ping = a_ping(name, NOW_MS + 5, LAT + 0.001 * (heard_ms - NOW_MS))
        assert presence.ping(ping, heard_ms, NOW_MS + 1, POLICY) == (False, None)
    for name, expected in (("late", (a_ping("late", NOW_MS + 5, LAT + 0.001), NOW_MS + 1)), ("before", None)):
        event = an_event(dr.DriverSignedOn, NOW_MS, lat=LAT, lng=LNG, vehicle="car", capacity=1, rating=4.5)
        event = msgspec.structs.replace(event, driver_id=name)
        fleet.take(event)
        presence.take(event, past=False)
        assert presence.early(event) == expected
        assert presence.early(event) is None


def test_pings_of_nobody_wait_a_while_and_of_so_many_only() -> None:
    presence = Presence(Fleet())
    presence.ping(a_ping("first", NOW_MS), NOW_MS, NOW_MS, POLICY)
    for number in range(EARLY_MOST):
        presence.ping(a_ping(str(number), NOW_MS), NOW_MS + 1, NOW_MS, POLICY)
    assert len(presence._early) == EARLY_MOST
    assert "first" not in presence._early
    late_ms = NOW_MS + EARLY_MS + 2
    presence.ping(a_ping("last", late_ms), late_ms, late_ms, POLICY)
    assert list(presence._early) == ["last"]
