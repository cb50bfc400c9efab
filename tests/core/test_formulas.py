"""Ranking, travel, pay, terms, policy: each part shown, sums exact."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import an_order

from dispatch.core.facts import FoundDriver, SearchResult
from dispatch.core.pay import earning
from dispatch.core.policy import Flag, PayPolicy, Policy, TravelPolicy, scaled
from dispatch.core.ranking import rank
from dispatch.core.terms import offer_terms, unassigned_reason
from dispatch.core.travel import distance_m, travel_s

NOW_MS = 1_790_000_000_000


def found(name: str, metres: int = 1000, **changes: object) -> FoundDriver:
    base = FoundDriver(driver_id=name, lat=1, lng=1, distance_m=metres, vehicle="car", capacity=1, orders=0, rating=4.0,
                       availability="AVAILABLE", last_assigned_ms=NOW_MS)  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def ranked(*drivers: FoundDriver, excluded: frozenset[str] = frozenset()) -> list[str]:
    return [seen.driver_id for seen in rank(SearchResult(drivers=drivers), Policy(), excluded, NOW_MS)]


def test_the_shorter_way_goes_first_and_the_name_breaks_ties() -> None:
    assert ranked(found("b", 2000), found("a", 1000)) == ["a", "b"]
    assert ranked(found("b"), found("a")) == ["a", "b"]


def test_rating_waiting_and_load_move_a_driver() -> None:
    assert ranked(found("a"), found("b", rating=5.0)) == ["b", "a"]
    assert ranked(found("a"), found("b", last_assigned_ms=NOW_MS - 3_600_000)) == ["b", "a"]
    assert ranked(found("a", capacity=2, orders=1), found("b", 2000)) == ["b", "a"]
    assert ranked(found("a"), found("new", rating=0.0, last_assigned_ms=0)) == ["new", "a"]


def test_those_who_cannot_be_asked_stand_last_with_the_reason() -> None:
    search = SearchResult(
        drivers=(found("former"), found("full", orders=1), found("rests", availability="ON_BREAK"), found("fit", 4000))
    )
    seen = rank(search, Policy(), frozenset({"former"}), NOW_MS)
    assert [(candidate.driver_id, candidate.excluded) for candidate in seen] == [
        ("fit", ""), ("former", "former_driver"), ("rests", "not_available"), ("full", "at_capacity"),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 20_000), st.floats(0, 5), st.integers(0, 3)), max_size=8))
def test_the_parts_of_a_score_are_its_sum_and_the_order_follows_it(rows: list[tuple[int, float, int]]) -> None:
    drivers = tuple(
        found(f"d{n}", metres, rating=rating, orders=orders, capacity=9)
        for n, (metres, rating, orders) in enumerate(rows)
    )
    seen = rank(SearchResult(drivers=drivers), Policy(), frozenset(), NOW_MS)
    assert len(seen) == len(rows)
    for one in seen:
        assert one.score == pytest.approx(one.travel_min + one.rating_min + one.fairness_min + one.load_min)
    assert [one.score for one in seen] == sorted(one.score for one in seen)


def test_distance_and_travel() -> None:
    assert distance_m(48, 7.85, 49, 7.85) == pytest.approx(111_195, rel=1e-3)
    assert distance_m(0, 0, 0, 180) == pytest.approx(20_015_115, rel=1e-3)
    for vehicle in ("bicycle", "scooter", "motorbike", "car", "van"):
        assert travel_s(1000, vehicle, TravelPolicy()) > 100  # type: ignore[arg-type]
    assert travel_s(1000, "bicycle", TravelPolicy()) > travel_s(1000, "car", TravelPolicy())


def test_pay_is_rounded_once_half_up() -> None:
    policy = PayPolicy(base_minor=0, per_km_minor=1, per_minute_minor=0)
    assert [earning(metres, 0, policy).total_minor for metres in (499, 500, 1499, 1500)] == [0, 1, 1, 2]
    assert earning(0, 0, PayPolicy(base_minor=250), incentive_minor=7).total_minor == 257


def test_terms_wait_for_the_preparation() -> None:
    order = an_order(prep_s=600, placed_at_ms=NOW_MS)
    terms = offer_terms(order, _asked(1000, 60), Policy(), NOW_MS)
    assert terms.pickup_eta_ms == NOW_MS + 600_000
    assert (
        offer_terms(an_order(prep_s=0, placed_at_ms=NOW_MS), _asked(1000, 60), Policy(), NOW_MS).pickup_eta_ms
        == NOW_MS + 60_000
    )
    assert terms.delivery_eta_ms > terms.pickup_eta_ms + 120_000
    assert terms.total_distance_m > terms.pickup_distance_m == 1000


class _Asked:
    def __init__(self, distance_m: int, travel_s: int) -> None:
        self.distance_m, self.travel_s, self.vehicle = distance_m, travel_s, "car"


def _asked(distance_m: int, travel_s: int) -> "_Asked":
    return _Asked(distance_m, travel_s)


@pytest.mark.parametrize(
    ("search", "reason"),
    [
        (None, "unknown"),
        (SearchResult(failed=True), "redis_timeout"),
        (SearchResult(busy_in_radius=1), "all_drivers_busy"),
        (SearchResult(drivers=(found("a", orders=1),)), "all_drivers_busy"),
        (SearchResult(nearest_m=9000), "distance_exceeded"),
        (SearchResult(), "no_available_drivers"),
    ],
)
def test_the_want_of_drivers_has_a_name(search: SearchResult | None, reason: str) -> None:
    assert unassigned_reason(search) == reason


def test_a_faster_city_has_shorter_durations_and_faster_couriers() -> None:
    fast = scaled(Policy(), 60)
    assert (fast.offer.timeout_s, fast.escalation.level_1_s, fast.travel.car_kmh) == (0.5, 5.0, 24 * 60)
    assert fast.search.radius_m == Policy().search.radius_m
    assert fast.offer.reserve_timeout_s == Policy().offer.reserve_timeout_s  # between machines
    assert fast.ranking.fairness_max_min == 0.05
    assert msgspec.json.decode(msgspec.json.encode(fast), type=Policy) == fast


@pytest.mark.parametrize(
    "document",
    ['{"search": {"radius_m": -1}}', '{"offer": {"on_expiry": "x"}}', '{"colour": 1}', '{"offer": {"timeout_s": 0}}'],
)
def test_a_policy_that_is_wrong_is_refused(document: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(document, type=Policy)


def test_a_rollout_covers_its_share_and_gives_the_same_answer_always() -> None:
    flag = Flag(rollout_percent=30)
    covered = [flag.covers(f"delivery-{n}", "none") for n in range(2000)]
    assert 500 < sum(covered) < 700
    assert covered == [flag.covers(f"delivery-{n}", "none") for n in range(2000)]
    assert not Flag(enabled=False).covers("x", "none")
    assert Flag(zones=("a",)).covers("x", "a")
    assert not Flag(zones=("a",)).covers("x", "b")
