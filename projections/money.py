"""What deliveries cost and brought, summed by zone, hour or seller: each currency by itself, never added to another."""

from datetime import datetime

import msgspec
import psycopg
from psycopg.rows import args_row

from projections.money_asked import Asked, By, asking

COST_PARTS = (
    "driver_pay_minor", "compensation_minor", "routing_minor", "messages_minor", "storage_minor", "platform_minor",
)  # fmt: skip
REVENUE_PARTS = ("commission_minor", "delivery_fee_minor")


class Group(msgspec.Struct, frozen=True):
    """Settled deliveries of a key and currency, in minor units. Sums of parts are the totals. Fields as in `asking`."""

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
    """Deliveries settled from `since` on and before `until`, by currency and key. Raises psycopg.Error."""
    statement, values = asking(Asked(by, since, until))
    with (
        psycopg.connect(dsn, connect_timeout=3) as connection,
        connection.cursor(row_factory=args_row(Group)) as cursor,
    ):
        cursor.execute(statement, values)
        groups = cursor.fetchall()
    if by == "hour":
        groups = [msgspec.structs.replace(group, key=group.key[:16].replace("T", " ")) for group in groups]
    return sorted(groups, key=lambda group: (group.currency, group.key))


def total(groups: list[Group]) -> list[Group]:
    """One group a currency, under the key `all`."""
    sums: dict[str, Group] = {}
    for group in groups:
        known = sums.get(group.currency)
        sums[group.currency] = _added(known, group) if known else _added(_nothing(group.currency), group)
    return list(sums.values())


_AMOUNTS = tuple(name for name in Group.__struct_fields__ if name not in ("key", "currency"))


def _nothing(currency: str) -> Group:
    return Group(key="all", currency=currency, **dict.fromkeys(_AMOUNTS, 0))


def _added(one: Group, other: Group) -> Group:
    sums = {name: getattr(one, name) + getattr(other, name) for name in _AMOUNTS}
    return Group(key="all", currency=one.currency, **sums)
