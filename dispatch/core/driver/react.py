"""What a driver's event causes elsewhere: answers to the deliveries that reserve or hold them, and notices."""

from typing import Any

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records import driver_events as events
from dispatch.contract.records.driver_events import DriverEvent
from dispatch.contract.records.shared import LossReason
from dispatch.contract.records.system import Notice
from dispatch.core.driver.states import Driver, Hold
from dispatch.core.effects import Effect


def react(before: Driver, after: Driver, event: DriverEvent) -> tuple[Effect, ...]:
    """Everything that the event causes outside the driver, in order."""
    match event:
        case events.DriverReserved():
            granted = commands.ReservationGranted(
                **_header(event, event.delivery_id, "granted"),
                offer_id=event.offer_id,
                driver_id=event.driver_id,
                fence=event.fence,
            )
            return (granted,)
        case events.DriverReservationDenied():
            denied = commands.ReservationDenied(
                **_header(event, event.delivery_id, "denied"),
                offer_id=event.offer_id,
                driver_id=event.driver_id,
                why=event.why,
            )
            return (denied,)
        case events.DriverPauseRecorded(held=held):
            return _lost(event, after.holds, "paused_reassign" if held == "reassign" else "paused_keep")
        case events.DriverBreakRequested():
            return _lost(event, after.holds, "break_started")
        case events.DriverShiftEndRequested(after_delivery=False):
            return _lost(event, after.holds, "shift_ended")
        case events.DriverBreakNoticed(until_ms=until_ms):
            return (_break_notice(event, until_ms),)
        case events.DriverAvailabilityChanged():
            return _on_change(before, after, event)
    return ()


def _on_change(before: Driver, after: Driver, event: events.DriverAvailabilityChanged) -> tuple[Effect, ...]:
    effects: list[Effect] = []
    if after.offline and not before.offline:
        effects += _lost(event, after.holds, "offline")
    if before.offline and not after.offline:
        effects += [
            commands.DriverBack(
                **_header(event, hold.delivery_id, f"back {hold.offer_id}"),
                offer_id=hold.offer_id,
                driver_id=event.driver_id,
            )
            for hold in after.holds
        ]
    if before.duty == "working" and after.duty != "working":
        effects += _lost(event, after.holds, "break_started" if after.duty == "break" else "shift_ended")
    return tuple(effects)


def _lost(event: DriverEvent, holds: tuple[Hold, ...], why: LossReason) -> tuple[Effect, ...]:
    return tuple(
        commands.DriverUnavailable(
            **_header(event, hold.delivery_id, f"{why} {hold.offer_id}"),
            offer_id=hold.offer_id,
            driver_id=event.driver_id,
            why=why,
        )
        for hold in holds
    )


def _break_notice(event: DriverEvent, until_ms: int) -> Notice:
    return Notice(
        notice_id=identity.command_id(event.event_id, "notice break"),
        audience="driver",
        kind="break_ends_soon",
        driver_id=event.driver_id,
        at_ms=event.at_ms,
        details={"until_ms": str(until_ms)},
    )


def _header(event: DriverEvent, delivery_id: str, purpose: str) -> dict[str, Any]:
    return {
        "command_id": identity.command_id(event.event_id, purpose),
        "delivery_id": delivery_id,
        "at_ms": event.at_ms,
        "actor_type": "system",
        "actor_id": "dispatch",
        "correlation_id": event.correlation_id,
    }
