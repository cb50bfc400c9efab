"""Analytics: zones over time, drivers' performance, what deliveries cost and brought. Ranges and rows are bounded."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateways.commands import json
from gateways.operations import cursors
from gateways.operations.asking import Limit, Ranged, Span, Word, question, same, within
from gateways.problems import Problem
from gateways.reads import Reads
from projections import queries_analytics as queries
from projections.queries_paging import Asked

_PATH = "/v2/admin/analytics"
_DAYS_MAX = 92
_HOURLY_DAYS_MAX = 31
_POINTS_MAX = 2_000


class Zones(Span):
    """Which zones, and how finely."""

    zone: Word | None = None
    step_s: Literal["60", "300", "900", "3600", "86400"] = Field("300", description="Of the series.")


class Performance(Ranged):
    """Which drivers."""

    driver_id: Word | None = None
    sort: Literal["driver", "score"] = "driver"
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class Economics(Span):
    """By what, and of whom."""

    by: Literal["zone", "hour", "seller", "driver"] = "zone"
    zone: Word | None = None
    seller_id: Word | None = None
    limit: Limit = 1000


def routes(reads: Reads) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["analytics"])
    _zones(router, reads)
    _performance(router, reads)
    _economics(router, reads)
    return router


def _range(asked: Span, usual: timedelta, days_max: int) -> tuple[datetime, datetime]:
    """What was asked for; without a beginning the usual time before the end, without an end now. Raises Problem."""
    end = asked.until or datetime.now(UTC)
    begin = asked.since or end - usual
    within("at", begin, end)
    if end - begin > timedelta(days=days_max):
        raise Problem(422, "range_too_long", f"At most {days_max} days can be asked for at a time.")
    return begin, end


def _zones(router: APIRouter, reads: Reads) -> None:
    @router.get(f"{_PATH}/zone-health")
    async def zone_health(asked: Annotated[Zones, Query()]) -> Response:
        """Each zone as it is, and as it was: from an hour ago, if no range is given; 30 days are kept."""
        begin, end = _range(asked, timedelta(hours=1), 30)
        step, zone = int(asked.step_s), asked.zone
        if (end - begin).total_seconds() / step > _POINTS_MAX:
            raise Problem(422, "range_too_long", f"More than {_POINTS_MAX} steps of {step} s; take longer ones.")
        latest = await reads.ask(queries.zones_now, zone)
        series = await reads.ask(queries.zones_over_time, zone, begin, end, step, _POINTS_MAX)
        return json(
            {
                "from": begin, "to": end, "step_s": step, "zones": latest,
                "series": series[:_POINTS_MAX], "truncated": len(series) > _POINTS_MAX,
            }
        )  # fmt: skip


def _performance(router: APIRouter, reads: Reads) -> None:
    @router.get(f"{_PATH}/driver-performance")
    async def driver_performance(asked: Annotated[Performance, Query()]) -> Response:
        """Each driver's score with its parts, and offers, deliveries and pay of a time: the last 7 days, if none is
        given."""
        begin, end = _range(asked, timedelta(days=7), _DAYS_MAX)
        ordering = queries.PERFORMANCE_ORDERS[asked.sort]
        asks = question(f"performance {asked.sort}", same(driver_id=asked.driver_id, since=asked.since, to=asked.until))
        page_asked = Asked(asked.limit, cursors.read(asks, ordering, asked.cursor))
        page = await reads.ask(queries.driver_performance, asked.driver_id, begin, end, asked.sort, page_asked)
        following = cursors.write(asks, ordering, page.after)
        return json({"from": begin, "to": end, "drivers": page.rows, "next_cursor": following})


def _economics(router: APIRouter, reads: Reads) -> None:
    @router.get(f"{_PATH}/economics")
    async def economics(asked: Annotated[Economics, Query()]) -> Response:
        """What settled deliveries cost and brought, each currency by itself: of the last 7 days, if none are given."""
        by, limit = asked.by, asked.limit
        begin, end = _range(asked, timedelta(days=7), _HOURLY_DAYS_MAX if by == "hour" else _DAYS_MAX)
        groups = await reads.ask(queries.economics, by, begin, end, limit, asked.zone, asked.seller_id)
        truncated = len(groups) > limit
        body: dict[str, Any] = {"from": begin, "to": end, "by": by, "truncated": truncated}
        body["groups"] = [_group(group) for group in groups[:limit]]
        body["total"] = None if truncated else [_group(group) for group in queries.summed(groups)]
        return json(body)


def _group(group: Any) -> dict[str, Any]:
    amounts = {name: getattr(group, name) for name in type(group).__slots__}
    currency = amounts.pop("currency")
    told = {
        name.removesuffix("_minor"): {"amount_minor": value, "currency": currency} if name.endswith("_minor") else value
        for name, value in amounts.items()
    }
    return told | {"currency": currency, "margin_permille": group.margin_permille}
