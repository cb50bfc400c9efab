"""Who is asked first: expected minutes to the pickup, with minutes credited or charged, each part shown.

score = travel_min + rating_min + fairness_min + load_min; the lowest is first, the driver's id breaks ties.
"""

from dispatch.contract.records.shared import Candidate
from dispatch.core.facts import FoundDriver, SearchResult
from dispatch.core.policy import Policy
from dispatch.core.travel import travel_s


def rank(search: SearchResult, policy: Policy, excluded: frozenset[str], now_ms: int) -> tuple[Candidate, ...]:
    """The candidates, best first; those who cannot be asked stand last, with the reason in `excluded`."""
    seen = [_candidate(found, search, policy, excluded, now_ms) for found in search.drivers]
    seen.sort(key=lambda candidate: (candidate.excluded != "", candidate.score, candidate.driver_id))
    return tuple(seen)


def _candidate(
    found: FoundDriver, search: SearchResult, policy: Policy, excluded: frozenset[str], now_ms: int
) -> Candidate:
    weights = policy.ranking
    seconds = travel_s(found.distance_m, found.vehicle, policy.travel)
    rating_min = 0.0
    if found.rating > 0:
        rating_min = -weights.rating_min_per_star * (found.rating - weights.rating_mean)
    waited_h = (now_ms - found.last_assigned_ms) / 3_600_000 if found.last_assigned_ms else float("inf")
    fairness_min = -min(weights.fairness_max_min, weights.fairness_min_per_hour * max(0.0, waited_h))
    load_min = weights.load_min_per_order * found.orders
    travel_min = seconds / 60
    return Candidate(
        driver_id=found.driver_id,
        distance_m=found.distance_m,
        travel_s=round(seconds),
        orders=found.orders,
        capacity=found.capacity,
        rating=found.rating,
        vehicle=found.vehicle,
        availability=found.availability,
        score=travel_min + rating_min + fairness_min + load_min,
        travel_min=travel_min,
        rating_min=rating_min,
        fairness_min=fairness_min,
        load_min=load_min,
        source=search.source,
        excluded=_why_not(found, excluded),
    )


def _why_not(found: FoundDriver, excluded: frozenset[str]) -> str:
    if found.driver_id in excluded:
        return "former_driver"
    if found.orders >= found.capacity:
        return "at_capacity"
    return "" if found.availability in ("AVAILABLE", "BUSY") else "not_available"
