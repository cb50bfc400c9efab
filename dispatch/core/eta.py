"""When a driver will be at the store and at the customer's door: a middle, and the band that eight of ten fall into.

pickup = now + max(travel, rest of preparation); delivery = pickup + handling + travel to the drop-off. That is the
base, with the best travel time there is and the preparation that the store's history foretells; the band is the base's
length times what was learned of actual over reckoned (`eta_model`). Plain is the same without anything learned or
measured: straight line, pace, and the store's own estimate.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from dispatch.contract.records.shared import Eta, EtaBand, EtaShape, OfferTerms, Order, Route, Vehicle
from dispatch.core.policy import EtaPolicy, Policy
from dispatch.core.travel import distance_m, routed_s, travel_s

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Of the quantiles in an EtaShape."""
_P10, _P50, _P90 = LEVELS.index(0.1), LEVELS.index(0.5), LEVELS.index(0.9)
FORMULA = "formula"


class Asked(Protocol):
    """What is remembered of the driver who was asked: how far from the store, how long, by what."""

    @property
    def distance_m(self) -> int: ...
    @property
    def travel_s(self) -> int: ...
    @property
    def vehicle(self) -> Vehicle: ...


class Leg(msgspec.Struct, frozen=True):
    """The way that lies before a driver: as well as it is known, and by the formula."""

    seconds: float
    plain_s: float
    source: str = FORMULA


def leg(straight_m: float, vehicle: Vehicle, policy: Policy, at_ms: int, routed: Route | None = None) -> Leg:
    """The leg along a measured road, else by the straight line at the hour's pace."""
    plain_s = travel_s(straight_m, vehicle, policy.travel)
    if routed is not None:
        seconds = routed_s(routed.distance_m, routed.travel_s, vehicle, policy.travel, at_ms)
        return Leg(seconds, plain_s, routed.source)
    return Leg(travel_s(straight_m, vehicle, policy.travel, at_ms), plain_s)


def dropoff_leg(order: Order, route: Route | None, vehicle: Vehicle, policy: Policy, at_ms: int) -> Leg:
    """From the store to the customer."""
    straight_m = distance_m(order.pickup_lat, order.pickup_lng, order.dropoff_lat, order.dropoff_lng)
    return leg(straight_m, vehicle, policy, at_ms, route)


def with_eta(
    terms: OfferTerms,
    order: Order,
    asked: Asked,
    route: Route | None,
    shape: EtaShape | None,
    policy: Policy,
    now_ms: int,
) -> OfferTerms:
    """The terms with both arrivals banded, their middles as the times shown; nothing learned: as they are."""
    if shape is None:
        return terms
    plain_s = travel_s(asked.distance_m, asked.vehicle, policy.travel)
    to_store = Leg(asked.travel_s, plain_s, route.source if route is not None else FORMULA)
    to_customer = dropoff_leg(order, route, asked.vehicle, policy, now_ms)
    eta = before_pickup(order, to_store, to_customer, shape, policy, now_ms)
    pickup_ms = eta.pickup.p50_ms if eta.pickup is not None else terms.pickup_eta_ms
    return msgspec.structs.replace(terms, eta=eta, pickup_eta_ms=pickup_ms, delivery_eta_ms=eta.delivery.p50_ms)


def base_pickup_ms(order: Order, to_store: Leg, prep: float, now_ms: int) -> int:
    """When driver and goods are both at the store; `prep`: actual preparation over the store's estimate."""
    prepared_ms = order.placed_at_ms + round(order.prep_s * prep * 1000)
    return max(now_ms + round(to_store.seconds * 1000), prepared_ms)


def base_delivery_ms(to_customer: Leg, policy: Policy, from_ms: int) -> int:
    """When the customer has it, the driver setting off at `from_ms`."""
    return from_ms + round((policy.travel.handling_s + to_customer.seconds) * 1000)


def before_pickup(
    order: Order, to_store: Leg, to_customer: Leg, shape: EtaShape, policy: Policy, now_ms: int
) -> Eta:  # fmt: skip
    """Both arrivals while the goods are at the store."""
    pickup_ms = base_pickup_ms(order, to_store, shape.prep, now_ms)
    delivery_ms = base_delivery_ms(to_customer, policy, pickup_ms)
    plain_pickup_ms = max(now_ms + round(to_store.plain_s * 1000), order.placed_at_ms + order.prep_s * 1000)
    return Eta(
        pickup=band(pickup_ms, now_ms, shape.pickup, policy.eta),
        delivery=band(delivery_ms, now_ms, shape.delivery, policy.eta),
        base_pickup_ms=pickup_ms,
        base_delivery_ms=delivery_ms,
        plain_pickup_ms=plain_pickup_ms,
        plain_delivery_ms=plain_pickup_ms + round((policy.travel.handling_s + to_customer.plain_s) * 1000),
        source=to_store.source if to_store.source != FORMULA else to_customer.source,
        model_version=shape.model_version,
    )


def after_pickup(to_customer: Leg, shape: EtaShape, policy: Policy, now_ms: int) -> Eta:
    """The arrival at the customer while the goods are on their way."""
    delivery_ms = base_delivery_ms(to_customer, policy, now_ms)
    return Eta(
        pickup=None,
        delivery=band(delivery_ms, now_ms, shape.delivery, policy.eta),
        base_delivery_ms=delivery_ms,
        plain_delivery_ms=now_ms + round((policy.travel.handling_s + to_customer.plain_s) * 1000),
        source=to_customer.source,
        model_version=shape.model_version,
    )


def band(base_ms: int, now_ms: int, quantiles: Sequence[float], policy: EtaPolicy) -> EtaBand:
    """The base's length from now, stretched by the quantiles (at LEVELS) of actual over reckoned; never in the past."""
    times_ms = _stretched(base_ms, now_ms, quantiles, policy)
    good_ms = policy.good_s * 1000
    middle_ms = times_ms[_P50]
    chance = _share_below(middle_ms + good_ms, times_ms) - _share_below(middle_ms - good_ms, times_ms)
    return EtaBand(
        p10_ms=now_ms + round(times_ms[_P10]),
        p50_ms=now_ms + round(middle_ms),
        p90_ms=now_ms + round(times_ms[_P90]),
        confidence=max(0, min(100, round(100 * chance))),
    )


def middle_ms(base_ms: int, now_ms: int, quantile: float, policy: EtaPolicy) -> int:
    """The middle of a band, of which only that quantile is known."""
    return now_ms + round(_stretched(base_ms, now_ms, (quantile,), policy)[0])


def ratio(actual_ms: int, base_ms: int, from_ms: int, policy: EtaPolicy) -> float:
    """Actual over reckoned, as `band` will apply it: both counted from when it was reckoned."""
    floor_ms = policy.smallest_leg_s * 1000
    return (max(0, actual_ms - from_ms) + floor_ms) / (max(0, base_ms - from_ms) + floor_ms)


def moved(told_ms: int, now_ms: int, policy: EtaPolicy) -> bool:
    """Whether an arrival differs enough from what was told last."""
    return abs(now_ms - told_ms) > policy.tell_after_s * 1000


def _stretched(base_ms: int, now_ms: int, quantiles: Sequence[float], policy: EtaPolicy) -> list[float]:
    floor_ms = policy.smallest_leg_s * 1000
    rest_ms = max(0, base_ms - now_ms) + floor_ms
    return [max(0.0, rest_ms * ratio - floor_ms) for ratio in quantiles]


def _share_below(value: float, at_levels: Sequence[float]) -> float:
    """The share below a value, in straight lines between the levels; beyond the outermost, all of what is left."""
    if value < at_levels[0]:
        return 0.0
    if value >= at_levels[-1]:
        return 1.0
    for low, high, low_level, high_level in zip(at_levels, at_levels[1:], LEVELS, LEVELS[1:], strict=False):
        if low <= value < high:
            return low_level + (high_level - low_level) * (value - low) / (high - low)
    return 1.0
