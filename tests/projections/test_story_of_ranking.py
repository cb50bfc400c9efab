"""The story of a search names every part of every score, and what put the first before the second."""

from typing import Any

from dispatch.contract.records import delivery_events as de
from dispatch.core.facts import FoundDriver, SearchResult
from dispatch.core.policy import Policy
from dispatch.core.ranking import RankingVariant, rank
from projections.story import tell

NOW_MS = 1_790_000_000_000


def a_driver(name: str, **changes: Any) -> FoundDriver:
    fields: dict[str, Any] = {
        "driver_id": name, "lat": 48, "lng": 7.85, "distance_m": 1000, "vehicle": "car", "capacity": 1, "orders": 0,
        "rating": 4.0, "availability": "AVAILABLE", "last_assigned_ms": NOW_MS, "travel_s": 300.0,
    }  # fmt: skip
    return FoundDriver(**{**fields, **changes})


def told(*drivers: FoundDriver, explores: bool = False, model: int = 3) -> list[str]:
    search = SearchResult(drivers=drivers, source="valkey", model_version=model)
    candidates = rank(search, Policy(), frozenset(), NOW_MS, RankingVariant(acceptance=True, explores=explores))
    event = de.DriverCandidatesFound(
        event_id="e", delivery_id="d", version=1, at_ms=NOW_MS, actor_type="system", actor_id="a", causation_id="c",
        correlation_id="c", search_no=1, radius_m=5000, candidates=candidates, source="valkey", redis_ok=True,
        free_in_radius=len(drivers), busy_in_radius=0, policy_version=7, zone="none", model_version=model,
    )  # fmt: skip
    return [sentence for _, sentence in tell([event])]


def test_every_part_is_named_with_what_it_rests_on() -> None:
    lines = told(
        a_driver("ana", travel_source="osrm", preference="PREFERRED", driver_score=0.91, driver_score_mean=0.85,
                 acceptance=0.8),
        a_driver("ben", travel_s=240.0, driver_score=0.85, driver_score_mean=0.85, acceptance=0.3),
    )  # fmt: skip
    assert lines[0].endswith("(valkey answered, policy 7, acceptance model 3)")
    assert lines[1].endswith(
        "3.4 = 5.0 min to the store by osrm, driver score 91 -0.24, prefers the zone -2.0, accepts with 80% +0.6"
    )
    assert lines[2].endswith("6.1 = 4.0 min to the store, accepts with 30% +2.1")
    assert lines[3] == (
        "  ana before ben by 2.7 min, most of it the preference for this zone (+2.0); "
        "also acceptance +1.5, driver score +0.24, travel -1.0"
    )


def test_a_second_best_whose_turn_it_is_is_told_as_such() -> None:
    lines = told(a_driver("ana"), a_driver("ben", travel_s=360.0), explores=True, model=0)
    assert "acceptance model" not in lines[0]
    assert lines[1].startswith("  1. ben")
    assert "exploration -1.0" in lines[1]
    assert lines[3].startswith("  ben before ana by 0.001 min, most of it the turn of a second-best, to learn from it")
