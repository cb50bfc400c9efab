"""deliveries: one row a delivery, as of its last event."""

from typing import Any

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Eta
from projections.models.model import Fold, Folded, Row, moment

_COLUMNS = (
    "delivery_id", "version", "seller_id", "seller_order_id", "store_name", "status", "needs_manual_review",
    "review_reason", "driver_id", "offer_id", "assigned_how", "attempt_count", "search_no", "unassigned_reason",
    "escalation_level", "waiting_since", "retry_at", "pickup_lat", "pickup_lng", "dropoff_lat", "dropoff_lng", "zone",
    "order_value_minor", "delivery_fee_minor", "currency", "prep_s", "driver_offers", "reassignment", "escalation",
    "policy_version", "pickup_eta", "pickup_eta_p10", "pickup_eta_p90", "delivery_eta", "delivery_eta_p10",
    "delivery_eta_p90", "eta_confidence", "eta_source", "earning_minor", "end_reason", "created_at", "ready_at",
    "offered_at", "assigned_at", "pickup_started_at", "arrived_at_pickup_at", "picked_up_at", "delivery_started_at",
    "arrived_at_dropoff_at", "ended_at", "updated_at", "pickup_eta_confidence",
    "proof_wanted", "pickup_photo_ref", "pickup_signature_ref", "photo_ref", "signature_ref", "pin_checked",
    "wrong_pins", "proof_note",
)  # fmt: skip
_OF_ORDER = (
    "seller_id", "seller_order_id", "store_name", "pickup_lat", "pickup_lng", "dropoff_lat", "dropoff_lng", "zone",
    "order_value_minor", "delivery_fee_minor", "currency", "prep_s",
)  # fmt: skip


def _common(row: Row, event: Any) -> None:
    row["version"] = event.version
    row["updated_at"] = moment(event.at_ms)


def _created(row: Row, event: events.DeliveryCreated) -> None:
    _common(row, event)
    row.update({name: getattr(event.order, name) for name in _OF_ORDER})
    row["status"] = "created"
    row["created_at"] = moment(event.at_ms)
    row["proof_wanted"] = event.order.proof


def _prep(row: Row, event: events.PrepTimeChanged) -> None:
    _common(row, event)
    row["prep_s"] = event.prep_s


def _started(row: Row, event: events.AssignmentStarted) -> None:
    _common(row, event)
    for name in ("driver_offers", "reassignment", "escalation", "policy_version"):
        row[name] = getattr(event, name)
    row["zone"] = event.zone or row["zone"]
    row["ready_at"] = moment(event.at_ms)
    _waits(row, event.at_ms)


def _waits(row: Row, since_ms: int) -> None:
    row |= {"status": "searching", "driver_id": None, "offer_id": None, "assigned_how": None}
    row |= {"waiting_since": moment(since_ms), "retry_at": None, "escalation_level": 0}


def _found(row: Row, event: events.DriverCandidatesFound) -> None:
    _common(row, event)
    row["search_no"] = event.search_no


def _searching(row: Row, event: Any) -> None:
    _common(row, event)
    row |= {"status": "searching", "driver_id": None, "offer_id": None, "retry_at": None}


def _nobody(row: Row, event: events.NoDriverFound) -> None:
    _searching(row, event)
    row |= {"unassigned_reason": event.why, "retry_at": moment(event.retry_at_ms)}


def _offered(row: Row, event: events.DriverOfferSent) -> None:
    _common(row, event)
    row |= {"status": "offered", "driver_id": event.driver_id, "offer_id": event.offer_id}
    row |= {"offered_at": moment(event.sent_at_ms), "retry_at": None}


def _expired(row: Row, event: events.OfferExpired) -> None:
    if event.auto_assigned:
        _common(row, event)
    else:
        _searching(row, event)


def _assigned(row: Row, event: events.DriverAssigned) -> None:
    _common(row, event)
    row |= {"status": "assigned", "driver_id": event.driver_id, "offer_id": event.offer_id, "assigned_how": event.how}
    row |= {"assigned_at": moment(event.at_ms), "waiting_since": None, "retry_at": None, "unassigned_reason": None}
    row |= {"pickup_eta": moment(event.terms.pickup_eta_ms), "delivery_eta": moment(event.terms.delivery_eta_ms)}
    _banded(row, event.terms.eta)
    row |= {"earning_minor": event.terms.earning_minor, "needs_manual_review": False, "review_reason": None}


def _banded(row: Row, eta: Eta | None) -> None:
    """The bands, and what the travel time came from; none: the columns are empty again."""
    pickup, delivery = (eta.pickup, eta.delivery) if eta is not None else (None, None)
    if pickup is not None or delivery is None:
        row |= {"pickup_eta_p10": moment(pickup.p10_ms) if pickup else None}
        row |= {"pickup_eta_p90": moment(pickup.p90_ms) if pickup else None}
        row |= {"pickup_eta_confidence": pickup.confidence if pickup else None}
    row |= {"delivery_eta_p10": moment(delivery.p10_ms) if delivery else None}
    row |= {"delivery_eta_p90": moment(delivery.p90_ms) if delivery else None}
    row |= {"eta_confidence": delivery.confidence if delivery else None, "eta_source": eta.source if eta else None}


def _eta_changed(row: Row, event: events.EtaChanged) -> None:
    _common(row, event)
    if event.eta.pickup is not None:
        row["pickup_eta"] = moment(event.eta.pickup.p50_ms)
    row["delivery_eta"] = moment(event.eta.delivery.p50_ms)
    _banded(row, event.eta)


def _reassigned(row: Row, event: events.AssignmentReassigned) -> None:
    _common(row, event)
    row["attempt_count"] = event.attempt_count
    _waits(row, event.at_ms)


def _escalated(row: Row, event: events.UnassignedEscalated) -> None:
    _common(row, event)
    row["escalation_level"] = event.level


def _review(row: Row, event: events.ManualReviewRequired) -> None:
    _common(row, event)
    row |= {"needs_manual_review": True, "review_reason": event.reason, "retry_at": None}


def _review_ended(row: Row, event: events.ManualReviewEnded) -> None:
    _common(row, event)
    row |= {"needs_manual_review": False, "review_reason": None, "waiting_since": moment(event.at_ms)}
    row["attempt_count"] = 0


def _step(status: str, column: str) -> Fold:
    def fold(row: Row, event: Any) -> None:
        _common(row, event)
        row |= {"status": status, column: moment(event.at_ms)}

    return fold


def _ended(status: str) -> Fold:
    def fold(row: Row, event: Any) -> None:
        _common(row, event)
        row |= {"status": status, "ended_at": moment(event.at_ms), "waiting_since": None, "retry_at": None}
        row["end_reason"] = getattr(event, "reason", row.get("end_reason"))

    return fold


def _picked_up(row: Row, event: events.PickupCompleted) -> None:
    _step("picked_up", "picked_up_at")(row, event)
    row |= {"pickup_photo_ref": event.proof_ref, "pickup_signature_ref": event.signature_ref}


def _delivered(row: Row, event: events.DeliveryCompleted) -> None:
    _ended("delivered")(row, event)
    row |= {"photo_ref": event.proof_ref, "signature_ref": event.signature_ref, "pin_checked": event.pin_checked}
    row["proof_note"] = event.note or None


def _wrong_pin(row: Row, event: events.ProofRefused) -> None:
    _common(row, event)
    row["wrong_pins"] = event.wrong


def _failed(row: Row, event: events.DeliveryFailed) -> None:
    if event.returning:
        _common(row, event)
        row |= {"status": "failed", "end_reason": event.reason}
    else:
        _ended("failed")(row, event)


DELIVERIES = Folded(
    table="deliveries",
    family="delivery",
    key="delivery_id",
    columns=_COLUMNS,
    handles={
        events.DeliveryCreated: _created,
        events.PrepTimeChanged: _prep,
        events.AssignmentStarted: _started,
        events.DriverCandidatesFound: _found,
        events.ReservationRequested: _common,
        events.ReservationFailed: _searching,
        events.DriverOfferSent: _offered,
        events.DriverAccepted: _common,
        events.DriverRejected: _searching,
        events.OfferExpired: _expired,
        events.OfferWithdrawn: _searching,
        events.DriverAssigned: _assigned,
        events.DeliveryEconomicsEstimated: _common,
        events.DeliveryEconomicsSettled: _common,
        events.EtaChanged: _eta_changed,
        events.DriverLost: _common,
        events.DriverRecovered: _common,
        events.AssignmentReassigned: _reassigned,
        events.NoDriverFound: _nobody,
        events.UnassignedEscalated: _escalated,
        events.ManualReviewRequired: _review,
        events.ManualReviewEnded: _review_ended,
        events.PickupStarted: _step("enroute_to_pickup", "pickup_started_at"),
        events.ArrivedAtPickup: _step("arrived_at_pickup", "arrived_at_pickup_at"),
        events.PickupCompleted: _picked_up,
        events.DeliveryStarted: _step("enroute_to_dropoff", "delivery_started_at"),
        events.ArrivedAtDropoff: _step("arrived_at_dropoff", "arrived_at_dropoff_at"),
        events.DeliveryCompleted: _delivered,
        events.ProofRefused: _wrong_pin,
        events.DeliveryFailed: _failed,
        events.DeliveryReturned: _ended("returned"),
        events.DeliveryCancelled: _ended("cancelled"),
    },
    ignores=(),
    first=(events.DeliveryCreated,),
    defaults={
        "needs_manual_review": False, "attempt_count": 0, "search_no": 0, "escalation_level": 0,
    },
    month="created_at",
)  # fmt: skip
