"""Rows and events in public words. Pure: what a customer, a seller and operations may read, and nothing else."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dispatch.contract import instants
from projections.queries_tracking import SHOWN

Said = tuple[str, dict[str, Any]]
"""A message's name and its data."""
STATUS, ETA, PLACE = "delivery_status_updated", "delivery_eta_updated", "delivery_location_updated"
_STATUS_AFTER = {
    "DeliveryCreated": "created",
    "AssignmentStarted": "searching",
    "DriverOfferSent": "offered",
    "DriverRejected": "searching",
    "OfferExpired": "searching",
    "OfferWithdrawn": "searching",
    "DriverAssigned": "assigned",
    "AssignmentReassigned": "searching",
    "PickupStarted": "enroute_to_pickup",
    "ArrivedAtPickup": "arrived_at_pickup",
    "PickupCompleted": "picked_up",
    "DeliveryStarted": "enroute_to_dropoff",
    "ArrivedAtDropoff": "arrived_at_dropoff",
    "DeliveryCompleted": "delivered",
    "DeliveryFailed": "failed",
    "DeliveryReturned": "returned",
    "DeliveryCancelled": "cancelled",
}
_ENDS = ("DeliveryCompleted", "DeliveryReturned", "DeliveryCancelled")
_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_SEEN_DIGITS, _FEWEST_DIGITS = 3, 6


def status_after(event: str, body: Mapping[str, Any]) -> str | None:
    """The status that an event leads to; None: it leaves it as it was."""
    if event == "OfferExpired" and body["auto_assigned"]:
        return None
    return _STATUS_AFTER.get(event)


def ends(event: str, body: Mapping[str, Any]) -> bool:
    """Whether nothing follows but what is put in order afterwards."""
    return event in _ENDS or (event == "DeliveryFailed" and not body["returning"])


def holder_after(event: str, body: Mapping[str, Any], before: str) -> str:
    """Who has it after an event; empty: nobody."""
    if event == "DriverAssigned":
        return str(body["driver_id"])
    status = status_after(event, body)
    return before if status is None or status in SHOWN else ""


def messages(event: str, body: Mapping[str, Any]) -> list[Said]:
    """What followers of a delivery hear of one of its events, in order; often nothing."""
    about = {"delivery_id": body["delivery_id"], "version": body["version"], "at": iso(body["at_ms"])}
    said: list[Said] = []
    if (status := status_after(event, body)) is not None:
        said.append((STATUS, about | {"status": status}))
    if event == "EtaChanged":
        said.append((ETA, about | _etas(body["eta"]) | {"why": body["why"]}))
    elif event == "DriverAssigned":
        terms = body["terms"]
        plain = {"pickup_eta": _middle(terms["pickup_eta_ms"]), "delivery_eta": _middle(terms["delivery_eta_ms"])}
        said.append((ETA, about | (_etas(terms["eta"]) if terms.get("eta") else plain) | {"why": "assigned"}))
    return said


def status(row: Mapping[str, Any], now: datetime, *, tracking_url: str | None) -> dict[str, Any]:
    """A delivery in public words. Driver and place from assignment to hand-over only."""
    shown = row["status"] in SHOWN
    return {
        "delivery_id": row["delivery_id"],
        "version": row["version"],
        "status": row["status"],
        "store_name": row["store_name"],
        "driver": driver(row) if shown and row["vehicle"] else None,
        "location": location(row, now) if shown else None,
        "pickup_eta": None if row["picked_up_at"] else _band(row, "pickup_eta", row["pickup_eta_confidence"]),
        "delivery_eta": None if row["ended_at"] else _band(row, "delivery_eta", row["eta_confidence"]),
        "prep_minutes": round(row["prep_s"] / 60, 1),
        "tracking_url": tracking_url,
        "updated_at": iso(row["updated_at"]),
        "ended_at": iso(row["ended_at"]) if row["ended_at"] else None,
    }


def driver(row: Mapping[str, Any]) -> dict[str, Any]:
    """First name, rating, vehicle and masked phone; null for what is not known."""
    words = (row["name"] or "").split()
    return {
        "first_name": words[0] if words else None,
        "rating": row["rating"] or None,
        "vehicle": row["vehicle"],
        "phone_masked": masked(row["phone"] or ""),
    }


def masked(phone: str) -> str | None:
    """Its last three digits, the others as stars; None for what is too short to be a number."""
    digits = re.sub(r"\D", "", phone)
    if len(digits) < _FEWEST_DIGITS:
        return None
    return "*" * (len(digits) - _SEEN_DIGITS) + digits[-_SEEN_DIGITS:]


def location(row: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    """Where the driver is: degrees, accuracy in metres (null: not told), age in seconds; None: nobody knows."""
    if row["lat"] is None or row["placed_at"] is None:
        return None
    return place(row["lat"], row["lng"], row["accuracy_m"], row["placed_at"], now)


def place(lat: float, lng: float, accuracy_m: float | None, at: datetime, now: datetime) -> dict[str, Any]:
    """A place with its accuracy and age."""
    age_s = max(0.0, (now - at).total_seconds())
    return {"lat": lat, "lng": lng, "accuracy_m": accuracy_m or None, "at": iso(at), "age_s": round(age_s, 1)}


def on_map(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A driver on the live map."""
    told = {name: row[name] for name in ("driver_id", "availability", "vehicle", "capacity", "holds", "deliveries")}
    return told | {"location": location(row, now)}


def waiting_on_map(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """An order that waits, on the live map."""
    told = ("delivery_id", "zone", "status", "store_name", "escalation_level", "needs_manual_review")
    return {name: row[name] for name in told} | {
        "pickup": {"lat": row["pickup_lat"], "lng": row["pickup_lng"]},
        "dropoff": {"lat": row["dropoff_lat"], "lng": row["dropoff_lng"]},
        "waiting_since": iso(row["waiting_since"]),
        "waiting_s": round(max(0.0, (now - row["waiting_since"]).total_seconds()), 1),
    }


def iso(at: datetime | int) -> str:
    """ISO-8601, UTC."""
    return instants.iso(at if isinstance(at, int) else (at - _EPOCH) // _MS)


def _band(row: Mapping[str, Any], name: str, confidence: int | None) -> dict[str, Any] | None:
    if row[name] is None:
        return None
    ends = {edge: iso(row[f"{name}_{edge}"]) if row[f"{name}_{edge}"] else None for edge in ("p10", "p90")}
    return {"p10": ends["p10"], "p50": iso(row[name]), "p90": ends["p90"], "confidence_percent": confidence}


def _etas(eta: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _told(eta[part]) for name, part in (("pickup_eta", "pickup"), ("delivery_eta", "delivery"))}


def _told(band: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if band is None:
        return None
    return {edge: iso(band[f"{edge}_ms"]) for edge in ("p10", "p50", "p90")} | {
        "confidence_percent": band["confidence"]
    }


def _middle(at_ms: int) -> dict[str, Any]:
    return {"p10": None, "p50": iso(at_ms), "p90": None, "confidence_percent": None}


def for_operations(event: str, body: Mapping[str, Any], zone: str | None) -> Iterator[Said]:
    """What operations hear of a delivery's event."""
    about = {"delivery_id": body["delivery_id"], "version": body["version"], "at": iso(body["at_ms"]), "zone": zone}
    if (status := status_after(event, body)) is not None:
        yield STATUS, about | {"status": status, "driver_id": body.get("driver_id") or None}
    if event == "UnassignedEscalated":
        told = {name: body[name] for name in ("level", "why", "waiting_ms", "radius_m", "by_admin")}
        yield "unassigned_order_escalated", about | told
