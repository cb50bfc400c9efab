"""Point lookup: microseconds over 5,000 polygons of 24 corners, for places inside and outside, one by one.

What lies in a square kilometre is worked out at the first lookup there: the first pass over all places shows that, the
second the rest.
"""

import math
import random
import time

import shapely

from dispatch.core.zones import Zone, ZoneTable

Figures = dict[str, float]
_SIDE = 71
"""71 x 71 squares hold the 5,000 zones."""
_STEP_DEG = 0.02


def town(count: int = 5_000, seed: int = 1) -> ZoneTable:
    """Round zones on a grid, each overlapping its neighbours; five priorities."""
    chance = random.Random(seed)
    zones = []
    for number in range(count):
        lat, lng = 45 + _STEP_DEG * (number // _SIDE), 5 + _STEP_DEG * (number % _SIDE)
        radius = _STEP_DEG * chance.uniform(0.4, 0.8)
        corners = [
            (lng + radius * math.cos(turn), lat + radius * math.sin(turn))
            for turn in (2 * math.pi * corner / 24 for corner in range(24))
        ]
        zones.append(
            Zone(zone_id=f"zone-{number}", name=f"Zone {number}", priority=1 + number % 5, min_drivers_online=1,
                 target_wait_s=300, shape=shapely.Polygon(corners))
        )  # fmt: skip
    return ZoneTable(zones, 1)


def lookups(places: int = 50_000) -> Figures:
    """Percentiles of one lookup, and the mean of a loop without a clock in it."""
    table = town()
    chance = random.Random(2)
    wide = _STEP_DEG * (_SIDE + 4)
    asked = [(44.96 + chance.random() * wide, 4.96 + chance.random() * wide) for _ in range(places)]
    began = time.perf_counter()
    for lat, lng in asked:
        table.at(lat, lng)
    first_us = (time.perf_counter() - began) / places * 1e6
    began = time.perf_counter()
    inside = sum(table.at(lat, lng) != "none" for lat, lng in asked)
    mean_us = (time.perf_counter() - began) / places * 1e6
    each = []
    for lat, lng in asked:
        at = time.perf_counter_ns()
        table.at(lat, lng)
        each.append(time.perf_counter_ns() - at)
    each.sort()
    began = time.perf_counter()
    table.at_each([lat for lat, _ in asked[:10_000]], [lng for _, lng in asked[:10_000]])
    return {
        "polygons": len(table.zones),
        "places asked": places,
        "share inside a zone, percent": 100 * inside / places,
        "one lookup, mean us, first pass": first_us,
        "one lookup, mean us": mean_us,
        "one lookup, p50 us": each[places // 2] / 1000,
        "one lookup, p99 us": each[places * 99 // 100] / 1000,
        "10,000 at once, us each": (time.perf_counter() - began) / 10_000 * 1e6,
    }
