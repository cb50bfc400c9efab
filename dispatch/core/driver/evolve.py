"""The driver's next state after an event: total over all events, deciding nothing."""

from collections.abc import Callable
from typing import Any, cast

from msgspec.structs import replace

from dispatch.contract.records import driver_events as events
from dispatch.contract.records.driver_events import DriverEvent
from dispatch.core.driver.states import Driver, Duty, Hold


def evolve(state: Driver, event: DriverEvent) -> Driver:
    """The state after the event."""
    return _EVOLVERS[type(event)](state, event)


def _signed_on(state: Driver, event: events.DriverSignedOn) -> Driver:
    return replace(
        state,
        version=event.version,
        known=True,
        vehicle=event.vehicle,
        capacity=event.capacity,
        rating=event.rating,
        last_seen_ms=event.at_ms,
        offline_at_ms=event.offline_at_ms,
    )


def _changed(state: Driver, event: events.DriverAvailabilityChanged) -> Driver:
    starts = event.duty == "break" and state.duty != "break"
    return replace(
        state,
        version=event.version,
        duty=cast(Duty, event.duty),
        paused=event.paused,
        offline=event.offline,
        break_from_ms=event.at_ms if starts else state.break_from_ms if event.duty == "break" else 0,
        break_until_ms=(event.until_ms or 0) if starts else state.break_until_ms if event.duty == "break" else 0,
        notice_at_ms=(event.notice_at_ms or 0) if starts else state.notice_at_ms if event.duty == "break" else 0,
        pending_break_ms=event.pending_break_ms,
        pending_notice_ms=event.pending_notice_ms,
        pending_end=event.pending_end,
        plain=event.plain,
    )


def _break_requested(state: Driver, event: events.DriverBreakRequested) -> Driver:
    return replace(state, version=event.version, pending_break_ms=event.duration_ms, pending_notice_ms=event.notice_ms)


def _break_extended(state: Driver, event: events.DriverBreakExtended) -> Driver:
    return replace(state, version=event.version, break_until_ms=event.until_ms, notice_at_ms=event.notice_at_ms or 0)


def _noticed(state: Driver, event: events.DriverBreakNoticed) -> Driver:
    return replace(state, version=event.version, notice_at_ms=0)


def _end_requested(state: Driver, event: events.DriverShiftEndRequested) -> Driver:
    return replace(state, version=event.version, pending_end=True)


def _only_counted(state: Driver, event: Any) -> Driver:
    return replace(state, version=event.version)


def _seen(state: Driver, event: events.DriverSeen) -> Driver:
    return replace(state, version=event.version, last_seen_ms=event.at_ms, offline_at_ms=event.offline_at_ms)


def _reserved(state: Driver, event: events.DriverReserved) -> Driver:
    hold = Hold(event.offer_id, event.delivery_id, event.fence)
    return replace(state, version=event.version, fence=event.fence, holds=(*state.holds, hold))


def _confirmed(state: Driver, event: events.DriverReservationConfirmed) -> Driver:
    holds = tuple(
        replace(hold, confirmed=True, how=event.how) if hold.offer_id == event.offer_id else hold
        for hold in state.holds
    )
    return replace(state, version=event.version, holds=holds)


def _released(state: Driver, event: events.DriverReservationReleased) -> Driver:
    holds = tuple(hold for hold in state.holds if hold.offer_id != event.offer_id)
    return replace(state, version=event.version, holds=holds)


def _preferred(state: Driver, event: events.DriverZonePreferenceSet) -> Driver:
    said = {**dict(state.zones), event.zone: event.preference}
    if event.preference == "AVAILABLE":
        del said[event.zone]
    return replace(state, version=event.version, zones=tuple(sorted(said.items())))


_EVOLVERS: dict[type[DriverEvent], Callable[[Driver, Any], Driver]] = {
    events.DriverSignedOn: _signed_on,
    events.DriverAvailabilityChanged: _changed,
    events.DriverBreakRequested: _break_requested,
    events.DriverBreakExtended: _break_extended,
    events.DriverBreakNoticed: _noticed,
    events.DriverShiftEndRequested: _end_requested,
    events.DriverPauseRecorded: _only_counted,
    events.DriverReservationDenied: _only_counted,
    events.DriverSeen: _seen,
    events.DriverZonePreferenceSet: _preferred,
    events.DriverReserved: _reserved,
    events.DriverReservationConfirmed: _confirmed,
    events.DriverReservationReleased: _released,
}
