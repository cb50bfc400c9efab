"""What the two tables of money share: a row a delivery, the last estimate beside the settlement, parts and sums.

The estimate of a delivery that changed hands is that of its last driver; the log keeps every one.
"""

from typing import Any, get_args

from dispatch.contract.records import delivery_events as events
from projections.models.model import Fold, Folded, Row, moment

ABOUT = ("delivery_id", "seller_id", "zone", "currency", "outcome", "estimated_at", "settled_at", "created_at")


def table_of(name: str, amounts: tuple[str, ...], *, by_driver: bool = False) -> Folded:
    """A read model with these amounts of `Economics`, each as it was estimated and as it was settled.

    `by_driver`: it also names the driver for whom it was settled.
    """

    def estimated(row: Row, event: events.DeliveryEconomicsEstimated) -> None:
        _about(row, event)
        row["estimated_at"] = moment(event.at_ms)
        row.update({f"estimated_{amount}": getattr(event.economics, amount) for amount in amounts})

    def settled(row: Row, event: events.DeliveryEconomicsSettled) -> None:
        _about(row, event)
        row |= {"settled_at": moment(event.at_ms), "outcome": event.outcome}
        row |= {"driver_id": event.driver_id} if by_driver else {}
        row.update({amount: getattr(event.economics, amount) for amount in amounts})

    about = (*ABOUT, "driver_id") if by_driver else ABOUT
    handled: dict[type, Fold] = {
        events.DeliveryCreated: _created,
        events.DeliveryEconomicsEstimated: estimated,
        events.DeliveryEconomicsSettled: settled,
    }
    return Folded(
        table=name,
        family="delivery",
        key="delivery_id",
        columns=(*about, *(f"estimated_{amount}" for amount in amounts), *amounts),
        handles=handled,
        ignores=tuple(kind for kind in get_args(events.DeliveryEvent) if kind not in handled),
        first=tuple(handled),
        defaults={},
        month="created_at",
    )


def _created(row: Row, event: events.DeliveryCreated) -> None:
    row |= {"seller_id": event.order.seller_id, "zone": event.order.zone, "currency": event.order.currency}
    row["created_at"] = moment(event.at_ms)


def _about(row: Row, event: Any) -> None:
    row |= {"delivery_id": event.delivery_id, "seller_id": event.seller_id, "zone": event.zone}
    row["currency"] = event.economics.currency
    if row["created_at"] is None:  # its beginning is not in the log that is read
        row["created_at"] = moment(event.at_ms)
