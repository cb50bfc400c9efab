"""Who is asked first: expected minutes to the pickup, with minutes credited or charged, each part shown.

score = travel + rating or driver score + fairness + load + zone + acceptance + exploration: the parts that
`dispatch.contract.score` names, in minutes; the lowest is first, the driver's id breaks ties.
"""

import hashlib
from math import fsum

import msgspec

from dispatch.contract.records.shared import Candidate
from dispatch.contract.score import parts_of
from dispatch.core.facts import FoundDriver, SearchResult
from dispatch.core.policy import Policy, RankingPolicy
from dispatch.core.travel import travel_s

AHEAD_MIN = 0.001
"""By so much a second-best whose turn it is comes before the best."""


class RankingVariant(msgspec.Struct, frozen=True):
    """What is switched on for this delivery."""

    acceptance: bool = False
    """The chance of acceptance is charged for, and exploration takes place (flag `acceptance_ranking`)."""
    explores: bool = False
    """This delivery is one of those in which a second-best may go first."""


PLAIN = RankingVariant()
UNKNOWN = -1
"""In a record, of what is never negative: a nullable number costs several times as much to write."""


def variant(delivery_id: str, policy: RankingPolicy, *, acceptance: bool) -> RankingVariant:
    """The variant of a delivery: the same for the same id, always."""
    return RankingVariant(acceptance, acceptance and explores(delivery_id, policy))


def explores(delivery_id: str, policy: RankingPolicy) -> bool:
    """Whether a second-best may go first in this delivery: a share of all, by a hash other than that of the flags."""
    digest = hashlib.sha256(f"explore {delivery_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < policy.explore_percent


def rank(
    search: SearchResult, policy: Policy, excluded: frozenset[str], now_ms: int, switched: RankingVariant = PLAIN
) -> tuple[Candidate, ...]:
    """The candidates, best first; those who cannot be asked stand last, with the reason in `excluded`."""
    judged = [_candidate(found, search, policy, excluded, now_ms, switched) for found in search.drivers]
    judged.sort(key=_order)
    if switched.explores:
        judged = _explored(judged, policy.ranking)
    return tuple(judged)


def _order(candidate: Candidate) -> tuple[bool, float, str]:
    return candidate.excluded != "", candidate.score, candidate.driver_id


def _candidate(
    found: FoundDriver,
    search: SearchResult,
    policy: Policy,
    excluded: frozenset[str],
    now_ms: int,
    switched: RankingVariant,
) -> Candidate:
    weights = policy.ranking
    seconds = travel_seconds(found, policy)
    waited_s = max(0.0, (now_ms - found.last_assigned_ms) / 1000) if found.last_assigned_ms else None
    travel_min = seconds / 60
    rating_min = _rating_min(found, weights)
    driver_score_min = _driver_score_min(found, weights)
    fairness_min = _fairness_min(waited_s, weights)
    load_min = weights.load_min_per_order * found.orders
    zone_min = -weights.preferred_zone_min if found.preference == "PREFERRED" else 0.0
    acceptance_min = 0.0
    if switched.acceptance and found.acceptance is not None:
        acceptance_min = weights.refusal_min * (1 - found.acceptance)
    return Candidate(
        driver_id=found.driver_id,
        distance_m=found.distance_m,
        travel_s=round(seconds),
        travel_source=found.travel_source,
        orders=found.orders,
        capacity=found.capacity,
        rating=found.rating,
        vehicle=found.vehicle,
        availability=found.availability,
        score=fsum((travel_min, rating_min, driver_score_min, fairness_min, load_min, zone_min, acceptance_min)),
        travel_min=travel_min,
        rating_min=rating_min,
        driver_score_min=driver_score_min,
        fairness_min=fairness_min,
        load_min=load_min,
        zone_min=zone_min,
        acceptance_min=acceptance_min,
        score_share=_or_unknown(found.driver_score),
        accepts_share=_or_unknown(found.acceptance_rate),
        accept_chance=_or_unknown(found.acceptance),
        idle_s=round(waited_s) if waited_s is not None else UNKNOWN,
        source=search.source,
        excluded=_why_not(found, excluded),
    )


def travel_seconds(found: FoundDriver, policy: Policy) -> float:
    """Seconds to the pickup: a routing engine's, where one answered, else the formula's."""
    if found.travel_s is not None:
        return found.travel_s
    return travel_s(found.distance_m, found.vehicle, policy.travel)


def _or_unknown(share: float | None) -> float:
    return UNKNOWN if share is None else share


def _rating_min(found: FoundDriver, weights: RankingPolicy) -> float:
    """Stars above the mean, where no score is known; a score has the rating in it."""
    if found.driver_score is not None or found.rating <= 0:
        return 0.0
    return -weights.rating_min_per_star * (found.rating - weights.rating_mean)


def _driver_score_min(found: FoundDriver, weights: RankingPolicy) -> float:
    if found.driver_score is None:
        return 0.0
    return -weights.driver_score_min * (found.driver_score - found.driver_score_mean)


def _fairness_min(waited_s: float | None, weights: RankingPolicy) -> float:
    """Credited for waiting, up to a bound; who never had an assignment gets the bound."""
    if waited_s is None:
        return -weights.fairness_max_min
    return -min(weights.fairness_max_min, weights.fairness_min_per_hour * waited_s / 3600)


def _explored(judged: list[Candidate], weights: RankingPolicy) -> list[Candidate]:
    """The second-best goes first, if it is hardly worse: credited with the gap, so that the sum says so."""
    if len(judged) < 2 or judged[1].excluded:
        return judged
    best, second, *rest = judged
    gap_min = second.score - best.score
    if gap_min > weights.explore_within_min:
        return judged
    credited = msgspec.structs.replace(second, exploration_min=-(gap_min + AHEAD_MIN))
    credited = msgspec.structs.replace(credited, score=fsum(parts_of(credited).values()))
    return [credited, best, *rest]


def _why_not(found: FoundDriver, excluded: frozenset[str]) -> str:
    if found.driver_id in excluded:
        return "former_driver"
    if found.orders >= found.capacity:
        return "at_capacity"
    if found.preference == "UNAVAILABLE":
        return "zone_unavailable"
    return "" if found.availability in ("AVAILABLE", "BUSY") else "not_available"
