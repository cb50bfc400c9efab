"""What a quote promises: the delivery fee, what a driver earns from the store on, and the multiplier of both."""

import msgspec

from dispatch.core.money import one_currency
from dispatch.core.pay import WHOLE, earning
from dispatch.core.policy import Flags, Policy
from dispatch.core.pricing import delivery_fee_minor, in_force
from dispatch.core.quotes import DROPOFF_PLACES, PICKUP_PLACES, Place, Quote, ZonePriceFact
from dispatch.core.travel import distance_m, travel_s


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a quote is asked for."""

    pickup: Place
    dropoff: Place
    zone: str = "none"
    currency: str = ""
    """Empty: the policy's."""


class NoCurrency(Exception):
    """Neither the question nor the policy says in which currency."""


def quoted(asked: Asked, price: ZonePriceFact | None, policy: Policy, flags: Flags, now_ms: int) -> Quote:
    """The quote, good for `pricing.quote_hold_s`. Raises NoCurrency, or MixedCurrencies where the policy's is another.

    A rollout covers a share of the places asked for, since the delivery has no id yet.
    """
    currency = one_currency((policy.pay, policy.pricing, policy.cost), asked.currency)
    if not currency:
        raise NoCurrency("the policy names no currency, so the quote must")
    pickup = (round(asked.pickup[0], PICKUP_PLACES), round(asked.pickup[1], PICKUP_PLACES))
    dropoff = (round(asked.dropoff[0], DROPOFF_PLACES), round(asked.dropoff[1], DROPOFF_PLACES))
    dynamic = flags.dynamic_pricing.covers(f"{pickup} {dropoff}", asked.zone)
    percent = in_force(price, now_ms, policy.pricing) if dynamic else WHOLE
    way_m = distance_m(*pickup, *dropoff)
    way_s = travel_s(way_m, "car", policy.travel)
    return Quote(
        issued_ms=now_ms,
        expires_ms=now_ms + round(policy.pricing.quote_hold_s * 1000),
        zone=asked.zone,
        pickup_lat=pickup[0],
        pickup_lng=pickup[1],
        dropoff_lat=dropoff[0],
        dropoff_lng=dropoff[1],
        currency=currency,
        delivery_fee_minor=delivery_fee_minor(round(way_m), percent, policy.pricing),
        earning_minor=earning(round(way_m), round(way_s), policy.pay, percent).total_minor,
        multiplier_percent=percent,
        policy_version=policy.version,
    )
