"""What sellers can be told: which event of a delivery is which type of message, and what it says."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from dispatch.contract import identity
from dispatch.contract.instants import iso
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.contract.records.shared import Eta

TEST = "webhook.test"
TEST_LINE = "test"
"""Test events stand in a line of their own, beside those of the deliveries."""
Words = Callable[[Any], dict[str, Any]]


def _driver(event: Any) -> dict[str, Any]:
    return {"driver_id": event.driver_id}


def _nothing(_event: Any) -> dict[str, Any]:
    return {}


def _assigned(event: events.DriverAssigned) -> dict[str, Any]:
    terms = event.terms
    return {
        "driver_id": event.driver_id, "assigned_how": event.how,
        "pickup_eta": iso(terms.pickup_eta_ms), "delivery_eta": iso(terms.delivery_eta_ms),
    }  # fmt: skip


def _eta(event: events.EtaChanged) -> dict[str, Any]:
    eta: Eta = event.eta
    pickup = {"pickup_eta": iso(eta.pickup.p50_ms)} if eta.pickup is not None else {}
    return {**pickup, "delivery_eta": iso(eta.delivery.p50_ms), "why": event.why}


TOLD: Mapping[type, tuple[str, str, Words]] = {
    events.DeliveryCreated: ("delivery.created", "created", _nothing),
    events.DriverAssigned: ("delivery.assigned", "assigned", _assigned),
    events.AssignmentReassigned: (
        "delivery.reassigned", "searching",
        lambda event: {"reason": event.reason, "attempt_count": event.attempt_count},
    ),
    events.PickupStarted: ("delivery.enroute_to_pickup", "enroute_to_pickup", _driver),
    events.ArrivedAtPickup: ("delivery.arrived_at_pickup", "arrived_at_pickup", _driver),
    events.PickupCompleted: ("delivery.picked_up", "picked_up", _driver),
    events.DeliveryStarted: ("delivery.enroute_to_dropoff", "enroute_to_dropoff", _driver),
    events.ArrivedAtDropoff: ("delivery.arrived_at_dropoff", "arrived_at_dropoff", _driver),
    events.DeliveryCompleted: (
        "delivery.delivered", "delivered", lambda event: {"driver_id": event.driver_id, "total_ms": event.total_ms}
    ),
    events.DeliveryFailed: (
        "delivery.failed", "failed", lambda event: {"reason": event.reason, "returning": event.returning}
    ),
    events.DeliveryReturned: ("delivery.returned", "returned", _nothing),
    events.DeliveryCancelled: ("delivery.cancelled", "cancelled", lambda event: {"reason": event.reason}),
    events.EtaChanged: ("delivery.eta_changed", "", _eta),
    events.UnassignedEscalated: (
        "delivery.escalated", "searching",
        lambda event: {"level": event.level, "why": event.why, "waiting_ms": event.waiting_ms},
    ),
    events.ManualReviewRequired: (
        "delivery.needs_manual_review", "searching",
        lambda event: {"reason": event.reason, "critical": event.critical},
    ),
    events.ManualReviewEnded: ("delivery.manual_review_ended", "searching", _nothing),
}  # fmt: skip
"""By event: the type, the delivery's status after it ("": as it was), and what else is said. Never a person's data."""

TYPES: tuple[str, ...] = tuple(name for name, _, _ in TOLD.values())


def instant(at_ms: int) -> datetime:
    """UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def body(event: DeliveryEvent, seller_id: str, seller_order_id: str) -> str:
    """The message about an event that is told. The sequence is the delivery's version: it rises, with gaps."""
    kind, status, words = TOLD[type(event)]
    data = {
        "event_id": event.event_id, "delivery_id": event.delivery_id, "seller_id": seller_id,
        "seller_order_id": seller_order_id, "sequence": event.version,
    }  # fmt: skip
    if status:
        data["status"] = status
    return orjson.dumps({"type": kind, "timestamp": iso(event.at_ms), "data": data | words(event)}).decode()


def test_body(endpoint_id: str, seller_id: str, at_ms: int) -> str:
    """A message that is about nothing."""
    data = {"endpoint_id": endpoint_id, "seller_id": seller_id, "sequence": 0}
    return orjson.dumps({"type": TEST, "timestamp": iso(at_ms), "data": data}).decode()


def message_id(event_id: str, endpoint_id: str) -> str:
    """The `webhook-id`: follows from event and endpoint, so a repeat has the same."""
    return identity.derived("webhook", event_id, endpoint_id)
