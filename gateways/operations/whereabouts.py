"""Drivers by where they are: the map of zones is the gateway's, the places are the read model's."""

from collections.abc import Callable, Sequence
from typing import Any

from gateways.reads import Reads
from projections import queries_operations as queries
from projections.queries_paging import Asked, Filter, Page

ZonesOf = Callable[[list[float], list[float]], list[str]]
"""The zone of each place, from latitudes and longitudes in degrees."""
_AT_ONCE = 1_000
_LOOKS = 20
"""So many drivers are looked at for one page; a page with fewer rows and a cursor goes on behind them."""


async def drivers_in(
    reads: Reads, zones_of: ZonesOf, filters: Sequence[Filter], asked: Asked, zone: str | None
) -> Page:
    """A page of drivers, each with the zone of the last place, None without one; of one zone only, if it is named."""
    if zone is None:
        page: Page = await reads.ask(queries.drivers, filters, asked)
        return Page(_placed(page.rows, zones_of), page.after)
    placed: list[Filter] = [*filters, ("d.lat IS NOT NULL AND %s", True)]
    found: list[dict[str, Any]] = []
    after = asked.after
    for _ in range(_LOOKS):
        page = await reads.ask(queries.drivers, placed, Asked(_AT_ONCE, after))
        rows = _placed(page.rows, zones_of)
        for number, row in enumerate(rows):
            if row["zone"] == zone:
                found.append(row)
            if len(found) == asked.limit:
                more = number + 1 < len(rows) or page.after is not None
                return Page(found, (row["driver_id"],) if more else None)
        after = page.after
        if after is None:
            break
    return Page(found, after)


def _placed(rows: list[dict[str, Any]], zones_of: ZonesOf) -> list[dict[str, Any]]:
    known = [row for row in rows if row["lat"] is not None]
    zones = zones_of([row["lat"] for row in known], [row["lng"] for row in known])
    for row in rows:
        row["zone"] = None
    for row, zone in zip(known, zones, strict=True):
        row["zone"] = zone
    return rows
