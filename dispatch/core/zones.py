"""Zones: which one a place lies in, and what a delivery's searches make of it. Pure; shapely does the geometry.

Where zones overlap the higher priority wins, then the first id by name; outside every zone it is `none`. A border
belongs to the zone.
"""

from collections.abc import Iterable
from math import floor
from typing import Any

import msgspec
import numpy
import shapely
from shapely import intersects_xy

from dispatch.core.facts import ZoneFacts
from dispatch.core.policy import Policy

NOWHERE = "none"
_CELLS = 100
"""Cells of the map a degree, about a kilometre each: what lies in a cell is worked out once."""
_REMEMBERED = 50_000
"""Cells, at most."""


class Zone(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A zone. `shape` is a valid Polygon or MultiPolygon in degrees, longitude first."""

    zone_id: str
    name: str
    priority: int
    min_drivers_online: int
    target_wait_s: int
    shape: Any


class ZoneTable:
    """The zones of one version. Never changed: a new version is a new table."""

    def __init__(self, zones: Iterable[Zone] = (), version: int = 0) -> None:
        self.version = version
        ordered = sorted(zones, key=lambda zone: (-zone.priority, zone.zone_id))
        self.zones = {zone.zone_id: zone for zone in ordered}
        self._ids = [zone.zone_id for zone in ordered]
        self._shapes = numpy.array([zone.shape for zone in ordered], dtype=object)
        shapely.prepare(self._shapes)
        self._one_by_one = [zone.shape for zone in ordered]
        self._tree = shapely.STRtree(self._shapes)
        self._cells: dict[tuple[int, int], tuple[tuple[int, ...], int | None]] = {}

    def at(self, lat: float, lng: float) -> str:
        """The id of the zone of a place, in degrees."""
        cell = (floor(lat * _CELLS), floor(lng * _CELLS))
        known = self._cells.get(cell)
        partly, whole = known if known is not None else self._learn(cell)
        for place in partly:
            if intersects_xy(self._one_by_one[place], lng, lat):
                return self._ids[place]
        return NOWHERE if whole is None else self._ids[whole]

    def at_each(self, lats: list[float], lngs: list[float]) -> list[str]:
        """The zone of each place; cheaper than one by one."""
        answer = [NOWHERE] * len(lats)
        if not lats or not self._ids:
            return answer
        points, shapes = self._tree.query(shapely.points(lngs, lats), predicate="intersects")
        for point, shape in sorted(zip(points.tolist(), shapes.tolist(), strict=True), reverse=True):
            answer[point] = self._ids[shape]
        return answer

    def _learn(self, cell: tuple[int, int]) -> tuple[tuple[int, ...], int | None]:
        """The zones that a cell of the map lies in partly, in order, up to the first that it lies in wholly."""
        south, west = cell[0] / _CELLS, cell[1] / _CELLS
        spare = 1e-9  # of the corners' rounding
        box = shapely.box(west - spare, south - spare, west + 1 / _CELLS + spare, south + 1 / _CELLS + spare)
        partly: list[int] = []
        whole = None
        for place in sorted(self._tree.query(box, predicate="intersects").tolist()):
            if shapely.contains(self._one_by_one[place], box):
                whole = place
                break
            partly.append(place)
        if len(self._cells) >= _REMEMBERED:
            self._cells = {}
        self._cells[cell] = (tuple(partly), whole)
        return self._cells[cell]


def reach_m(base_m: int, zone: ZoneFacts | None, policy: Policy, *, balancing: bool) -> int:
    """The radius of a search: as far as the delivery has got, and farther where the zone has too few drivers."""
    if balancing and zone is not None and zone.understaffed:
        return max(base_m, policy.zones.understaffed_radius_m)
    return base_m
