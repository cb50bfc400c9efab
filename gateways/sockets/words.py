"""Records as a driver's app reads them. Every message has both words: `type`, of old, and `event`, the event's name."""

from typing import Any

from dispatch.contract.instants import iso
from dispatch.contract.records.driver_events import DriverAvailabilityChanged, DriverBreakExtended, DriverBreakNoticed
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated, OfferEnded
from dispatch.contract.records.shared import OfferTerms
from dispatch.contract.records.system import Notice

OFFERED = {"type": "DELIVERY_OFFERED_V2", "event": "offer_created"}
ASSIGNED = {"type": "DELIVERY_ASSIGNED", "event": "delivery_assigned"}
_OVER = "break_over"
"""The reason of the change with which a break ends by itself."""
_OUTCOMES = {
    "ACCEPTED": "offer_accepted", "REJECTED": "offer_rejected", "EXPIRED": "offer_expired",
    "WITHDRAWN": "offer_withdrawn",
}  # fmt: skip
Message = dict[str, Any]


def worded(record: Any) -> Message | None:
    """The message; None for a record of which drivers are not told."""
    at = iso(record.at_ms)
    match record:
        case OfferCreated():
            more = {"expires_at": iso(record.expires_at_ms), **_terms(record.terms, record)}
            return {**OFFERED, **_which(record), **more}
        case DeliveryAssigned():
            return {**ASSIGNED, **_which(record), "how": record.how, **_terms(record.terms, record)}
        case OfferEnded():
            event = _OUTCOMES.get(record.outcome, "offer_ended")
            ended = {"type": "OFFER_ENDED", "event": event, **_which(record)}
            return {**ended, "outcome": record.outcome, "why": record.why}
        case AssignmentEnded():
            return {"type": "ASSIGNMENT_ENDED", "event": "assignment_ended", **_which(record), "why": record.why}
        case DriverAvailabilityChanged():
            return {
                "type": "AVAILABILITY_CHANGED",
                "event": "break_expired" if record.reason == _OVER else "availability_changed",
                "at": at,
                "from": record.from_availability,
                "to": record.to_availability,
                "reason": record.reason,
                "until": iso(record.until_ms) if record.until_ms else None,
            }
        case DriverBreakNoticed():
            return {"type": "BREAK_ENDS_SOON", "event": "break_ends_soon", "at": at, "until": iso(record.until_ms)}
        case DriverBreakExtended():
            return {"type": "BREAK_EXTENDED", "event": "break_extended", "at": at, "until": iso(record.until_ms)}
        case Notice(audience="driver", kind="zone_request", details=said):
            place = {"zone_id": said.get("zone_id", ""), "zone": said.get("zone", ""), "note": said.get("note", "")}
            return {"type": "ZONE_REQUEST", "event": "zone_request", "at": at, **place}
        case Notice(audience="driver", kind="broadcast", details=said):
            return {
                "type": "BROADCAST", "event": "broadcast", "at": at, "broadcast_id": said.get("broadcast_id", ""),
                "text": said.get("text", ""), "zone_id": said.get("zone_id") or None,
            }  # fmt: skip
        case _:
            return None


def _which(record: OfferCreated | DeliveryAssigned | OfferEnded | AssignmentEnded) -> Message:
    return {"offer_id": record.offer_id, "delivery_id": record.delivery_id, "at": iso(record.at_ms)}


def _terms(terms: OfferTerms, record: Any) -> Message:
    return {
        "store_name": terms.store_name,
        "pickup": {"lat": terms.pickup_lat, "lng": terms.pickup_lng},
        "dropoff": {"lat": terms.dropoff_lat, "lng": terms.dropoff_lng},
        "pickup_in_min": round(max(0, terms.pickup_eta_ms - record.at_ms) / 60_000, 1),
        "delivery_at": iso(terms.delivery_eta_ms),
        "pickup_distance_km": round(terms.pickup_distance_m / 1000, 2),
        "total_distance_km": round(terms.total_distance_m / 1000, 2),
        "earning": {"amount_minor": terms.earning_minor, "currency": terms.currency},
        "incentive": {"amount_minor": terms.incentive_minor, "currency": terms.currency},
        "earning_parts": {
            "base_minor": terms.base_minor,
            "distance_minor": terms.distance_minor,
            "time_minor": terms.time_minor,
            "multiplier_percent": terms.multiplier_percent,
            "multiplier_minor": terms.multiplier_minor,
            "incentive_minor": terms.incentive_minor,
            "incentive_refused": terms.incentive_refused,
        },
    }
