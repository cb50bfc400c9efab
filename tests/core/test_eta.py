"""Arrivals: the formula, its bands, what is told when they move, and what the model makes of what it saw."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import START_MS, World, an_order

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Eta, EtaBand, EtaShape, Route
from dispatch.core.eta import LEVELS, Leg, after_pickup, band, before_pickup, dropoff_leg, ratio
from dispatch.core.eta_model import BINS, HIGHEST, LOWEST, EtaModel, _bin, _first_belief, scopes_of
from dispatch.core.facts import Refusal
from dispatch.core.policy import EtaPolicy, Flag, Flags, Policy, TravelPolicy
from dispatch.core.travel import hour_of, travel_s

POLICY = Policy()
SAME = EtaShape(pickup=(1.0,) * len(LEVELS), delivery=(1.0,) * len(LEVELS), prep=1.0)
SPREAD = EtaShape(pickup=(0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.5), delivery=(0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.5), prep=1.0)
QUANTILES = st.lists(st.floats(0.05, 20), min_size=7, max_size=7).map(lambda found: tuple(sorted(found)))
NAME = identity.delivery_id("s1", "o1")


def test_the_pickup_is_when_driver_and_goods_are_both_there() -> None:
    order = an_order(prep_s=600)
    soon = before_pickup(order, Leg(120, 120), Leg(300, 300), SAME, POLICY, START_MS)
    late = before_pickup(order, Leg(900, 900), Leg(300, 300), SAME, POLICY, START_MS)
    assert soon.pickup is not None
    assert late.pickup is not None
    assert soon.pickup.p50_ms == START_MS + 600_000
    assert late.pickup.p50_ms == START_MS + 900_000
    assert late.delivery.p50_ms == START_MS + (900 + 120 + 300) * 1000


def test_a_store_that_is_late_by_habit_moves_the_base_and_not_the_plain_formula() -> None:
    late = EtaShape(pickup=SAME.pickup, delivery=SAME.delivery, prep=1.5)
    eta = before_pickup(an_order(prep_s=600), Leg(60, 60), Leg(300, 300), late, POLICY, START_MS)
    assert eta.base_pickup_ms - START_MS == 900_000
    assert eta.plain_pickup_ms - START_MS == 600_000


def test_a_measured_road_is_the_source_and_another_vehicle_goes_its_metres() -> None:
    route = Route(distance_m=3_000, travel_s=200, source="osrm")
    by_car, by_bike = (dropoff_leg(an_order(), route, vehicle, POLICY, START_MS) for vehicle in ("car", "bicycle"))
    assert (by_car.seconds, by_car.source) == (200, "osrm")
    assert by_bike.seconds == pytest.approx(3_000 * 3.6 / 15)
    assert dropoff_leg(an_order(), None, "car", POLICY, START_MS).source == "formula"


@given(QUANTILES, st.integers(0, 7_200_000), st.integers(1, 4_000))
def test_a_band_is_in_order_never_in_the_past_and_its_confidence_a_percentage(
    quantiles: tuple[float, ...], rest_ms: int, good_s: int
) -> None:
    made = band(START_MS + rest_ms, START_MS, quantiles, EtaPolicy(good_s=good_s))
    assert START_MS <= made.p10_ms <= made.p50_ms <= made.p90_ms
    assert 0 <= made.confidence <= 100


@given(st.integers(0, 7_200_000), st.integers(0, 7_200_000))
def test_the_ratio_of_what_came_stretches_the_base_to_it(base_ms: int, actual_ms: int) -> None:
    value = ratio(START_MS + actual_ms, START_MS + base_ms, START_MS, POLICY.eta)
    made = band(START_MS + base_ms, START_MS, (value,) * len(LEVELS), POLICY.eta)
    assert abs(made.p50_ms - START_MS - actual_ms) <= 1


def test_a_wide_band_is_less_sure_than_a_narrow_one() -> None:
    narrow = band(START_MS + 1_800_000, START_MS, SAME.delivery, POLICY.eta)
    wide = band(START_MS + 1_800_000, START_MS, SPREAD.delivery, POLICY.eta)
    assert narrow.confidence == 100
    assert 40 < wide.confidence < 90


def test_the_hour_s_pace_holds_in_local_time() -> None:
    factors = tuple(0.5 if hour == 18 else 1.0 for hour in range(24))
    policy = TravelPolicy(hour_factors=factors, utc_offset_h=2)
    at_six = START_MS - START_MS % 86_400_000 + 16 * 3_600_000
    assert hour_of(at_six, policy) == 18
    assert travel_s(1_000, "car", policy, at_six) == 2 * travel_s(1_000, "car", policy)
    assert travel_s(1_000, "car", policy, at_six + 3_600_000) == travel_s(1_000, "car", policy)


# What the model makes of what it saw

SCOPES = scopes_of("z", 12, "s")


@given(st.lists(st.floats(0.0, 50.0), max_size=60))
def test_quantiles_rise_whatever_was_seen(values: list[float]) -> None:
    model = EtaModel()
    for value in values:
        model.learn("delivery@assigned", SCOPES, value, POLICY.eta)
    quantiles = model.quantiles("delivery@assigned", SCOPES, POLICY.eta)
    assert list(quantiles) == sorted(quantiles)
    assert all(0 < quantile <= 20.1 for quantile in quantiles)


def by_the_formula(model: EtaModel, kind: str, scopes: tuple[str, ...], policy: EtaPolicy) -> list[float]:
    """What is believed, one cell after the other, each bin as the formula has it."""
    shares = _first_belief(policy.spread)
    for counts in (model.scopes.get(scope, {}).get(kind) for scope in scopes):
        if counts is not None:
            whole = sum(counts) + policy.strength
            shares = [(own + policy.strength * share) / whole for own, share in zip(counts, shares, strict=True)]
    return shares


def by_walking(shares: list[float]) -> tuple[float, ...]:
    found, seen, place = [], 0.0, 0
    for level in LEVELS:
        while place < BINS - 1 and seen + shares[place] < level:
            seen += shares[place]
            place += 1
        within = min(1.0, max(0.0, (level - seen) / shares[place])) if shares[place] > 0 else 0.5
        found.append(round(math.exp(LOWEST + (place + within) * (HIGHEST - LOWEST) / BINS), 4))
    return tuple(found)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans(), st.floats(0.0, 50.0)), max_size=40),
    st.integers(1, 200),
    st.integers(1, 60),
)
def test_belief_and_quantiles_are_to_the_bit_what_the_formula_gives(
    seen: list[tuple[int, int, bool, float]], strength: int, memory: int
) -> None:
    """Whatever was seen in which cells, and whatever was asked in between."""
    model, policy = EtaModel(), EtaPolicy(strength=strength, memory=memory)
    for first, store, exact, value in seen:
        scopes = scopes_of("z", 12, f"s{store}")
        (model.learn if exact else model.learn_at_most)("prep", scopes[first:] if exact else scopes, value, policy)
        model.learn("delivery@at_store", scopes, value, policy)
        for asked in (scopes, SCOPES):
            for kind in ("prep", "delivery@at_store"):
                believed = by_the_formula(model, kind, asked, policy)
                assert model._believed(kind, asked, policy) == believed
                assert model.quantiles(kind, asked, policy) == by_walking(believed)
                assert model.middle(kind, asked, policy) == by_walking(believed)[3]


@given(st.lists(st.floats(0.0, 50.0), min_size=1, max_size=20))
def test_a_bound_is_counted_to_the_bit_as_the_formula_has_it(values: list[float]) -> None:
    model = EtaModel()
    for value in values:
        below = model._believed("prep", SCOPES, POLICY.eta)[: _bin(value) + 1]
        wanted = {scope: list(cells["prep"]) for scope, cells in model.scopes.items()}
        for scope in SCOPES:
            counts = wanted.setdefault(scope, [0.0] * BINS)
            for place, share in enumerate(below):
                counts[place] += share / sum(below)
        model.learn_at_most("prep", SCOPES, value, POLICY.eta)
        assert {scope: cells["prep"] for scope, cells in model.scopes.items()} == wanted


def test_what_is_seen_often_is_believed_and_little_moves_little() -> None:
    model = EtaModel()
    for _ in range(2):
        model.learn("delivery@assigned", SCOPES, 2.0, POLICY.eta)
    few = model.quantiles("delivery@assigned", SCOPES, POLICY.eta)[3]
    for _ in range(300):
        model.learn("delivery@assigned", SCOPES, 2.0, POLICY.eta)
    many = model.quantiles("delivery@assigned", SCOPES, POLICY.eta)[3]
    assert 1.0 <= few < 1.4
    assert many == pytest.approx(2.0, rel=0.07)


def test_a_new_store_is_believed_to_be_as_its_zone_and_hour() -> None:
    model = EtaModel()
    for _ in range(300):
        model.learn("delivery@assigned", SCOPES, 1.6, POLICY.eta)
    unknown = model.quantiles("delivery@assigned", scopes_of("z", 12, "new"), POLICY.eta)
    assert unknown[3] == pytest.approx(1.6, rel=0.07)


def test_preparation_that_ended_unseen_pulls_the_belief_below_the_bound() -> None:
    model = EtaModel()
    for _ in range(200):
        model.learn_at_most("prep", SCOPES, 0.6, POLICY.eta)
    assert model.shape("assigned", "z", 12, "s", POLICY.eta).prep < 0.6


def test_the_old_fades_and_memory_is_bounded() -> None:
    model, policy = EtaModel(), EtaPolicy(memory=100)
    for value in [3.0] * 500 + [1.0] * 250:
        model.learn("delivery@assigned", SCOPES, value, policy)
    counts = model.scopes["city"]["delivery@assigned"]
    assert len(counts) == BINS
    assert sum(counts) <= 101
    assert model.quantiles("delivery@assigned", SCOPES, policy)[3] < 1.3


def test_what_was_written_is_read_back_the_same() -> None:
    model, again = EtaModel(), EtaModel()
    for value in (0.5, 1.0, 1.1, 2.5):
        model.learn("delivery@assigned", SCOPES, value, POLICY.eta)
    unlearned = again.quantiles("delivery@assigned", SCOPES, POLICY.eta)
    for scope in model.scopes:
        again.load(scope, model.dump(scope))
    assert again.quantiles("delivery@assigned", SCOPES, POLICY.eta) == model.quantiles(
        "delivery@assigned", SCOPES, POLICY.eta
    )
    assert again.quantiles("delivery@assigned", SCOPES, POLICY.eta) != unlearned
    with pytest.raises(ValueError, match="bins are 0 to"):
        again.load("city", {"prep": {"96": 1.0}})
    assert again.dump("city") == model.dump("city")


# What a delivery makes of arrivals


class Foreseen(World):
    """The index also says how arrivals spread."""

    def search(self, need: Any) -> Any:
        from msgspec.structs import replace

        return replace(super().search(need), eta=SPREAD)


def held(flags: Flags | None = None) -> World:
    world = Foreseen(flags=flags).sign_on("ana")
    world.ready()
    world.accept(NAME)
    return world


def arrivals(at_ms: int, *, pickup: bool = True) -> Eta:
    made = EtaBand(p10_ms=at_ms - 60_000, p50_ms=at_ms, p90_ms=at_ms + 60_000, confidence=90)
    return Eta(pickup=made if pickup else None, delivery=made)


def test_the_offer_and_the_assignment_show_the_band_and_its_middle() -> None:
    told = [event for event in held().events if isinstance(event, de.DriverOfferSent | de.DriverAssigned)]
    assert len(told) == 2
    for event in told:
        eta = event.terms.eta
        assert eta is not None
        assert eta.pickup is not None
        assert event.terms.delivery_eta_ms == eta.delivery.p50_ms
        assert eta.pickup.p10_ms < eta.pickup.p50_ms < eta.pickup.p90_ms
        assert eta.plain_delivery_ms > eta.plain_pickup_ms


def test_with_the_flag_off_the_plain_times_are_shown_and_nothing_is_told_under_way() -> None:
    world = held(Flags(eta_tracking=Flag(enabled=False)))
    assigned = next(event for event in world.events if isinstance(event, de.DriverAssigned))
    found = next(event for event in world.events if isinstance(event, de.DriverCandidatesFound))
    assert assigned.terms.eta is None
    assert (found.eta, found.route) == (None, None)
    far = arrivals(START_MS + 9_000_000)
    assert world.ask(dc.UpdateEta, NAME, "system", **world.offer(NAME), eta=far, why="driver_moved") == ()


@pytest.mark.parametrize(("by_ms", "tells"), [(60_000, False), (60_001, True), (-60_001, True), (0, False)])
def test_an_arrival_is_told_when_it_moved_by_more_than_a_minute(by_ms: int, tells: bool) -> None:
    world = held()
    state: Any = world.deliveries[NAME].phase
    pickup = EtaBand(p10_ms=0, p50_ms=state.pickup_eta_ms, p90_ms=0, confidence=0)
    delivery = EtaBand(p10_ms=0, p50_ms=state.delivery_eta_ms + by_ms, p90_ms=0, confidence=0)
    offer = world.offer(NAME)
    eta = Eta(pickup=pickup, delivery=delivery)
    result = world.ask(dc.UpdateEta, NAME, "system", **offer, eta=eta, why="driver_moved")
    assert not isinstance(result, Refusal)
    assert [type(event) for event in result] == ([de.EtaChanged] if tells else [])
    assert world.ask(dc.UpdateEta, NAME, "system", **offer, eta=eta, why="driver_moved") == ()


def test_what_was_reckoned_for_another_offer_or_before_the_pickup_changes_nothing() -> None:
    world = held()
    offer, far = world.offer(NAME), arrivals(START_MS + 9_000_000)
    other = {**offer, "offer_id": identity.derived("test", "another")}
    assert world.ask(dc.UpdateEta, NAME, "system", **other, eta=far, why="driver_moved") == ()
    world.progress(NAME, "picked_up")
    assert world.ask(dc.UpdateEta, NAME, "system", **offer, eta=far, why="driver_moved") == ()
    without = arrivals(START_MS + 9_000_000, pickup=False)
    result = world.ask(dc.UpdateEta, NAME, "system", **offer, eta=without, why="driver_moved")
    assert not isinstance(result, Refusal)
    assert [type(event) for event in result] == [de.EtaChanged]


def test_after_the_pickup_only_the_way_to_the_customer_counts() -> None:
    eta = after_pickup(Leg(300, 240), SAME, POLICY, START_MS)
    assert eta.pickup is None
    assert eta.delivery.p50_ms == START_MS + 420_000
    assert eta.plain_delivery_ms == START_MS + 360_000
