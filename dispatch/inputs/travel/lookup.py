"""The worker's searches with travel times and what was learned of arrivals: facts, and recorded as such."""

import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from dispatch.contract.records.shared import Route
from dispatch.core.eta import FORMULA
from dispatch.core.facts import FoundDriver, SearchNeed, SearchResult
from dispatch.core.policy import Policy
from dispatch.core.travel import hour_of, routed_s, travel_s
from dispatch.inputs.arrivals import Arrivals
from dispatch.inputs.rules import Rules
from dispatch.inputs.travel.port import Asked, Found, Road
from dispatch.inputs.travel.roads import Roads

Search = Callable[[Sequence[SearchNeed]], Sequence[SearchResult]]
NOTHING = Found(())


def with_travel(
    search: Search, roads: Roads, arrivals: Arrivals, rules: Rules, clock: Callable[[], float] = time.time
) -> Search:
    """The same search; each driver found has the time to the pickup, each answer the route and how arrivals spread."""

    def searched(needs: Sequence[SearchNeed]) -> Sequence[SearchResult]:
        results = search(needs)
        at_ms, policy = round(clock() * 1000), rules.policy
        found = _ways(needs, results, roads) if roads.engine else [NOTHING] * len(results)
        return [
            _added(need, result, ways, arrivals, policy, at_ms)
            for need, result, ways in zip(needs, results, found, strict=True)
        ]

    return searched


def _ways(needs: Sequence[SearchNeed], results: Sequence[SearchResult], roads: Roads) -> list[Found]:
    asked = [
        Asked(
            tuple((driver.lat, driver.lng) for driver in result.drivers),
            (need.lat, need.lng),
            (need.trip.dropoff_lat, need.trip.dropoff_lng) if need.trip is not None else None,
        )
        for need, result in zip(needs, results, strict=True)
    ]
    wanted = [place for place, one in enumerate(asked) if one.places]
    answers = dict(zip(wanted, roads.find([asked[place] for place in wanted]), strict=True)) if wanted else {}
    return [answers.get(place, NOTHING) for place in range(len(asked))]


def _added(
    need: SearchNeed, result: SearchResult, ways: Found, arrivals: Arrivals, policy: Policy, at_ms: int
) -> SearchResult:
    by_hour = policy.travel.hour_factors[hour_of(at_ms, policy.travel)] != 1.0
    drivers = result.drivers
    if ways is not NOTHING:
        drivers = tuple(_timed(driver, road, policy, at_ms) for driver, road in zip(drivers, ways.roads, strict=True))
    elif by_hour:
        drivers = tuple(_timed(driver, None, policy, at_ms) for driver in drivers)
    trip = need.trip
    shape = arrivals.shape("assigned", trip.zone, trip.store, at_ms, policy) if trip is not None else None
    if shape is None and drivers is result.drivers:
        return result
    return replace(result, drivers=drivers, route=_route(ways.on), eta=shape)


def _timed(driver: FoundDriver, road: Road | None, policy: Policy, at_ms: int) -> FoundDriver:
    if road is None:
        seconds = travel_s(driver.distance_m, driver.vehicle, policy.travel, at_ms)
        return replace(driver, travel_s=seconds, travel_source=FORMULA)
    seconds = routed_s(road.distance_m, road.car_s, driver.vehicle, policy.travel, at_ms)
    return replace(driver, travel_s=seconds, travel_source=road.source)


def _route(road: Road | None) -> Route | None:
    if road is None:
        return None
    return Route(distance_m=round(road.distance_m), travel_s=round(road.car_s), source=road.source)
