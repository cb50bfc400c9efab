"""What a search of ten candidates costs beside the index: what is known of them, their rank, the event's bytes.

`python -m bench.ranking` prints microseconds a search: plain, with scores, and with scores and the acceptance model;
and how many events a second the scores are counted from, which is how long a start of `baton run scores` takes.
"""

import time
from collections.abc import Callable
from typing import Any

from dispatch.contract import codec
from dispatch.contract.records import delivery_events as de
from dispatch.core.acceptance import FEATURES, AcceptanceModel
from dispatch.core.driver_score import Tally, scored
from dispatch.core.facts import FoundDriver, SearchResult
from dispatch.core.policy import DriverScorePolicy, Policy
from dispatch.core.ranking import PLAIN, RankingVariant, rank
from dispatch.inputs.standing import Standing
from dispatch.streams.driver_scores import Tallies

NOW_MS = 1_790_000_000_000
DRIVERS = 10


def found(number: int) -> FoundDriver:
    """A driver as an index gives it."""
    return FoundDriver(
        driver_id=f"driver-{number}", lat=48, lng=7.85, distance_m=100 * number, vehicle="car", capacity=1, orders=0,
        rating=4.5, availability="AVAILABLE", last_assigned_ms=NOW_MS - 60_000 * number,
    )  # fmt: skip


def known(*, model: bool) -> Standing:
    """Scores of all drivers, and a model."""
    standing = Standing()
    for number in range(DRIVERS):
        tally = Tally(driver_id=f"driver-{number}", accepted=10 + number, completed=10, on_time=9, rating=4.5)
        standing.scores[tally.driver_id] = scored(tally, DriverScorePolicy())
    if model:
        ones = (1.0,) * len(FEATURES)
        standing.model = AcceptanceModel(
            version=1, features=FEATURES, means=ones, scales=ones, coefficients=ones, intercept=0.0,
            trained_offers=1_000, base_rate=0.7,
        )  # fmt: skip
    return standing


def measure(standing: Standing, switched: RankingVariant, times: int = 3_000) -> dict[str, float]:
    """Microseconds a search by step, the best of five runs."""
    policy = Policy()
    search = SearchResult(drivers=tuple(found(number) for number in range(DRIVERS)), source="valkey")
    told = standing.added(search, policy, NOW_MS, acceptance=switched.acceptance)
    event = de.DriverCandidatesFound(
        event_id="e", delivery_id="d", version=1, at_ms=NOW_MS, actor_type="system", actor_id="a", causation_id="c",
        correlation_id="c", search_no=1, radius_m=5_000, candidates=rank(told, policy, frozenset(), NOW_MS, switched),
        source="valkey", redis_ok=True, free_in_radius=DRIVERS, busy_in_radius=0, policy_version=1, zone="none",
    )  # fmt: skip
    return {
        "known": _us(lambda: standing.added(search, policy, NOW_MS, acceptance=switched.acceptance), times),
        "rank": _us(lambda: rank(told, policy, frozenset(), NOW_MS, switched), times),
        "encode": _us(lambda: codec.encode(event), times),
        "bytes": float(len(codec.encode(event))),
    }


def _us(step: Callable[[], Any], times: int) -> float:
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            step()
        best = min(best, time.perf_counter() - began)
    return round(1e6 * best / times, 1)


def counted_a_second(deliveries: int = 20_000) -> int:
    """Events a second, decoded and counted; a completed delivery has two that count (accepted and completed)."""
    header = {"event_id": "e", "delivery_id": "d", "version": 1, "at_ms": NOW_MS, "actor_type": "driver",
              "actor_id": "a", "causation_id": "c", "correlation_id": "c", "offer_id": "o"}  # fmt: skip
    values = []
    for number in range(deliveries):
        name = f"driver-{number % 500}"
        values.append(codec.encode(de.DriverAccepted(**header, driver_id=name, response_ms=4_000)))
        values.append(codec.encode(de.DeliveryCompleted(**header, driver_id=name, total_ms=900_000)))
    tallies, began = Tallies(), time.perf_counter()
    for value in values:
        tallies.take(codec.decode(value), 300_000)
    return round(len(values) / (time.perf_counter() - began))


if __name__ == "__main__":
    print("events counted a second", counted_a_second())
    print("plain", measure(Standing(), PLAIN))
    print("with scores", measure(known(model=False), PLAIN))
    print("with scores and model", measure(known(model=True), RankingVariant(acceptance=True)))
