"""Who is told what of a delivery's events, and when a customer hears that it is late."""

from dispatch.contract import identity
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.contract.records.shared import Audience
from dispatch.contract.records.system import Notice
from dispatch.core.delivery.states import Delivery
from dispatch.core.policy import NoticePolicy

_CUSTOMER_NOTICES: dict[type[DeliveryEvent], str] = {
    events.PickupCompleted: "picked_up",
    events.ArrivedAtDropoff: "arriving",
    events.DeliveryCompleted: "delivered",
    events.DeliveryCancelled: "cancelled",
    events.DeliveryFailed: "failed",
}


def hears_of_driver(before: Delivery) -> bool:
    """Whether the customer is told of an assignment: of the first, and after more changes than the policy says (2)."""
    return before.attempt_count == 0 or before.variant is None or before.tell_driver


def is_late(told_eta_ms: int, delivery_eta_ms: int, policy: NoticePolicy) -> bool:
    """Whether the arrival is now so much later than the customer was told last that they hear of it."""
    return told_eta_ms > 0 and delivery_eta_ms - told_eta_ms > policy.delayed_after_s * 1000


def notices(before: Delivery, event: DeliveryEvent) -> list[Notice]:
    """What the event is told, to whom."""
    match event:
        case events.DriverAssigned(driver_id=driver_id, terms=terms):
            if not hears_of_driver(before):
                return []
            eta = {"delivery_eta_ms": str(terms.delivery_eta_ms)}
            return [_notice(event, "customer", "driver_assigned", driver_id=driver_id, details=eta)]
        case events.EtaChanged(tell_customer=True, eta=changed):
            return [_notice(event, "customer", "delayed", details={"delivery_eta_ms": str(changed.delivery.p50_ms)})]
        case events.UnassignedEscalated(level=level, why=why):
            kind = {1: "unassigned", 2: "unassigned_wider_search", 3: "unassigned_critical"}.get(level, "unassigned")
            told = [_notice(event, "operations", kind, level=level, why=why)]
            if level == 1:
                told.append(_notice(event, "support", "support_ticket", level=level, why=why))
            return told
        case events.ManualReviewRequired(reason=reason):
            return [_notice(event, "operations", "manual_review", level=3 if event.critical else 1, why=reason)]
        case events.ReservationFailed(how="manual", why=why, driver_id=driver_id) if why != "abandoned":
            return [_notice(event, "operations", "manual_assignment_denied", driver_id=driver_id, why=why)]
    kind = _CUSTOMER_NOTICES.get(type(event), "")
    return [_notice(event, "customer", kind)] if kind else []


def _notice(
    event: DeliveryEvent,
    audience: Audience,
    kind: str,
    *,
    driver_id: str = "",
    level: int = 0,
    why: str = "",
    details: dict[str, str] | None = None,
) -> Notice:
    return Notice(
        notice_id=identity.command_id(event.event_id, f"notice {audience} {kind}"),
        audience=audience,
        kind=kind,
        delivery_id=event.delivery_id,
        driver_id=driver_id,
        at_ms=event.at_ms,
        level=level,
        details={**({"why": why} if why else {}), **(details or {})},
    )
