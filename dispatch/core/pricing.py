"""The dynamic price: a zone's multiplier from its pressure, quotes that hold a while, and what an order is priced by.

A multiplier is a whole percent, 100 (1.0) to 200 (2.0). It is fixed once, when the order becomes known, and holds for
the delivery's life. A quote that holds outlives a flag that goes off: what was promised is kept.
"""

from math import exp

import msgspec

from dispatch.contract.records.shared import Order, PricedBy, QuoteOutcome
from dispatch.core.facts import Facts
from dispatch.core.money import rounded
from dispatch.core.pay import WHOLE
from dispatch.core.policy import PricingPolicy
from dispatch.core.quotes import Priceable, Quote, ZonePriceFact, priceable

HIGHEST = 200


class Priced(msgspec.Struct, frozen=True):
    """How a delivery is priced, and what became of the quote that its order names."""

    multiplier_percent: int
    priced_by: PricedBy
    quote: QuoteOutcome


def multiplier_percent(pressure: float, policy: PricingPolicy) -> int:
    """The step that this pressure reaches: 100 up to `free_pressure`, then rising, never above `max_percent`."""
    above = max(0.0, pressure - policy.free_pressure)
    wanted = min(above * policy.percent_per_pressure, float(HIGHEST))
    steps = int(wanted) // policy.step_percent
    return min(WHOLE + steps * policy.step_percent, policy.max_percent, HIGHEST)


def smoothed(before: float, pressure: float, passed_s: float, policy: PricingPolicy) -> float:
    """Exponential smoothing: after `smoothing_s` at a new pressure about 63% of the way there is made."""
    if passed_s <= 0:
        return before
    return pressure + (before - pressure) * exp(-passed_s / policy.smoothing_s)


def in_force(price: ZonePriceFact | None, now_ms: int, policy: PricingPolicy) -> int:
    """The multiplier of a zone now: 100 where nothing is known, or nothing was heard for `stale_s`."""
    if price is None or now_ms - price.at_ms > policy.stale_s * 1000:
        return WHOLE
    return max(WHOLE, min(price.multiplier_percent, policy.max_percent, HIGHEST))


def priced(order: Order, delivery_id: str, zone: str, facts: Facts) -> Priced:
    """By its quote if that holds, else by its zone's price, or not at all where the feature is off."""
    outcome = judged(order, facts.quote, facts.now_ms)
    if outcome == "held" and facts.quote is not None:
        return Priced(facts.quote.multiplier_percent, "quote", outcome)
    if not facts.flags.dynamic_pricing.covers(delivery_id, zone):
        return Priced(WHOLE, "off", outcome)
    return Priced(in_force(facts.price, facts.now_ms, facts.policy.pricing), "zone", outcome)


def judged(order: Order, quote: Quote | None, now_ms: int) -> QuoteOutcome:
    """Whether the quote that an order names is good for it. `unknown`: none that was given here."""
    if not order.quote_id:
        return "none"
    if quote is None:
        return "unknown"
    if now_ms >= quote.expires_ms:
        return "expired"
    return "held" if _asked(quote) == _asked(order) else "changed"


def delivery_fee_minor(way_m: int, percent: int, policy: PricingPolicy) -> int:
    """(base + per km) x multiplier, rounded once."""
    thousandths = policy.fee_base_minor * 1000 + policy.fee_per_km_minor * way_m
    return rounded(thousandths * percent, 1000 * WHOLE)


def _asked(about: Order | Quote) -> Priceable:
    pickup, dropoff = (about.pickup_lat, about.pickup_lng), (about.dropoff_lat, about.dropoff_lng)
    return priceable(pickup, dropoff, about.currency, about.delivery_fee_minor)
