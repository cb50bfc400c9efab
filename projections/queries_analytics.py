"""What analysts read: zones over time, drivers' performance, what deliveries cost and brought."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import args_row, dict_row

from projections.money import Group, total
from projections.money_asked import Asked as MoneyAsked
from projections.money_asked import By, asking
from projections.queries_paging import Asked, Key, Ordering, Page, Select, page

Row = dict[str, Any]
PERFORMANCE_ORDERS: dict[str, Ordering] = {
    "driver": Ordering((Key("d.driver_id", "text"),)),
    "score": Ordering((Key("coalesce(m.score, -1)", "float8"), Key("d.driver_id", "text")), descending=True),
}


async def zones_now(connection: AsyncConnection[Any], zone: str | None) -> list[Row]:
    """Each zone as counted last, within the last hour."""
    one = " AND zone = %s" if zone is not None else ""
    statement = (
        "SELECT DISTINCT ON (zone) * FROM zone_health_metrics WHERE minute >= now() - interval '1 hour'"
        + one + " ORDER BY zone, minute DESC LIMIT 2000"
    )  # fmt: skip
    return await _rows(connection, statement, [zone] if zone is not None else [])


async def zones_over_time(
    connection: AsyncConnection[Any], zone: str | None, since: datetime, until: datetime, step_s: int, limit: int
) -> list[Row]:
    """Zones from `since` on and before `until`, by steps; `minutes` were counted in a step. One row more than `limit`
    says that there are more."""
    one = " AND zone = %s" if zone is not None else ""
    statement = (
        "SELECT zone, date_bin(make_interval(secs => %s), minute, '2000-01-01T00:00:00Z') AS at, count(*) AS minutes,"
        " round(avg(drivers_online), 2)::float8 AS drivers_online, min(drivers_available) AS drivers_available_min,"
        " avg(pressure) AS pressure, max(pressure_max) AS pressure_max, round(avg(open_searches), 2)::float8"
        " AS open_searches, max(open_searches_max) AS open_searches_max, max(wait_p50_ms) AS wait_p50_ms_max,"
        " max(wait_p95_ms) AS wait_p95_ms_max,"
        " count(*) FILTER (WHERE understaffed) AS understaffed_minutes FROM zone_health_metrics"
        " WHERE minute >= %s AND minute < %s" + one + " GROUP BY 1, 2 ORDER BY 2, 1 LIMIT %s"
    )
    values: list[Any] = [step_s, since, until, *([zone] if zone is not None else []), limit + 1]
    return await _rows(connection, statement, values)


async def driver_performance(
    connection: AsyncConnection[Any], driver_id: str | None, since: datetime, until: datetime, sort: str, asked: Asked
) -> Page:
    """Drivers with their score, and what they did from `since` on and before `until`."""
    select = Select(
        "d.driver_id, d.availability, d.rating, m.score, m.mean AS score_mean, m.acceptance_rate, m.parts, m.scored_at",
        "drivers d LEFT JOIN driver_performance_metrics m ON m.driver_id = d.driver_id",
    )
    filters = [("d.driver_id = %s", driver_id)] if driver_id is not None else []
    found = await page(connection, select, filters, PERFORMANCE_ORDERS[sort], asked)
    names = [row["driver_id"] for row in found.rows]
    offers = {row["driver_id"]: row for row in await _offers(connection, names, since, until)}
    work = {row["driver_id"]: row for row in await _work(connection, names, since, until)}
    earned = await _earned(connection, names, since, until)
    for row in found.rows:
        name = row["driver_id"]
        row["offers"] = _but_the_name(offers.get(name)) or dict.fromkeys(_OFFERS, 0) | {"response_ms": None}
        row["deliveries"] = _but_the_name(work.get(name)) or dict.fromkeys(_WORK, 0)
        row["earned"] = [
            {"amount_minor": item["earned_minor"], "currency": item["currency"]}
            for item in earned
            if item["driver_id"] == name
        ]
    return found


_OFFERS = ("sent", "accepted", "rejected", "expired", "withdrawn")
_WORK = ("ended", "delivered", "failed", "delivered_by_eta")


async def _offers(
    connection: AsyncConnection[Any], names: Sequence[str], since: datetime, until: datetime
) -> list[Row]:
    statement = (
        "SELECT driver_id, count(*) AS sent, count(*) FILTER (WHERE outcome = 'ACCEPTED') AS accepted,"
        " count(*) FILTER (WHERE outcome = 'REJECTED') AS rejected,"
        " count(*) FILTER (WHERE outcome = 'EXPIRED') AS expired,"
        " count(*) FILTER (WHERE outcome = 'WITHDRAWN') AS withdrawn,"
        " round(avg(response_ms))::bigint AS response_ms FROM driver_offers"
        " WHERE driver_id = ANY(%s) AND sent_at >= %s AND sent_at < %s GROUP BY driver_id"
    )
    return await _rows(connection, statement, [list(names), since, until])


async def _work(connection: AsyncConnection[Any], names: Sequence[str], since: datetime, until: datetime) -> list[Row]:
    statement = (
        "SELECT driver_id, count(*) AS ended, count(*) FILTER (WHERE status = 'delivered') AS delivered,"
        " count(*) FILTER (WHERE status IN ('failed', 'returned')) AS failed,"
        " count(*) FILTER (WHERE status = 'delivered' AND ended_at <= delivery_eta) AS delivered_by_eta"
        " FROM deliveries WHERE driver_id = ANY(%s) AND ended_at >= %s AND ended_at < %s GROUP BY driver_id"
    )
    return await _rows(connection, statement, [list(names), since, until])


async def _earned(
    connection: AsyncConnection[Any], names: Sequence[str], since: datetime, until: datetime
) -> list[Row]:
    statement = (
        "SELECT d.driver_id, c.currency, sum(c.driver_pay_minor)::bigint AS earned_minor"
        " FROM deliveries d JOIN delivery_costs c USING (delivery_id, created_at)"
        " WHERE d.driver_id = ANY(%s) AND d.ended_at >= %s AND d.ended_at < %s AND c.settled_at IS NOT NULL"
        " GROUP BY 1, 2 ORDER BY 2"
    )
    return await _rows(connection, statement, [list(names), since, until])


async def economics(
    connection: AsyncConnection[Any], by: By, since: datetime, until: datetime, limit: int,
    zone: str | None = None, seller_id: str | None = None,
) -> list[Group]:  # fmt: skip
    """Deliveries settled from `since` on and before `until`, by key and currency; at most `limit` + 1 groups."""
    statement, values = asking(MoneyAsked(by, since, until, zone, seller_id, limit + 1))
    async with connection.cursor(row_factory=args_row(Group)) as cursor:
        await cursor.execute(statement, values, binary=True, prepare=False)  # a plan for any dates is a slower one
        return await cursor.fetchall()


def summed(groups: list[Group]) -> list[Group]:
    """One group a currency, under the key `all`."""
    return total(groups)


def _but_the_name(row: Row | None) -> Row | None:
    return {name: value for name, value in row.items() if name != "driver_id"} if row else None


async def _rows(connection: AsyncConnection[Any], statement: str, values: Sequence[Any]) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), values)
        return await cursor.fetchall()
