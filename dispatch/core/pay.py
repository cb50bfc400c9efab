"""What a driver earns, in minor units."""

from dispatch.core.policy import PayPolicy


def earning_minor(total_m: float, total_s: float, incentive_minor: int, policy: PayPolicy) -> int:
    """Base + per km + per minute + incentive. Rounded once, at the end, half up to a whole minor unit."""
    exact = policy.base_minor + policy.per_km_minor * total_m / 1000 + policy.per_minute_minor * total_s / 60
    return int(exact + 0.5) + incentive_minor
