"""What a driver earns, each part shown.

(base + per km + per minute) x multiplier + incentive. The multiplier is a whole percent; its share is a part of its
own; the incentive is a bonus of the zone and is not multiplied. Distances are whole metres and times whole seconds when
they come in. Rounded by the rule of `money`.
"""

import msgspec

from dispatch.contract.records.shared import OfferTerms
from dispatch.core.facts import ZoneFacts
from dispatch.core.money import share, whole_parts
from dispatch.core.policy import PayPolicy

WHOLE = 100
"""Percent: a multiplier of 1.0."""
_OF = 300_000
"""Thousandths (metres of a km), sixtieths (seconds of a minute) and hundredths of both (percent) are whole in it."""


class Earning(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Parts of an earning in minor units of the delivery's currency."""

    base_minor: int
    distance_minor: int
    time_minor: int
    multiplier_minor: int
    incentive_minor: int
    multiplier_percent: int = WHOLE

    @property
    def total_minor(self) -> int:
        """The sum of the parts."""
        return self.without_incentive_minor + self.incentive_minor

    @property
    def without_incentive_minor(self) -> int:
        """What is shared where a delivery is not completed: a bonus is for completing it."""
        return self.base_minor + self.distance_minor + self.time_minor + self.multiplier_minor

    def shared_minor(self, percent: int) -> int:
        """So many percent of the earning without the incentive, rounded."""
        return share(self.without_incentive_minor, percent)


def earning(
    total_m: int, total_s: int, policy: PayPolicy, multiplier_percent: int = WHOLE, incentive_minor: int = 0
) -> Earning:
    """The parts for a way of so many metres and seconds."""
    base = policy.base_minor * _OF
    distance = policy.per_km_minor * total_m * (_OF // 1000)
    time = policy.per_minute_minor * total_s * (_OF // 60)
    added = (base + distance + time) // WHOLE * (multiplier_percent - WHOLE)
    base, distance, time, multiplier, incentive = whole_parts((base, distance, time, added, incentive_minor * _OF), _OF)
    return Earning(base, distance, time, multiplier, incentive, multiplier_percent)


def earning_of(terms: OfferTerms) -> Earning:
    """The parts that an offer showed; of one made before parts were shown all but the incentive counts as base."""
    parts = terms.base_minor + terms.distance_minor + terms.time_minor + terms.multiplier_minor
    unshown = terms.earning_minor - terms.incentive_minor - parts
    return Earning(
        terms.base_minor + unshown,
        terms.distance_minor,
        terms.time_minor,
        terms.multiplier_minor,
        terms.incentive_minor,
        terms.multiplier_percent,
    )


def incentive_minor(zone: ZoneFacts | None, currency: str) -> tuple[int, str]:
    """The zone's bonus for a delivery in this currency, and why it does not apply, if it does not."""
    if zone is None or zone.incentive_minor == 0:
        return 0, ""
    if zone.incentive_currency != currency:
        return 0, f"the zone's incentive is in {zone.incentive_currency or 'no currency'}, the order in {currency}"
    return zone.incentive_minor, ""


class PayFacts(msgspec.Struct, frozen=True):
    """What an earning depends on besides the way; `agreed`: an offer showed it, and it holds."""

    multiplier_percent: int = WHOLE
    zone: ZoneFacts | None = None
    agreed: Earning | None = None


def agreed_or_new(pay: PayFacts, total_m: int, total_s: int, currency: str, policy: PayPolicy) -> tuple[Earning, str]:
    """The earning of an offer, and why the zone's incentive does not apply, if it does not."""
    bonus_minor, refused = incentive_minor(pay.zone, currency)
    if pay.agreed is not None:
        return pay.agreed, "" if pay.agreed.incentive_minor else refused
    return earning(total_m, total_s, policy, pay.multiplier_percent, bonus_minor), refused
