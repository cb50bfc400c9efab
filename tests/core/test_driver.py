"""A driver's availability and holds, in the domain's words."""

from typing import Any

import pytest
from world import World, agreement

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.system import Notice
from dispatch.core.driver import status
from dispatch.core.facts import Refusal
from dispatch.core.policy import Flag, Flags

MINUTE_MS = 60_000
OFFER = identity.derived("offer")
HOLD = {"offer_id": OFFER, "delivery_id": identity.derived("delivery")}


def ana(capacity: int = 1, **more: Any) -> World:
    return World(**more).sign_on("ana", capacity)


def busy(how: str = "accepted") -> World:
    world = reserved()
    world.ask(vc.ConfirmReservation, "ana", "system", **HOLD, how=how)
    return world


def reserved() -> World:
    world = ana()
    world.ask(vc.ReserveDriver, "ana", "system", **HOLD, pickup_lat=48, pickup_lng=7.8)
    return world


def release(world: World, why: str = "completed") -> None:
    world.ask(vc.ReleaseReservation, "ana", "system", **HOLD, why=why)


def code(result: Any) -> str:
    assert isinstance(result, Refusal), result
    assert result.detail
    return result.code


def sent(world: World) -> list[tuple[str, str]]:
    """Commands to the delivery, as (name, why)."""
    return [
        (type(command).__name__, getattr(command, "why", "")) for command in world.queues["ana", HOLD["delivery_id"]]
    ]


def alive(world: World, minutes: int) -> None:
    """Time passes with signs of life."""
    for _ in range(minutes):
        world.pass_s(60)
        world.ask(vc.SeenAlive, "ana", seen_at_ms=world.now_ms)


def test_a_driver_who_never_signed_on_is_unknown() -> None:
    world = World()
    for kind, fields in ((vc.TakeBreak, {"duration_ms": 1}), (vc.SeenAlive, {"seen_at_ms": 1}), (vc.ResumeWork, {})):
        assert code(world.ask(kind, "ghost", **fields)) == "unknown_driver"
    world.ask(vc.ReserveDriver, "ghost", "system", **HOLD, pickup_lat=1, pickup_lng=1)
    assert world.names_of(dr.DriverReservationDenied)[0].why == "unknown_driver"
    assert status(world.drivers["ghost"]) == ""


@pytest.mark.parametrize(
    ("capacity", "rating", "expected"), [(0, 4, "bad_capacity"), (11, 4, "bad_capacity"), (1, 6, "bad_rating")]
)
def test_a_sign_on_out_of_limits_is_refused(capacity: int, rating: float, expected: str) -> None:
    fields = {"vehicle": "car", "capacity": capacity, "rating": rating, "lat": 1.0, "lng": 1.0}
    assert code(World().ask(vc.SignOn, "ana", **fields)) == expected


def test_signing_on_again_updates_and_ends_a_break_but_not_a_pause() -> None:
    world = ana()
    world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)
    world.sign_on("ana", capacity=3, vehicle="van")
    assert (world.availability("ana"), world.drivers["ana"].capacity) == ("AVAILABLE", 3)
    world.ask(vc.PauseDriver, "ana", "admin", reason="r", held="keep")
    world.sign_on("ana")
    assert world.availability("ana") == "PAUSED"


# Holds


def test_grants_raise_the_fence_and_never_exceed_the_capacity() -> None:
    world = ana(capacity=2)
    for number in range(3):
        hold = {"offer_id": identity.derived(str(number)), "delivery_id": HOLD["delivery_id"]}
        world.ask(vc.ReserveDriver, "ana", "system", **hold, pickup_lat=1, pickup_lng=1)
    assert [event.fence for event in world.names_of(dr.DriverReserved)] == [1, 2]
    assert [event.free_capacity for event in world.names_of(dr.DriverReserved)] == [1, 0]
    assert world.names_of(dr.DriverReservationDenied)[0].why == "at_capacity"
    again = {"offer_id": identity.derived("0"), "delivery_id": HOLD["delivery_id"]}
    world.ask(vc.ReserveDriver, "ana", "system", **again, pickup_lat=1, pickup_lng=1)
    assert world.names_of(dr.DriverReservationDenied)[1].why == "already_held"


def test_only_a_release_ends_a_hold_and_of_what_is_not_held_it_is_nothing() -> None:
    world = busy()
    assert world.availability("ana") == "BUSY"
    assert world.ask(vc.ConfirmReservation, "ana", "system", **HOLD, how="accepted") == ()
    alive(world, 60)
    assert len(world.drivers["ana"].holds) == 1
    release(world)
    assert world.availability("ana") == "AVAILABLE"
    assert world.ask(vc.ReleaseReservation, "ana", "system", **HOLD, why="completed") == ()
    assert world.ask(vc.ConfirmReservation, "ana", "system", **HOLD, how="auto") == ()


def test_releasing_a_reservation_never_confirmed_changes_no_word() -> None:
    world = reserved()
    changes = len(world.names_of(dr.DriverAvailabilityChanged))
    release(world, "rejected")
    assert len(world.names_of(dr.DriverAvailabilityChanged)) == changes
    assert world.names_of(dr.DriverReservationReleased)[0].free_capacity == 1


# Breaks and shifts


def test_a_break_starts_is_noticed_and_ends_by_itself() -> None:
    world = ana()
    world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS, reason="lunch")
    assert world.availability("ana") == "ON_BREAK"
    alive(world, 8)
    assert [record.kind for record in world.told if isinstance(record, Notice)] == ["break_ends_soon"]
    alive(world, 2)
    assert world.availability("ana") == "AVAILABLE"
    changes = [
        (event.from_availability, event.to_availability, event.reason)
        for event in world.names_of(dr.DriverAvailabilityChanged)
    ]
    assert changes == [
        ("OFFLINE", "AVAILABLE", "signed_on"),
        ("AVAILABLE", "ON_BREAK", "lunch"),
        ("ON_BREAK", "AVAILABLE", "break_over"),
    ]


@pytest.mark.parametrize(("minutes", "expected"), [(4, "break_too_short"), (121, "break_too_long")])
def test_a_break_has_5_to_120_minutes(minutes: int, expected: str) -> None:
    assert code(ana().ask(vc.TakeBreak, "ana", duration_ms=minutes * MINUTE_MS)) == expected


def test_a_break_is_extended_up_to_120_minutes_in_all() -> None:
    world = ana()
    assert code(world.ask(vc.ExtendBreak, "ana", extra_ms=MINUTE_MS)) == "not_on_break"
    world.ask(vc.TakeBreak, "ana", duration_ms=100 * MINUTE_MS)
    assert code(world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)) == "already_on_break"
    assert len(world.ask(vc.ExtendBreak, "ana", extra_ms=20 * MINUTE_MS)) == 1
    assert code(world.ask(vc.ExtendBreak, "ana", extra_ms=1)) == "break_too_long"
    alive(world, 119)
    assert world.availability("ana") == "ON_BREAK"
    assert len(world.ask(vc.ResumeWork, "ana")) >= 1
    assert world.availability("ana") == "AVAILABLE"
    assert world.ask(vc.StartShift, "ana") == ()


def test_a_break_asked_for_with_a_delivery_in_hand_starts_when_it_ends() -> None:
    world = busy()
    world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)
    assert world.availability("ana") == "BUSY"
    assert sent(world)[-1] == ("DriverUnavailable", "break_started")
    assert code(world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)) == "already_on_break"
    release(world)
    assert world.availability("ana") == "ON_BREAK"
    assert world.drivers["ana"].break_until_ms == world.now_ms + 10 * MINUTE_MS


def test_a_break_asked_for_and_taken_back_does_not_start() -> None:
    world = busy()
    world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)
    world.ask(vc.ResumeWork, "ana")
    release(world)
    assert world.availability("ana") == "AVAILABLE"


@pytest.mark.parametrize("stop", ["break", "shift"])
def test_an_acceptance_that_crossed_a_stop_is_delivered_first(stop: str) -> None:
    world = reserved()
    if stop == "break":
        world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)
    else:
        world.ask(vc.EndShift, "ana")
    assert sent(world)[-1][0] == "DriverUnavailable"
    world.ask(vc.ConfirmReservation, "ana", "system", **HOLD, how="accepted")
    assert world.availability("ana") == "BUSY"
    world.ask(
        vc.ReserveDriver, "ana", "system", **{**HOLD, "offer_id": identity.derived("x")}, pickup_lat=1, pickup_lng=1
    )
    assert world.names_of(dr.DriverReservationDenied)[-1].why == "not_available"
    release(world)
    assert world.availability("ana") == ("ON_BREAK" if stop == "break" else "SHIFT_ENDED")


@pytest.mark.parametrize("after_delivery", [True, False])
def test_a_shift_ends_after_the_delivery_in_hand(after_delivery: bool) -> None:
    world = busy()
    world.ask(vc.EndShift, "ana", after_delivery=after_delivery)
    assert world.ask(vc.EndShift, "ana") == ()
    assert (("DriverUnavailable", "shift_ended") in sent(world)) == (not after_delivery)
    release(world)
    assert world.availability("ana") == "SHIFT_ENDED"
    world.pass_s(3600)
    assert world.availability("ana") == "SHIFT_ENDED"
    assert code(world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)) == "not_allowed_now"
    world.ask(vc.StartShift, "ana")
    assert world.availability("ana") == "AVAILABLE"


def test_with_availability_states_off_there_are_no_breaks_and_those_resting_are_not_asked() -> None:
    world = ana()
    world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)
    world.flags = Flags(availability_states=Flag(enabled=False))
    world.ask(vc.ReserveDriver, "ana", "system", **HOLD, pickup_lat=1, pickup_lng=1)
    assert world.names_of(dr.DriverReservationDenied)[0].why == "not_available"
    assert code(world.ask(vc.ExtendBreak, "ana", extra_ms=1)) == "feature_off"
    assert code(world.ask(vc.EndShift, "ana")) == "feature_off"
    world.ask(vc.ResumeWork, "ana")
    assert code(world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)) == "feature_off"


# Offline and paused


def test_five_silent_minutes_make_a_driver_offline_and_a_sign_of_life_brings_the_state_back() -> None:
    world = ana()
    world.ask(vc.TakeBreak, "ana", duration_ms=60 * MINUTE_MS)
    world.pass_s(299)
    assert world.availability("ana") == "ON_BREAK"
    world.pass_s(1)
    assert world.availability("ana") == "OFFLINE"
    world.ask(vc.SeenAlive, "ana", seen_at_ms=world.now_ms, lat=1.0, lng=2.0)
    assert world.availability("ana") == "ON_BREAK"


def test_signs_of_life_are_recorded_at_most_once_a_minute() -> None:
    world = ana()
    for _ in range(6):
        world.pass_s(20)
        world.ask(vc.SeenAlive, "ana", seen_at_ms=world.now_ms)
    assert len(world.names_of(dr.DriverSeen)) == 2


def test_the_delivery_hears_that_its_driver_is_lost_and_back() -> None:
    world = busy()
    due = next(due for _, due in world.due() if due.kind == "offline_check")
    world.fire("ana", due)
    world.ask(vc.SeenAlive, "ana", seen_at_ms=world.now_ms)
    assert sent(world)[-2:] == [("DriverUnavailable", "offline"), ("DriverBack", "")]
    assert world.availability("ana") == "BUSY"


@pytest.mark.parametrize(("held", "why"), [("keep", "paused_keep"), ("reassign", "paused_reassign")])
def test_a_pause_outranks_everything_and_only_an_admin_lifts_it(held: str, why: str) -> None:
    world = busy()
    world.ask(vc.PauseDriver, "ana", "admin", reason="complaint", held=held)
    assert world.availability("ana") == "PAUSED"
    assert sent(world)[-1] == ("DriverUnavailable", why)
    assert world.ask(vc.PauseDriver, "ana", "admin", reason="again", held=held) == ()
    for kind, fields in ((vc.TakeBreak, {"duration_ms": 10 * MINUTE_MS}), (vc.ResumeWork, {}), (vc.EndShift, {})):
        assert code(world.ask(kind, "ana", **fields)) == "paused"
    world.pass_s(301)
    assert world.availability("ana") == "PAUSED"
    world.ask(vc.UnpauseDriver, "ana", "admin", reason="settled")
    assert world.availability("ana") == "OFFLINE"
    world.ask(vc.SeenAlive, "ana", seen_at_ms=world.now_ms)
    assert world.availability("ana") == "BUSY"
    assert world.ask(vc.UnpauseDriver, "ana", "admin", reason="again") == ()


def test_a_timer_that_was_overtaken_changes_nothing() -> None:
    world = ana()
    stale = {"timer": "offline_check", "due_at_ms": world.drivers["ana"].offline_at_ms - 1}
    assert world.ask(vc.DriverTimerDue, "ana", "system", **stale) == ()


def test_a_driver_with_room_for_two_carries_two() -> None:
    world = ana(capacity=2)
    first, second = world.ready(1), world.ready(2)
    world.accept(first)
    world.accept(second)
    assert {hold.delivery_id for hold in world.drivers["ana"].holds} == {first, second}
    third = world.ready(3)
    assert world.status(third) == "searching"
    world.progress(first, "picked_up")
    world.progress(first, "delivered")
    assert world.availability("ana") == "BUSY"
    world.ask(dc.SearchAgain, third, "system")
    world.settle()
    assert world.status(third) == "offered"
    assert agreement(world) == ""
    assert len(world.names_of(de.DriverAssigned)) == 2
