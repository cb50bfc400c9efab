"""What deliveries cost and brought, summed by zone, hour or seller: each currency by itself, never added to another."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.rows import dict_row

By = Literal["zone", "hour", "seller"]
COST_PARTS = (
    "driver_pay_minor", "compensation_minor", "routing_minor", "messages_minor", "storage_minor", "platform_minor",
)  # fmt: skip
REVENUE_PARTS = ("commission_minor", "delivery_fee_minor")
_KEYS: dict[By, LiteralString] = {
    "zone": "c.zone",
    "seller": "c.seller_id",
    "hour": "to_char(c.settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:00')",
}
SUMS: LiteralString = (
    "count(*) AS deliveries, count(*) FILTER (WHERE c.outcome = 'delivered') AS delivered,"
    " sum(c.driver_pay_minor)::bigint AS driver_pay_minor, sum(c.compensation_minor)::bigint AS compensation_minor,"
    " sum(c.routing_minor)::bigint AS routing_minor, sum(c.messages_minor)::bigint AS messages_minor,"
    " sum(c.storage_minor)::bigint AS storage_minor, sum(c.platform_minor)::bigint AS platform_minor,"
    " sum(c.cost_minor)::bigint AS cost_minor, sum(r.commission_minor)::bigint AS commission_minor,"
    " sum(r.delivery_fee_minor)::bigint AS delivery_fee_minor, sum(r.revenue_minor)::bigint AS revenue_minor,"
    " sum(r.net_minor)::bigint AS net_minor,"
    " coalesce(sum(c.cost_minor) FILTER (WHERE c.outcome <> 'delivered'), 0)::bigint AS lost_cost_minor,"
    " coalesce(sum(r.revenue_minor) FILTER (WHERE c.outcome <> 'delivered'), 0)::bigint AS lost_revenue_minor,"
    " count(r.estimated_net_minor) AS estimated,"
    " coalesce(sum(r.estimated_net_minor), 0)::bigint AS estimated_net_minor,"
    " coalesce(sum(r.net_minor) FILTER (WHERE r.estimated_net_minor IS NOT NULL), 0)::bigint AS compared_net_minor"
)


@dataclass(frozen=True, slots=True)
class Group:
    """Settled deliveries of one key and currency, in minor units. Sums of parts are the totals."""

    key: str
    currency: str
    deliveries: int
    delivered: int
    driver_pay_minor: int
    compensation_minor: int
    routing_minor: int
    messages_minor: int
    storage_minor: int
    platform_minor: int
    cost_minor: int
    commission_minor: int
    delivery_fee_minor: int
    revenue_minor: int
    net_minor: int
    lost_cost_minor: int
    """Of those that were not delivered."""
    lost_revenue_minor: int
    estimated: int
    """Those that had an estimate: a driver took them."""
    estimated_net_minor: int
    compared_net_minor: int
    """What the estimated ones came to."""

    @property
    def margin_permille(self) -> int | None:
        """Net of a thousand of revenue, rounded half up; None without revenue."""
        return permille(self.net_minor, self.revenue_minor)


def permille(part: int, whole: int) -> int | None:
    """So many of a thousand, rounded half up; None of nothing."""
    return (2000 * part + whole) // (2 * whole) if whole > 0 else None


def settled(dsn: str, by: By, since: datetime | None = None, until: datetime | None = None) -> list[Group]:
    """Deliveries settled from `since` on and before `until`, by key and currency. Raises psycopg.Error."""
    statement = (
        b"SELECT " + _KEYS[by].encode() + b" AS key, c.currency, " + SUMS.encode() +
        b" FROM delivery_costs c JOIN delivery_revenue r USING (delivery_id) WHERE c.settled_at IS NOT NULL"
        b" AND (%(since)s::timestamptz IS NULL OR c.settled_at >= %(since)s)"
        b" AND (%(until)s::timestamptz IS NULL OR c.settled_at < %(until)s) GROUP BY 1, 2 ORDER BY 2, 1"
    )  # fmt: skip
    with (
        psycopg.connect(dsn, connect_timeout=3) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        cursor.execute(statement, {"since": since, "until": until})
        return [_group(row) for row in cursor.fetchall()]


def total(groups: list[Group]) -> list[Group]:
    """One group a currency, under the key `all`."""
    sums: dict[str, Group] = {}
    for group in groups:
        known = sums.get(group.currency)
        sums[group.currency] = _added(known, group) if known else _added(_nothing(group.currency), group)
    return list(sums.values())


def _group(row: dict[str, Any]) -> Group:
    return Group(**row)


_AMOUNTS = tuple(name for name in Group.__slots__ if name not in ("key", "currency"))


def _nothing(currency: str) -> Group:
    return Group(key="all", currency=currency, **dict.fromkeys(_AMOUNTS, 0))


def _added(one: Group, other: Group) -> Group:
    sums = {name: getattr(one, name) + getattr(other, name) for name in _AMOUNTS}
    return Group(key="all", currency=one.currency, **sums)
