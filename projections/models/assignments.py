"""assignments: one row each time that a driver got a delivery, with how it ended with them."""

from collections.abc import Callable
from typing import Any, get_args

from dispatch.contract.records import delivery_events as events
from projections.models.model import Row, Several, moment

_TERMS = ("pickup_distance_m", "total_distance_m", "earning_minor", "incentive_minor", "currency")


def _assigned(rows: list[Row], event: events.DriverAssigned) -> Row:
    row: Row = dict.fromkeys(ASSIGNMENTS.columns)
    row |= {name: getattr(event, name) for name in ("delivery_id", "offer_id", "driver_id", "how", "search_ms")}
    row |= {name: getattr(event.terms, name) for name in _TERMS}
    row |= {"assignment_no": len(rows) + 1, "assigned_at": moment(event.at_ms), "seller_id": "", "zone": "none"}
    rows.append(row)
    return row


def _estimated(rows: list[Row], event: events.DeliveryEconomicsEstimated) -> Row | None:
    """Comes with each assignment, and knows whose order it is and where."""
    row = _current(rows)
    if row is not None:
        row |= {"seller_id": event.seller_id, "zone": event.zone}
    return row


def _current(rows: list[Row]) -> Row | None:
    return rows[-1] if rows and rows[-1]["ended_at"] is None else None


def _picked_up(rows: list[Row], event: events.PickupCompleted) -> Row | None:
    row = _current(rows)
    if row is not None:
        row["picked_up_at"] = moment(event.at_ms)
    return row


def _reassigned(rows: list[Row], event: events.AssignmentReassigned) -> Row | None:
    row = _END_REASSIGNED(rows, event)
    if row is not None:
        row |= {"reassign_reason": event.reason, "compensation_minor": event.compensation_minor}
    return row


def _failed(rows: list[Row], event: events.DeliveryFailed) -> Row | None:
    return None if event.returning else _END_FAILED(rows, event)


Ending = Callable[[list[Row], Any], Row | None]


def _ended(how: str) -> Ending:
    def fold(rows: list[Row], event: Any) -> Row | None:
        row = _current(rows)
        if row is not None:
            row |= {"ended_at": moment(event.at_ms), "ended_as": how, "note": getattr(event, "note", "") or None}
        return row

    return fold


_END_REASSIGNED, _END_FAILED = _ended("reassigned"), _ended("failed")
_HANDLES: dict[type, Any] = {
    events.DriverAssigned: _assigned,
    events.DeliveryEconomicsEstimated: _estimated,
    events.PickupCompleted: _picked_up,
    events.AssignmentReassigned: _reassigned,
    events.DeliveryCompleted: _ended("delivered"),
    events.DeliveryFailed: _failed,
    events.DeliveryReturned: _ended("returned"),
    events.DeliveryCancelled: _ended("cancelled"),
}
ASSIGNMENTS = Several(
    table="assignments",
    family="delivery",
    key="delivery_id",
    own="assignment_no",
    columns=(
        "delivery_id", "assignment_no", "offer_id", "driver_id", "seller_id", "zone", "how", "assigned_at", "search_ms",
        "pickup_distance_m", "total_distance_m", "earning_minor", "incentive_minor", "currency", "picked_up_at",
        "ended_at", "ended_as", "reassign_reason", "note", "compensation_minor",
    ),
    handles=_HANDLES,
    ignores=tuple(kind for kind in get_args(events.DeliveryEvent) if kind not in _HANDLES),
    month="assigned_at",
)  # fmt: skip
