"""What an event of a delivery causes elsewhere: commands for its driver, offers, replies, notices.

The driver's side hangs on one comparison: whoever was reserved or held it before the event and is not after it gets
exactly one Release (rule 2 of the reservation). A driver who denied holds nothing and gets none.
"""

from typing import Any

from dispatch.contract import identity
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records import driver_commands, offers
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.contract.records.shared import ReleaseReason
from dispatch.contract.records.system import Reply
from dispatch.core.delivery.states import Delivery, Held, Offered, Reserving, Returning, status
from dispatch.core.delivery.telling import notices
from dispatch.core.effects import Effect, ReplyTo

_HELD_OUTCOMES: dict[type[DeliveryEvent], tuple[ReleaseReason, str]] = {
    events.DriverRejected: ("rejected", "REJECTED"),
    events.OfferExpired: ("expired", "EXPIRED"),
    events.OfferWithdrawn: ("withdrawn", "WITHDRAWN"),
    events.ReservationFailed: ("reserve_timeout", ""),
    events.AssignmentReassigned: ("reassigned", ""),
    events.DeliveryCompleted: ("completed", ""),
    events.DeliveryFailed: ("failed", ""),
    events.DeliveryReturned: ("returned", ""),
    events.DeliveryCancelled: ("cancelled", ""),
}
_DENIALS = ("not_available", "at_capacity", "unknown_driver", "already_held")


def react(before: Delivery, after: Delivery, event: DeliveryEvent) -> tuple[Effect, ...]:
    """Everything that the event causes outside the delivery, in order."""
    effects: list[Effect] = [*_to_driver(before, after, event), *_to_gateways(before, after, event)]
    if before.reply_to >= 0 and after.reply_to < 0:
        effects.append(_first_offer(before, after, event))
    effects += notices(before, event)
    return tuple(effects)


def _to_driver(before: Delivery, after: Delivery, event: DeliveryEvent) -> list[Effect]:
    effects: list[Effect] = []
    had, has = _driver(before), _driver(after)
    denied = isinstance(event, events.ReservationFailed) and event.why in _DENIALS
    if had and had != has and not denied:
        why: ReleaseReason | None = (
            "withdrawn" if isinstance(event, events.ReservationFailed) and event.why == "abandoned" else None
        )
        effects.append(
            driver_commands.ReleaseReservation(
                **_header(event, "release", had[1]),
                offer_id=had[0],
                delivery_id=event.delivery_id,
                why=why or _HELD_OUTCOMES[type(event)][0],
            )
        )
    if isinstance(event, events.ReservationRequested) and after.order is not None:
        effects.append(
            driver_commands.ReserveDriver(
                **_header(event, "reserve", event.driver_id),
                offer_id=event.offer_id,
                delivery_id=event.delivery_id,
                by_admin=event.how == "manual",
                pickup_lat=after.order.pickup_lat,
                pickup_lng=after.order.pickup_lng,
            )
        )
    if isinstance(event, events.DriverAssigned):
        effects.append(
            driver_commands.ConfirmReservation(
                **_header(event, "confirm", event.driver_id),
                offer_id=event.offer_id,
                delivery_id=event.delivery_id,
                how=event.how,
            )
        )
    return effects


def _to_gateways(before: Delivery, after: Delivery, event: DeliveryEvent) -> list[Effect]:
    effects: list[Effect] = []
    match before.phase:
        case Offered(offer_id=offer_id, driver_id=driver_id) if not isinstance(after.phase, Offered):
            outcome = "ACCEPTED" if isinstance(event, events.DriverAssigned) else _HELD_OUTCOMES[type(event)][1]
            if not (isinstance(event, events.DriverAssigned) and event.how == "auto"):
                effects.append(_offer_ended(event, offer_id, driver_id, outcome))
        case Offered(offer_id=offer_id, driver_id=driver_id) if isinstance(event, events.OfferExpired):
            effects.append(_offer_ended(event, offer_id, driver_id, "EXPIRED"))
        case Held(offer_id=offer_id, driver_id=driver_id) | Returning(offer_id=offer_id, driver_id=driver_id) if (
            not isinstance(after.phase, Held | Returning)
        ):
            effects.append(
                offers.AssignmentEnded(**_offer_header(event, offer_id, driver_id), why=_HELD_OUTCOMES[type(event)][0])
            )
    match event:
        case events.DriverOfferSent(offer_id=offer_id, driver_id=driver_id):
            created = offers.OfferCreated(
                **_offer_header(event, offer_id, driver_id), expires_at_ms=event.expires_at_ms, terms=event.terms
            )
            effects.append(created)
        case events.DriverAssigned(offer_id=offer_id, driver_id=driver_id):
            assigned = offers.DeliveryAssigned(
                **_offer_header(event, offer_id, driver_id), how=event.how, terms=event.terms
            )
            effects.append(assigned)
    return effects


def _first_offer(before: Delivery, after: Delivery, event: DeliveryEvent) -> ReplyTo:
    """What the search that a request began first led to."""
    reply = Reply(
        command_id=before.ready_command,
        aggregate_id=event.delivery_id,
        stage="first_offer",
        outcome="accepted",
        version=event.version,
        status=status(after),
        offer_id=getattr(event, "offer_id", None),
        driver_id=getattr(event, "driver_id", None),
    )
    return ReplyTo(before.reply_to, reply)


def _driver(state: Delivery) -> tuple[str, str] | None:
    """The offer and driver that the delivery reserves or is held by."""
    match state.phase:
        case Reserving() | Offered() | Held() | Returning() as phase:
            return phase.offer_id, phase.driver_id
    return None


def _header(event: DeliveryEvent, purpose: str, driver_id: str) -> dict[str, Any]:
    return {
        "command_id": identity.command_id(event.event_id, purpose),
        "driver_id": driver_id,
        "at_ms": event.at_ms,
        "actor_type": "system",
        "actor_id": "dispatch",
        "correlation_id": event.correlation_id,
    }


def _offer_header(event: DeliveryEvent, offer_id: str, driver_id: str) -> dict[str, Any]:
    return {"offer_id": offer_id, "delivery_id": event.delivery_id, "driver_id": driver_id, "at_ms": event.at_ms}


def _offer_ended(event: DeliveryEvent, offer_id: str, driver_id: str, outcome: str) -> offers.OfferEnded:
    why = getattr(event, "why", "") or getattr(event, "reason", "")
    return offers.OfferEnded(**_offer_header(event, offer_id, driver_id), outcome=outcome, why=str(why))
