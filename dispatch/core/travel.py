"""Distance and travel time when no routing engine answers."""

from math import asin, cos, radians, sin, sqrt

from dispatch.contract.records.shared import Vehicle
from dispatch.core.policy import TravelPolicy

EARTH_RADIUS_M = 6_371_008.8


def distance_m(lat: float, lng: float, other_lat: float, other_lng: float) -> float:
    """Great-circle distance in metres (haversine; mean earth radius of the IUGG)."""
    lat_1, lat_2 = radians(lat), radians(other_lat)
    half = sin((lat_2 - lat_1) / 2) ** 2 + cos(lat_1) * cos(lat_2) * sin(radians(other_lng - lng) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, half)))


def travel_s(straight_m: float, vehicle: Vehicle, policy: TravelPolicy) -> float:
    """Seconds on the way: the straight line times the detour factor, at the vehicle's pace."""
    pace_kmh = {
        "bicycle": policy.bicycle_kmh,
        "scooter": policy.scooter_kmh,
        "motorbike": policy.motorbike_kmh,
        "van": policy.van_kmh,
    }.get(vehicle, policy.car_kmh)
    return straight_m * policy.detour_factor * 3.6 / pace_kmh
