"""unassigned_orders: one row a delivery for which nobody was found, or that people must look at; kept when it is over.

What the delivery itself is, its zone and its seller, stands in `deliveries`.
"""

from typing import Any, get_args

from dispatch.contract.records import delivery_events as events
from projections.models.model import Fold, Folded, Row, moment


def _open(row: Row, event: Any) -> None:
    """In the queue: for the first time, or again after it had left."""
    if row["queue_status"] not in ("PENDING", "NOTIFIED"):
        row |= {"queued_at": moment(event.at_ms), "escalation_level": 0, "needs_manual_review": False}
        row |= {"review_reason": None, "left_at": None, "left_how": None, "queue_status": "PENDING"}
    row["changed_at"] = moment(event.at_ms)


def _nobody(row: Row, event: events.NoDriverFound) -> None:
    _open(row, event)
    row |= {"why": event.why, "searches": row["searches"] + 1, "retry_at": moment(event.retry_at_ms)}


def _escalated(row: Row, event: events.UnassignedEscalated) -> None:
    _open(row, event)
    row |= {"escalation_level": event.level, "queue_status": "NOTIFIED"}
    if event.why not in ("unknown", "UNKNOWN") or row["why"] is None:
        row["why"] = event.why


def _review(row: Row, event: events.ManualReviewRequired) -> None:
    _open(row, event)
    row |= {"needs_manual_review": True, "review_reason": event.reason, "queue_status": "NOTIFIED", "retry_at": None}


def _review_ended(row: Row, event: events.ManualReviewEnded) -> None:
    row |= {"needs_manual_review": False, "review_reason": None, "changed_at": moment(event.at_ms)}
    if row["escalation_level"] == 0 and row["queue_status"] == "NOTIFIED":
        row["queue_status"] = "PENDING"


def _left(status: str, how: str) -> Fold:
    def fold(row: Row, event: Any) -> None:
        if row["queue_status"] not in ("PENDING", "NOTIFIED"):
            return
        at = moment(event.at_ms)
        row |= {"queue_status": status, "left_at": at, "left_how": how, "changed_at": at, "retry_at": None}
        row["needs_manual_review"] = False

    return fold


_HANDLES: dict[type, Fold] = {
    events.NoDriverFound: _nobody,
    events.UnassignedEscalated: _escalated,
    events.ManualReviewRequired: _review,
    events.ManualReviewEnded: _review_ended,
    events.DriverAssigned: _left("REASSIGNED", "assigned"),
    events.DeliveryCompleted: _left("REASSIGNED", "delivered"),
    events.DeliveryCancelled: _left("CANCELLED", "cancelled"),
    events.DeliveryFailed: _left("CANCELLED", "failed"),
    events.DeliveryReturned: _left("CANCELLED", "returned"),
}
UNASSIGNED_ORDERS = Folded(
    table="unassigned_orders",
    family="delivery",
    key="delivery_id",
    columns=(
        "delivery_id", "queue_status", "why", "escalation_level", "searches", "needs_manual_review", "review_reason",
        "queued_at", "retry_at", "changed_at", "left_at", "left_how",
    ),
    handles=_HANDLES,
    ignores=tuple(kind for kind in get_args(events.DeliveryEvent) if kind not in _HANDLES),
    first=(events.NoDriverFound, events.UnassignedEscalated, events.ManualReviewRequired),
    defaults={"searches": 0, "escalation_level": 0, "needs_manual_review": False},
)  # fmt: skip
