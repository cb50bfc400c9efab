"""What an offer shows, and how the want of candidates is named."""

from typing import Protocol

from dispatch.contract.records.shared import OfferTerms, Order, UnassignedReason, Vehicle
from dispatch.core.facts import SearchResult
from dispatch.core.pay import PayFacts, agreed_or_new
from dispatch.core.policy import Policy
from dispatch.core.travel import distance_m, travel_s

NO_EXTRAS = PayFacts()


class Asked(Protocol):
    """What is remembered of the driver who was asked: how far, how long, by what."""

    @property
    def distance_m(self) -> int: ...
    @property
    def travel_s(self) -> int: ...
    @property
    def vehicle(self) -> Vehicle: ...


def offer_terms(order: Order, asked: Asked, policy: Policy, now_ms: int, pay: PayFacts = NO_EXTRAS) -> OfferTerms:
    """Pickup = now + max(travel, rest of preparation); delivery = pickup + handling + travel to the drop-off."""
    way_m = distance_m(order.pickup_lat, order.pickup_lng, order.dropoff_lat, order.dropoff_lng)
    way_s = travel_s(way_m, asked.vehicle, policy.travel)
    prepared_ms = order.placed_at_ms + order.prep_s * 1000
    pickup_ms = max(now_ms + asked.travel_s * 1000, prepared_ms)
    delivery_ms = pickup_ms + round((policy.travel.handling_s + way_s) * 1000)
    total_m = round(asked.distance_m + way_m)
    parts, refused = agreed_or_new(pay, total_m, round(asked.travel_s + way_s), order.currency, policy.pay)
    return OfferTerms(
        store_name=order.store_name,
        pickup_lat=order.pickup_lat,
        pickup_lng=order.pickup_lng,
        dropoff_lat=order.dropoff_lat,
        dropoff_lng=order.dropoff_lng,
        pickup_eta_ms=pickup_ms,
        delivery_eta_ms=delivery_ms,
        pickup_distance_m=asked.distance_m,
        total_distance_m=total_m,
        earning_minor=parts.total_minor,
        base_minor=parts.base_minor,
        distance_minor=parts.distance_minor,
        time_minor=parts.time_minor,
        multiplier_minor=parts.multiplier_minor,
        multiplier_percent=parts.multiplier_percent,
        incentive_minor=parts.incentive_minor,
        incentive_refused=refused,
        currency=order.currency,
    )


def unassigned_reason(search: SearchResult | None) -> UnassignedReason:
    """Why nobody could be asked."""
    if search is None:
        return "unknown"
    if search.failed:
        return "redis_timeout"
    if search.busy_in_radius or any(found.orders >= found.capacity for found in search.drivers):
        return "all_drivers_busy"
    return "distance_exceeded" if search.nearest_m is not None else "no_available_drivers"
