"""Ranking: every part shown, bounded and in the right direction; and why one stands before another."""

from itertools import pairwise
from math import fsum
from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from world import World

from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Candidate
from dispatch.contract.score import PARTS, parts_of, why_before
from dispatch.core.facts import FoundDriver, SearchNeed, SearchResult
from dispatch.core.flags import Flag, Flags
from dispatch.core.policy import Policy, RankingPolicy
from dispatch.core.ranking import RankingVariant, explores, rank, variant

NOW_MS = 1_790_000_000_000
SWITCHED = RankingVariant(acceptance=True)
EXPLORES = RankingVariant(acceptance=True, explores=True)


def found(name: str, metres: int = 1000, **changes: object) -> FoundDriver:
    base = FoundDriver(driver_id=name, lat=1, lng=1, distance_m=metres, vehicle="car", capacity=9, orders=0, rating=4.0,
                       availability="AVAILABLE", last_assigned_ms=NOW_MS)  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def ranked(
    *drivers: FoundDriver, switched: RankingVariant = SWITCHED, policy: Policy | None = None
) -> tuple[Candidate, ...]:
    return rank(SearchResult(drivers=drivers), policy or Policy(), frozenset(), NOW_MS, switched)


def names(*drivers: FoundDriver, switched: RankingVariant = SWITCHED) -> list[str]:
    return [seen.driver_id for seen in ranked(*drivers, switched=switched)]


shares = st.none() | st.floats(0, 1)
drivers_found = st.lists(
    st.builds(
        found,
        st.integers(0, 10_000).map(str),
        st.integers(0, 20_000),
        travel_s=st.none() | st.floats(0, 7_200),
        rating=st.floats(0, 5),
        orders=st.integers(0, 10),
        availability=st.sampled_from(["AVAILABLE", "BUSY", "ON_BREAK"]),
        last_assigned_ms=st.just(0) | st.integers(NOW_MS - 10**9, NOW_MS + 10**6),
        preference=st.sampled_from(["", "PREFERRED", "AVAILABLE", "UNAVAILABLE"]),
        driver_score=shares,
        driver_score_mean=st.floats(0, 1),
        acceptance=shares,
    ),
    max_size=8,
    unique_by=lambda driver: driver.driver_id,
)
switches = st.builds(RankingVariant, st.booleans(), st.booleans())


@given(drivers_found, switches)
def test_the_parts_are_the_whole_score_and_the_order_follows_it(
    drivers: list[FoundDriver], switched: RankingVariant
) -> None:
    seen = ranked(*drivers, switched=switched)
    assert sorted(one.driver_id for one in seen) == sorted(driver.driver_id for driver in drivers)
    for one in seen:
        assert one.score == fsum(parts_of(one).values())
    fit = [one.score for one in seen if not one.excluded]
    assert fit == sorted(fit)
    assert all(one.excluded for one in seen[len(fit) :])


def test_every_field_of_a_candidate_that_counts_minutes_is_a_part() -> None:
    assert {name for name in Candidate.__struct_fields__ if name.endswith("_min")} == set(PARTS)


@given(drivers_found, switches)
def test_why_one_stands_before_another_adds_up_to_the_lead(
    drivers: list[FoundDriver], switched: RankingVariant
) -> None:
    fit = [one for one in ranked(*drivers, switched=switched) if not one.excluded]
    for first, second in pairwise(fit):
        why = why_before(first, second)
        assert fsum(one.minutes for one in why) == pytest.approx(second.score - first.score, abs=1e-9)
        if second.score > first.score:
            assert why[0].minutes > 0
        assert [one.minutes for one in why] == sorted((one.minutes for one in why), reverse=True)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_who_waited_longer_never_ranks_worse_and_the_credit_is_bounded(one_ms: int, other_ms: int) -> None:
    longer, shorter = max(one_ms, other_ms), min(one_ms, other_ms)
    a, b = (_only(found("x", last_assigned_ms=NOW_MS - waited)) for waited in (longer, shorter))
    assert a.score <= b.score
    assert -Policy().ranking.fairness_max_min <= a.fairness_min <= 0
    assert _only(found("x", last_assigned_ms=0)).score <= a.score  # who never had one is not worse off


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_better_score_or_chance_never_ranks_worse_and_both_are_bounded(one: float, other: float, mean: float) -> None:
    low, high = min(one, other), max(one, other)
    weights = Policy().ranking
    better, worse = (_only(found("x", driver_score=value, driver_score_mean=mean)) for value in (high, low))
    assert better.score <= worse.score
    assert abs(better.driver_score_min) <= weights.driver_score_min
    likely, unlikely = (_only(found("x", acceptance=value)) for value in (high, low))
    assert likely.score <= unlikely.score
    assert 0 <= likely.acceptance_min <= weights.refusal_min


def test_a_driver_score_has_the_rating_in_it() -> None:
    assert _only(found("x", rating=5.0)).rating_min == -0.5
    scored = _only(found("x", rating=5.0, driver_score=0.9, driver_score_mean=0.8))
    assert (scored.rating_min, scored.driver_score_min) == (0.0, pytest.approx(-0.4))


def test_the_time_of_a_routing_engine_goes_before_the_formula_and_its_source_is_kept() -> None:
    by_road = found("far-by-road", 500, travel_s=1800.0, travel_source="osrm")
    assert names(by_road, found("near-by-road", 3000)) == ["near-by-road", "far-by-road"]
    assert (_only(by_road).travel_min, _only(by_road).travel_source) == (30.0, "osrm")


def test_who_prefers_the_zone_is_credited_and_who_does_not_go_there_is_not_asked() -> None:
    assert names(found("a"), found("b", 1500, preference="PREFERRED")) == ["b", "a"]
    seen = ranked(found("a", 9000), found("b", preference="UNAVAILABLE"))
    assert [(one.driver_id, one.excluded) for one in seen] == [("a", ""), ("b", "zone_unavailable")]


def test_the_chance_of_acceptance_counts_only_where_the_flag_is_on() -> None:
    pair = (found("a", acceptance=0.2), found("b", 1300, acceptance=0.9))
    assert names(*pair, switched=SWITCHED) == ["b", "a"]
    off = ranked(*pair, switched=RankingVariant())
    assert [(one.driver_id, one.acceptance_min, one.accept_chance) for one in off] == [("a", 0.0, 0.2), ("b", 0.0, 0.9)]


@given(drivers_found)
def test_exploration_swaps_no_more_than_the_first_two_and_only_within_the_bound(drivers: list[FoundDriver]) -> None:
    plain, tried = ranked(*drivers), ranked(*drivers, switched=EXPLORES)
    bound = Policy().ranking.explore_within_min
    fit = [one for one in plain if not one.excluded]
    swaps = len(fit) >= 2 and fit[1].score - fit[0].score <= bound
    order = [one.driver_id for one in plain]
    if not swaps:
        assert tried == plain
        return
    assert [one.driver_id for one in tried] == [order[1], order[0], *order[2:]]
    assert tried[0].score < tried[1].score
    assert -(bound + 0.0011) <= tried[0].exploration_min < 0
    assert why_before(tried[0], tried[1])[0].minutes > 0


def test_exploration_takes_its_share_of_the_deliveries_always_the_same_ones() -> None:
    weights = RankingPolicy(explore_percent=10)
    taken = [name for name in map(str, range(4000)) if explores(name, weights)]
    assert 320 < len(taken) < 480
    assert taken == [name for name in map(str, range(4000)) if explores(name, weights)]
    assert not any(explores(name, RankingPolicy()) for name in taken)
    assert not variant(taken[0], weights, acceptance=False).explores  # off with the flag
    assert variant(taken[0], weights, acceptance=True).explores


def _only(driver: FoundDriver) -> Candidate:
    (seen,) = ranked(driver)
    return seen


class Knowing(World):
    """A city whose index knows the chance that each driver accepts."""

    chances: ClassVar[dict[str, float]] = {"ana": 0.1, "ben": 0.95}

    def search(self, need: SearchNeed) -> SearchResult:
        found = super().search(need)
        known = tuple(replace(driver, acceptance=self.chances[driver.driver_id]) for driver in found.drivers)
        return replace(found, drivers=known, model_version=5)


@pytest.mark.parametrize(
    ("flag", "first"),
    [
        (Flag(), "ben"),
        (Flag(enabled=False), "ana"),
        (Flag(rollout_percent=0), "ana"),
        (Flag(zones=("elsewhere",)), "ana"),
        (Flag(zones=("old-town",)), "ben"),
    ],
)
def test_a_delivery_asks_by_the_chance_of_acceptance_where_the_flag_covers_it(flag: Flag, first: str) -> None:
    world = Knowing(flags=Flags(acceptance_ranking=flag)).sign_on("ana").sign_on("ben")
    world.ready()
    search = next(event for event in world.events if isinstance(event, de.DriverCandidatesFound))
    offer = next(event for event in world.events if isinstance(event, de.DriverOfferSent))
    assert (search.candidates[0].driver_id, offer.driver_id, search.model_version) == (first, first, 5)


def test_a_delivery_that_explores_asks_the_second_best_and_says_so() -> None:
    policy = Policy(ranking=RankingPolicy(explore_percent=100))
    world = World(policy, Flags(acceptance_ranking=Flag())).sign_on("ana").sign_on("ben")
    world.ready()
    offer = next(event for event in world.events if isinstance(event, de.DriverOfferSent))
    search = next(event for event in world.events if isinstance(event, de.DriverCandidatesFound))
    assert (offer.driver_id, search.candidates[0].exploration_min < 0) == ("ben", True)
