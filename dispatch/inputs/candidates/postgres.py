"""The fallback: the read model's `drivers` table, by H3 cells of resolution 7 (edge about 1.4 km)."""

import time
from collections.abc import Generator, Sequence
from functools import lru_cache
from math import ceil
from typing import Any, TypeVar

import h3
import psycopg

from dispatch.contract.records.shared import ZonePreference
from dispatch.core.facts import SearchNeed, SearchResult
from dispatch.inputs.candidates.port import BEYOND, IndexedDriver, IndexUnavailable, judge

RESOLUTION = 7
_RING_M = 2_000
"""A ring of cells of resolution 7 reaches at least this much farther out."""
_MOST_RINGS = 40
_SPARE_S = 0.5
"""Beyond the server's own time limit."""
_SPARE = 40
"""Rows beyond the limit and the excluded: other vehicles, and some who are busy."""
_COLUMNS = """driver_id, lat, lng, vehicle, capacity, holds, rating, availability,
       coalesce((extract(epoch FROM last_assigned_at) * 1000)::bigint, 0), preferred_in, unavailable_in,
       (extract(epoch FROM updated_at) * 1000)::bigint"""
_QUERY = f"""
WITH wanted AS MATERIALIZED (
    SELECT need, cells::bigint[] AS cells, at_lat, at_lng, most, zone
    FROM unnest(%s::int[], %s::text[], %s::float8[], %s::float8[], %s::int[], %s::text[])
        AS asked(need, cells, at_lat, at_lng, most, zone))
SELECT wanted.need, near.*
FROM wanted
CROSS JOIN LATERAL (
    SELECT {_COLUMNS} FROM drivers
    WHERE h3_cell = ANY(wanted.cells) AND availability IN ('AVAILABLE', 'BUSY')
        AND (unavailable_in IS NULL OR wanted.zone = '' OR NOT wanted.zone = ANY(unavailable_in))
    ORDER BY holds < capacity DESC, (lat - at_lat) ^ 2
        + (least(abs(lng - at_lng), 360 - abs(lng - at_lng)) * cos(radians(at_lat))) ^ 2
    LIMIT wanted.most) AS near
UNION ALL
SELECT named.need, {_COLUMNS}
FROM unnest(%s::int[], %s::text[]) AS named(need, name) JOIN drivers ON drivers.driver_id = named.name
"""


T = TypeVar("T")


class _Limited(psycopg.Connection[Any]):
    """Waits for a query no longer than `limit_s`: a frozen server does not keep its own time limit."""

    limit_s = _SPARE_S

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **more: Any) -> T:
        """As psycopg waits, but not for ever. Raises OperationalError."""
        return super().wait(_ending(gen, time.monotonic() + self.limit_s, self.limit_s), *arguments, **more)


def _ending(gen: Generator[Any, Any, T], ends: float, limit_s: float) -> Generator[Any, Any, T]:
    """The same steps; one that was waited for in vain after the end is the last."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > ends:
                raise psycopg.OperationalError(f"no answer within {limit_s:g} s")
            wanted = gen.send(ready)
    except StopIteration as done:
        answer: T = done.value
        return answer


def cell_of(lat: float, lng: float) -> int:
    """The H3 cell of a place, as kept in the table."""
    cell: int = h3.str_to_int(_named(lat, lng))
    return cell


def _named(lat: float, lng: float) -> str:
    cell: str = h3.latlng_to_cell(lat, lng, RESOLUTION)
    return cell


class PostgresIndex:
    """One connection, opened when first needed and again after a failure; every query has a time limit."""

    def __init__(self, dsn: str, timeout_ms: int = 250) -> None:
        self._dsn = dsn
        self._timeout_ms = timeout_ms
        self._connection: _Limited | None = None

    def search(self, needs: Sequence[SearchNeed]) -> list[SearchResult]:
        """All answers, in order. Raises IndexUnavailable. The time limit is for all of them."""
        results = self._asked(needs, 1)
        short = [place for place, (need, result) in enumerate(zip(needs, results, strict=True))
                 if not need.named and len(result.drivers) < need.limit]  # fmt: skip
        for place, result in zip(short, self._asked([needs[place] for place in short], BEYOND), strict=True):
            results[place] = result
        return results

    def _asked(self, needs: Sequence[SearchNeed], radii: int) -> list[SearchResult]:
        """As far out as so many radii: in the middle of a town one is enough."""
        if not needs:
            return []
        near: list[tuple[int, str, float, float, int, str]] = []
        named: list[tuple[int, str]] = []
        for number, need in enumerate(needs):
            if need.named:
                named.append((number, need.named))
                continue
            cells = _cells(_named(need.lat, need.lng), _rings(need.radius_m * radii))
            most = need.limit + len(need.excluded) + _SPARE
            near.append((number, cells, need.lat, need.lng, most, need.zone))
        found: list[list[IndexedDriver]] = [[] for _ in needs]
        for row in self._rows(near, named):
            if row[2] is not None and row[3] is not None:
                found[row[0]].append(_driver(row))
        return [judge(need, drivers, "postgres") for need, drivers in zip(needs, found, strict=True)]

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _rows(
        self, near: list[tuple[int, str, float, float, int, str]], named: list[tuple[int, str]]
    ) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None:
                self._connection = _Limited.connect(
                    self._dsn, autocommit=True, connect_timeout=1, options=f"-c statement_timeout={self._timeout_ms}"
                )
                self._connection.limit_s = self._timeout_ms / 1000 + _SPARE_S
            columns = [[row[place] for row in near] for place in range(6)]
            columns += [[number for number, _ in named], [name for _, name in named]]
            return self._connection.execute(_QUERY, columns).fetchall()
        except psycopg.Error as error:
            self.close()
            raise IndexUnavailable(f"postgres: {error}") from error


def _rings(radius_m: float) -> int:
    return min(_MOST_RINGS, ceil(radius_m / _RING_M) + 1)


@lru_cache(1_024)
def _cells(middle: str, rings: int) -> str:
    """The cells in reach, as an array that Postgres reads."""
    return "{" + ",".join(str(h3.str_to_int(cell)) for cell in h3.grid_disk(middle, rings)) + "}"


def _zones(preferred: list[str] | None, unavailable: list[str] | None) -> tuple[tuple[str, ZonePreference], ...]:
    good: list[tuple[str, ZonePreference]] = [(zone, "PREFERRED") for zone in preferred or ()]
    return (*good, *((zone, "UNAVAILABLE") for zone in unavailable or ()))


def _driver(row: tuple[Any, ...]) -> IndexedDriver:
    return IndexedDriver(
        driver_id=row[1],
        lat=row[2],
        lng=row[3],
        vehicle=row[4],
        capacity=row[5],
        orders=row[6],
        rating=row[7],
        availability=row[8],
        last_assigned_ms=row[9],
        zones=_zones(row[10], row[11]),
        as_of_ms=row[12],
    )
