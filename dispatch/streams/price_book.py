"""The dynamic price of each zone as its health is told: smoothed, in steps, with the last word on each. No I/O."""

from dispatch.contract.records.system import ZoneHealth, ZonePrice
from dispatch.core.policy import Policy
from dispatch.core.pricing import multiplier_percent, smoothed


class PriceBook:
    """What is in force, and what follows from the next count."""

    def __init__(self) -> None:
        self._seen: dict[str, ZonePrice] = {}
        """As of the last count, published or not."""
        self._told: dict[str, ZonePrice] = {}

    def recall(self, price: ZonePrice) -> None:
        """A price published before the start: smoothing goes on from it."""
        self._seen[price.zone] = self._told[price.zone] = price

    def take(self, health: ZoneHealth, policy: Policy) -> ZonePrice | None:
        """A count of a zone; the price to publish when it changed, or was not told for a while."""
        before, pricing = self._seen.get(health.zone), policy.pricing
        if before is not None and health.at_ms <= before.at_ms:
            return None
        pressure = max(0.0, health.pressure)
        passed_s, level = 0.0, 0.0
        if before is not None:
            silence_counts_s = pricing.smoothing_s  # nothing was known in it
            passed_s = min((health.at_ms - before.at_ms) / 1000, silence_counts_s)
            level = before.smoothed_pressure
        else:
            level = min(pressure, pricing.free_pressure)  # a zone that is new to prices begins at 1.0
        level = smoothed(level, pressure, passed_s, pricing)
        price = ZonePrice(
            zone=health.zone,
            multiplier_percent=multiplier_percent(level, pricing),
            pressure=pressure,
            smoothed_pressure=level,
            at_ms=health.at_ms,
            policy_version=policy.version,
        )
        self._seen[health.zone] = price
        told = self._told.get(health.zone)
        same = told is not None and told.multiplier_percent == price.multiplier_percent
        if told is not None and same and price.at_ms - told.at_ms < pricing.repeat_s * 1000:
            return None
        self._told[health.zone] = price
        return price
