"""eta_accuracy: what was promised when a delivery's last driver took it, what was told last, and what came true."""

from datetime import datetime
from typing import get_args

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import EtaBand
from projections.models.model import Fold, Folded, Row, moment


def _created(row: Row, event: events.DeliveryCreated) -> None:
    row |= {"created_at": moment(event.at_ms), "seller_id": event.order.seller_id, "zone": event.order.zone}


def _started(row: Row, event: events.AssignmentStarted) -> None:
    row["zone"] = event.zone or row["zone"]


def _promised(row: Row, event: events.DriverAssigned) -> None:
    terms = event.terms
    row |= {"driver_id": event.driver_id, "promised_at": moment(event.at_ms)}
    row |= {"promised_pickup": moment(terms.pickup_eta_ms), "promised_delivery": moment(terms.delivery_eta_ms)}
    row |= {"last_told_delivery": row["promised_delivery"], "source": terms.eta.source if terms.eta else None}
    _band(row, "pickup", terms.eta.pickup if terms.eta else None)
    _band(row, "delivery", terms.eta.delivery if terms.eta else None)


def _band(row: Row, of: str, band: EtaBand | None) -> None:
    row |= {f"{of}_p10": moment(band.p10_ms) if band else None, f"{of}_p90": moment(band.p90_ms) if band else None}


def _changed(row: Row, event: events.EtaChanged) -> None:
    row["changes"] += 1
    row["last_told_delivery"] = moment(event.eta.delivery.p50_ms)


def _picked_up(row: Row, event: events.PickupCompleted) -> None:
    _came(row, "pickup", "picked_up_at", moment(event.at_ms))


def _delivered(row: Row, event: events.DeliveryCompleted) -> None:
    _came(row, "delivery", "delivered_at", moment(event.at_ms))


def _came(row: Row, of: str, column: str, at: datetime | None) -> None:
    """Later than promised: the error is positive. Seconds."""
    row[column] = at
    promised, low, high = row[f"promised_{of}"], row[f"{of}_p10"], row[f"{of}_p90"]
    if at is not None and promised is not None:
        row[f"{of}_error_s"] = round((at - promised).total_seconds())
        row[f"{of}_in_band"] = low <= at <= high if low is not None and high is not None else None


_HANDLES: dict[type, Fold] = {
    events.DeliveryCreated: _created,
    events.AssignmentStarted: _started,
    events.DriverAssigned: _promised,
    events.EtaChanged: _changed,
    events.PickupCompleted: _picked_up,
    events.DeliveryCompleted: _delivered,
}
ETA_ACCURACY = Folded(
    table="eta_accuracy",
    family="delivery",
    key="delivery_id",
    columns=(
        "delivery_id", "created_at", "seller_id", "zone", "driver_id", "promised_at", "source", "promised_pickup",
        "pickup_p10", "pickup_p90", "promised_delivery", "delivery_p10", "delivery_p90", "last_told_delivery",
        "changes", "picked_up_at", "delivered_at", "pickup_error_s", "delivery_error_s", "pickup_in_band",
        "delivery_in_band",
    ),
    handles=_HANDLES,
    ignores=tuple(kind for kind in get_args(events.DeliveryEvent) if kind not in _HANDLES),
    first=(events.DeliveryCreated,),
    defaults={"changes": 0},
    month="created_at",
)  # fmt: skip
