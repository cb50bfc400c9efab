"""Money from sums and ragged ends is, to the unit, what all rows added up come to."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from histories import HOURS, SELLERS, START_MS, ZONES, History, folded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from projections.migrate import down, up
from projections.money import Group, settled
from projections.money_asked import Asked, By, asking, whole
from projections.queries_analytics import economics

START = datetime.fromtimestamp(START_MS / 1000, UTC)
MOMENTS = st.one_of(
    st.integers(0, (HOURS + 4) * 60).map(lambda minutes: START + timedelta(minutes=minutes)),
    st.integers(0, HOURS + 4).map(lambda hours: START + timedelta(hours=hours)),
    st.sampled_from([datetime(2026, 9, day, tzinfo=UTC) for day in (21, 22, 23)]),
)
BY: tuple[By, ...] = ("zone", "hour", "seller", "driver")
KEYS = {
    "zone": "c.zone",
    "seller": "c.seller_id",
    "hour": "to_char(c.settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:00:00\"Z\"')",
    "driver": "coalesce(d.driver_id, '')",
}


@pytest.fixture(scope="module")
def filled(database: str) -> Iterator[str]:
    up(database)
    folded(database, History(5, deliveries=250).events)
    yield database
    down(database)


def added_up(connection: psycopg.Connection[Any], by: By, where: str, values: dict[str, Any]) -> list[Group]:
    """All rows, one by one."""
    names = Group.__struct_fields__[2:]
    own = {
        "deliveries": "count(*)", "delivered": "count(*) FILTER (WHERE c.outcome = 'delivered')",
        "lost_cost_minor": "coalesce(sum(c.cost_minor) FILTER (WHERE c.outcome <> 'delivered'), 0)",
        "lost_revenue_minor": "coalesce(sum(r.revenue_minor) FILTER (WHERE c.outcome <> 'delivered'), 0)",
        "estimated": "count(r.estimated_net_minor)",
        "estimated_net_minor": "coalesce(sum(r.estimated_net_minor), 0)",
        "compared_net_minor": "coalesce(sum(r.net_minor) FILTER (WHERE r.estimated_net_minor IS NOT NULL), 0)",
    }  # fmt: skip
    sums = ", ".join(f"({own.get(name, f'sum({name})')})::bigint AS {name}" for name in names)
    statement = (
        f"SELECT {KEYS[by]} AS key, c.currency, {sums} FROM delivery_costs c"
        " JOIN (SELECT delivery_id, commission_minor, delivery_fee_minor, revenue_minor, net_minor, estimated_net_minor"
        " FROM delivery_revenue) r"
        " USING (delivery_id) JOIN (SELECT delivery_id, driver_id FROM deliveries) d USING (delivery_id)"
        f" WHERE c.settled_at IS NOT NULL {where} GROUP BY 1, 2 ORDER BY 1, 2"
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statement.encode(), values)
        return [Group(**row) for row in cursor.fetchall()]


@pytest.mark.servers
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    by=st.sampled_from(BY), bounds=st.tuples(MOMENTS, MOMENTS), zone=st.sampled_from((None, None, *ZONES)),
    seller=st.sampled_from((None, None, *SELLERS)),
)  # fmt: skip
def test_sums_and_ragged_ends_are_all_the_rows(
    filled: str, by: By, bounds: tuple[datetime, datetime], zone: str | None, seller: str | None
) -> None:
    since, until = sorted(bounds)
    where = "AND c.settled_at >= %(since)s AND c.settled_at < %(until)s"
    where += " AND c.zone = %(zone)s" if zone else ""
    where += " AND c.seller_id = %(seller)s" if seller else ""

    async def asked() -> list[Group]:
        async with await psycopg.AsyncConnection.connect(filled) as connection:
            return await economics(connection, by, since, until, 1000, zone, seller)

    with psycopg.connect(filled) as connection:
        values = {"since": since, "until": until, "zone": zone, "seller": seller}
        assert asyncio.run(asked()) == added_up(connection, by, where, values)


@pytest.mark.servers
@pytest.mark.parametrize("by", BY)
def test_without_bounds_all_of_it_is_told(filled: str, by: By) -> None:
    with psycopg.connect(filled) as connection:
        everything = added_up(connection, by, "", {})
    found = settled(filled, by)
    assert sum(group.net_minor for group in found) == sum(group.net_minor for group in everything)
    assert {group.currency for group in found} == {"EUR", "CHF"}
    if by != "hour":
        assert sorted(found, key=str) == sorted(everything, key=str)
    assert found == sorted(found, key=lambda group: (group.currency, group.key))


@given(MOMENTS, MOMENTS, st.sampled_from((timedelta(hours=1), timedelta(days=1))))
def test_whole_steps_are_the_nearest_and_half_of_one_is_left_at_either_end(
    one: datetime, other: datetime, step: timedelta
) -> None:
    since, until = sorted((one, other))
    found = whole(Asked("zone", since, until), step)
    if found is None:
        assert until - since <= step
        return
    begin, end = found
    assert begin is not None
    assert end is not None
    assert begin < end
    assert abs(begin - since) <= step / 2
    assert abs(until - end) <= step / 2
    assert (begin - datetime(2026, 1, 1, tzinfo=UTC)) % step == timedelta(0)


def test_of_today_so_far_nothing_has_to_be_read_twice() -> None:
    now = datetime.now(UTC)
    found = whole(Asked("seller", now - timedelta(days=3), now), timedelta(days=1))
    assert found is not None
    assert found[1] is not None
    assert found[1] >= now


def test_what_the_sums_do_not_tell_apart_is_added_up_from_the_rows() -> None:
    since, until = START, START + timedelta(days=3)
    for by, of, rolled in (
        ("zone", {"zone": "a"}, True), ("zone", {"seller_id": "s"}, False), ("hour", {"seller_id": "s"}, False),
        ("seller", {"seller_id": "s"}, True), ("seller", {"zone": "a"}, False), ("driver", {"zone": "a"}, False),
        ("driver", {}, True),
    ):  # fmt: skip
        statement, _ = asking(Asked(by, since, until, **of))  # type: ignore[arg-type]
        assert (b"economics_rollup" in statement) == rolled, (by, of)


@pytest.mark.servers
def test_what_was_settled_before_sums_were_kept_is_in_them_after_the_release(database: str) -> None:
    up(database)
    folded(database, History(6, deliveries=80).events)
    with psycopg.connect(database) as connection:
        before = connection.execute("SELECT * FROM economics_rollup ORDER BY by, at, key, currency").fetchall()
    assert before
    down(database, "202611282230")
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM economics_rollup WHERE at < '2026-09-22'")
    up(database)
    with psycopg.connect(database) as connection:
        after = connection.execute("SELECT * FROM economics_rollup ORDER BY by, at, key, currency").fetchall()
    assert after == before
    down(database)
