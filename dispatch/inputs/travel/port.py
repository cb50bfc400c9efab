"""What a routing engine is asked, and what it answers; and what of an answer is not believed."""

from math import isfinite
from typing import NamedTuple, Protocol

from dispatch.core.travel import distance_m

Place = tuple[float, float]
"""Latitude and longitude, degrees."""
FASTEST_M_PER_S = 60.0
SLOWEST_M_PER_S = 0.3
FARTHER_TIMES, FARTHER_M = 10.0, 10_000.0
"""A road longer than so many times the straight line and so much more is nonsense, not a detour."""
NEARER_M = 2_000.0
"""A road may be shorter than the straight line by as much as places lie off it."""


class RoutingUnavailable(Exception):
    """The engine did not answer in time, not at all, or nonsense."""


class Road(NamedTuple):
    """A way on the road: metres, and a car's seconds."""

    distance_m: float
    car_s: float
    source: str = "osrm"


class Asked(NamedTuple):
    """Ways from many places to one, and from there on to another, if it is given."""

    places: tuple[Place, ...]
    to: Place
    on: Place | None = None


class Found(NamedTuple):
    """The answers to an Asked, in its order; None: the engine knows no way between the two."""

    roads: tuple[Road | None, ...]
    on: Road | None = None


class Router(Protocol):
    """A routing engine."""

    def table(self, asked: Asked) -> Found:
        """All ways of an Asked in one call. Raises RoutingUnavailable."""

    def route(self, place: Place, to: Place) -> Road | None:
        """One way. Raises RoutingUnavailable."""

    def close(self) -> None:
        """Lets connections go."""


def believed(road_m: object, car_s: object, place: Place, to: Place) -> Road:
    """The road, if it can be one between these places. Raises RoutingUnavailable, saying what is wrong with it."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (road_m, car_s))
    if not numbers or not isinstance(road_m, int | float) or not isinstance(car_s, int | float):
        raise RoutingUnavailable(f"{road_m!r} m in {car_s!r} s is no way: numbers are wanted")
    if not (isfinite(road_m) and isfinite(car_s)) or road_m < 0 or car_s < 0:
        raise RoutingUnavailable(f"{road_m} m in {car_s} s is no way")
    straight_m = distance_m(*place, *to)
    if not straight_m - NEARER_M <= road_m <= straight_m * FARTHER_TIMES + FARTHER_M:
        raise RoutingUnavailable(f"a road of {road_m:.0f} m between places {straight_m:.0f} m apart is not believed")
    if road_m > car_s * FASTEST_M_PER_S + NEARER_M or car_s > road_m / SLOWEST_M_PER_S + 3_600:
        raise RoutingUnavailable(f"{road_m:.0f} m in {car_s:.0f} s is not believed")
    return Road(float(road_m), float(car_s))
