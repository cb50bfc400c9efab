"""Distance, and travel time: by the straight line and the pace, or by a road that a routing engine measured."""

from math import asin, cos, radians, sin, sqrt

from dispatch.contract.records.shared import Vehicle
from dispatch.core.policy import TravelPolicy

EARTH_RADIUS_M = 6_371_008.8
HOUR_MS = 3_600_000
BY_CAR: tuple[Vehicle, ...] = ("car", "van", "any", "UNKNOWN")
"""A routing engine's seconds are a car's; whoever is not one goes its metres at a pace of their own."""


def distance_m(lat: float, lng: float, other_lat: float, other_lng: float) -> float:
    """Great-circle distance in metres (haversine; mean earth radius of the IUGG)."""
    lat_1, lat_2 = radians(lat), radians(other_lat)
    half = sin((lat_2 - lat_1) / 2) ** 2 + cos(lat_1) * cos(lat_2) * sin(radians(other_lng - lng) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, half)))


def travel_s(straight_m: float, vehicle: Vehicle, policy: TravelPolicy, at_ms: int | None = None) -> float:
    """Seconds on the way: the straight line times the detour factor, at the pace; with a time, that of its hour."""
    return road_s(straight_m * policy.detour_factor, vehicle, policy, at_ms)


def road_s(road_m: float, vehicle: Vehicle, policy: TravelPolicy, at_ms: int | None = None) -> float:
    """Seconds for so many metres of road, at the vehicle's pace."""
    pace_kmh = {
        "bicycle": policy.bicycle_kmh,
        "scooter": policy.scooter_kmh,
        "motorbike": policy.motorbike_kmh,
        "van": policy.van_kmh,
    }.get(vehicle, policy.car_kmh)
    factor = policy.hour_factors[hour_of(at_ms, policy)] if at_ms is not None else 1.0
    return road_m * 3.6 / (pace_kmh * factor)


def routed_s(road_m: float, by_car_s: float, vehicle: Vehicle, policy: TravelPolicy, at_ms: int | None = None) -> float:
    """Seconds along a road that a routing engine measured: a car's are the engine's own."""
    return by_car_s if vehicle in BY_CAR else road_s(road_m, vehicle, policy, at_ms)


def hour_of(at_ms: int, policy: TravelPolicy) -> int:
    """The hour of the day, local time, 0..23."""
    return (at_ms // HOUR_MS + policy.utc_offset_h) % 24
