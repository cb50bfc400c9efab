"""driver_offers: one row an offer, with what it showed and what came of it."""

from typing import Any, get_args

from dispatch.contract.records import delivery_events as events
from projections.models.model import Fold, Folded, Row, moment

EARNING_PARTS = (
    "base_minor", "distance_minor", "time_minor", "multiplier_minor", "multiplier_percent", "incentive_refused",
)  # fmt: skip
_TERMS = (
    "store_name", "pickup_lat", "pickup_lng", "dropoff_lat", "dropoff_lng", "pickup_distance_m", "total_distance_m",
    "earning_minor", "incentive_minor", "currency", *EARNING_PARTS,
)  # fmt: skip


def _sent(row: Row, event: events.DriverOfferSent) -> None:
    row.update({name: getattr(event.terms, name) for name in _TERMS})
    row |= {"delivery_id": event.delivery_id, "driver_id": event.driver_id, "fence": event.fence, "outcome": "PENDING"}
    row |= {"sent_at": moment(event.sent_at_ms), "expires_at": moment(event.expires_at_ms)}
    row |= {"notified_by": event.notified_by, "notified_at": moment(event.sent_at_ms)}
    row |= {"pickup_eta": moment(event.terms.pickup_eta_ms), "delivery_eta": moment(event.terms.delivery_eta_ms)}


def _ended(outcome: str) -> Fold:
    def fold(row: Row, event: Any) -> None:
        row |= {"outcome": outcome, "ended_at": moment(event.at_ms)}
        row["response_ms"] = getattr(event, "response_ms", None)
        row["reason"] = getattr(event, "reason", None) or getattr(event, "why", None)
        row["note"] = getattr(event, "note", None)

    return fold


_HANDLES: dict[type, Fold] = {
    events.DriverOfferSent: _sent,
    events.DriverAccepted: _ended("ACCEPTED"),
    events.DriverRejected: _ended("REJECTED"),
    events.OfferExpired: _ended("EXPIRED"),
    events.OfferWithdrawn: _ended("WITHDRAWN"),
}
DRIVER_OFFERS = Folded(
    table="driver_offers",
    family="delivery",
    key="offer_id",
    columns=(
        "offer_id", "delivery_id", "driver_id", "fence", "outcome", "reason", "note", "sent_at", "notified_by",
        "notified_at", "expires_at", "ended_at", "response_ms", "store_name", "pickup_lat", "pickup_lng", "dropoff_lat",
        "dropoff_lng", "pickup_eta", "delivery_eta", "pickup_distance_m", "total_distance_m", "earning_minor",
        "incentive_minor", "currency", *EARNING_PARTS,
    ),
    handles=_HANDLES,
    ignores=tuple(kind for kind in get_args(events.DeliveryEvent) if kind not in _HANDLES),
    first=(events.DriverOfferSent,),
    defaults={},
    month="sent_at",
)  # fmt: skip
