"""Whether a driver who holds a delivery comes nearer to the pickup: the rule behind `driver_distance_too_far`."""

import msgspec

from dispatch.core.policy import ReassignmentPolicy


class Approach(msgspec.Struct, frozen=True):
    """One driver's way to one pickup."""

    delivery_id: str
    offer_id: str
    pickup_lat: float
    pickup_lng: float
    nearest_m: float = float("inf")
    nearest_at_ms: int = 0


_NEARER_M = 25.0
"""Less than this is the noise of positioning."""


def moved(approach: Approach, distance_m: float, at_ms: int, policy: ReassignmentPolicy) -> tuple[Approach, str]:
    """The approach after a ping at this distance, and why it has gone astray; empty: it has not."""
    if distance_m < approach.nearest_m - _NEARER_M:
        nearer = msgspec.structs.replace(approach, nearest_m=distance_m, nearest_at_ms=at_ms)
        return nearer, ""
    if distance_m > approach.nearest_m + policy.moving_away_m:
        return approach, f"{distance_m:.0f} m from the pickup, {approach.nearest_m:.0f} m before: moving away"
    still_s = (at_ms - approach.nearest_at_ms) / 1000
    if still_s > policy.no_progress_s and distance_m > policy.moving_away_m / 10:
        return approach, f"{distance_m:.0f} m from the pickup and no nearer for {still_s:.0f} s"
    return approach, ""
