"""What operations read: the queue, deliveries, drivers, the audit, dead letters. Pages by key, values bound."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.queries_paging import Asked, Filter, Key, Ordering, Page, Select, page
from projections.story import from_rows, tell

Row = dict[str, Any]
_DELIVERY = Key("q.delivery_id", "uuid")
_QUEUED = Key("q.queued_at", "timestamptz")
QUEUE_ORDERS: dict[str, Ordering] = {
    "critical": Ordering((Key("(NOT q.needs_manual_review)", "boolean"), _QUEUED, _DELIVERY)),
    "oldest": Ordering((_QUEUED, _DELIVERY)),
    "newest": Ordering((_QUEUED, _DELIVERY), descending=True),
    "level": Ordering((Key("(-q.escalation_level)", "bigint"), _QUEUED, _DELIVERY)),
}
NEWEST_DELIVERIES = Ordering((Key("created_at", "timestamptz"), Key("delivery_id", "uuid")), descending=True)
BY_DRIVER = Ordering((Key("d.driver_id", "text"),))
NEWEST_AUDIT = Ordering(
    (Key("at", "timestamptz"), Key("topic", "text"), Key("partition", "bigint"), Key("record_offset", "bigint")),
    descending=True,
)
NEWEST_LETTERS = Ordering((Key("l.at", "timestamptz"), Key("l.letter_id", "text")), descending=True)
_QUEUE = "unassigned_orders q JOIN deliveries d ON d.delivery_id = q.delivery_id"
_LETTERS = Select(
    "l.*, coalesce(a.act, 'open') AS status, a.actor_id AS handled_by, a.reason AS handled_why, a.at AS handled_at",
    "dead_letters l LEFT JOIN dead_letter_acts a ON a.letter_id = l.letter_id",
)


async def unassigned(connection: AsyncConnection[Any], filters: Sequence[Filter], sort: str, asked: Asked) -> Page:
    """A page of the queue; the names in filters: `q` the queue, `d` the delivery."""
    select = Select(
        "q.delivery_id, d.seller_id, d.seller_order_id, d.store_name, d.zone, q.queue_status AS status,"
        " d.status AS delivery_status, q.why, q.escalation_level, q.searches, d.attempt_count, q.needs_manual_review,"
        " q.review_reason, q.queued_at, extract(epoch FROM coalesce(q.left_at, now()) - q.queued_at)::float8 AS age_s,"
        " q.retry_at, q.left_at, q.left_how, d.driver_id",
        _QUEUE,
    )
    return await page(connection, select, filters, QUEUE_ORDERS[sort], asked)


async def unassigned_by_zone(connection: AsyncConnection[Any], filters: Sequence[Filter]) -> list[Row]:
    """How many wait in each zone, and how badly."""
    where = f" WHERE {' AND '.join(condition for condition, _ in filters)}" if filters else ""
    statement = (
        "SELECT d.zone, count(*) AS orders, count(*) FILTER (WHERE q.needs_manual_review) AS critical,"
        " max(q.escalation_level) AS highest_level, min(q.queued_at) AS oldest_queued_at,"
        " extract(epoch FROM now() - min(q.queued_at))::float8 AS oldest_age_s,"
        " sum(q.searches)::bigint AS searches FROM " + _QUEUE + where +
        " GROUP BY d.zone ORDER BY critical DESC, oldest_queued_at LIMIT 1000"
    )  # fmt: skip
    return await _rows(connection, statement, *(value for _, value in filters))


async def deliveries(connection: AsyncConnection[Any], filters: Sequence[Filter], asked: Asked) -> Page:
    """Deliveries, newest first."""
    select = Select(
        "delivery_id, seller_id, seller_order_id, store_name, zone, status, needs_manual_review, driver_id,"
        " assigned_how, attempt_count, search_no, escalation_level, unassigned_reason, order_value_minor,"
        " delivery_fee_minor, earning_minor, currency, pickup_eta, delivery_eta, created_at, ready_at, offered_at,"
        " assigned_at, picked_up_at, ended_at, end_reason, updated_at",
        "deliveries",
    )
    return await page(connection, select, filters, NEWEST_DELIVERIES, asked)


async def drivers(connection: AsyncConnection[Any], filters: Sequence[Filter], asked: Asked) -> Page:
    """Drivers by id, with their score."""
    select = Select(
        "d.driver_id, d.availability, d.reason, d.until, d.vehicle, d.capacity, d.holds, d.rating, d.lat, d.lng,"
        " d.last_seen_at, d.last_assigned_at, d.preferred_in, d.unavailable_in, d.updated_at, m.score",
        "drivers d LEFT JOIN driver_performance_metrics m ON m.driver_id = d.driver_id",
    )
    return await page(connection, select, filters, BY_DRIVER, asked)


async def audit_logs(connection: AsyncConnection[Any], filters: Sequence[Filter], asked: Asked) -> Page:
    """Events as they were, newest first."""
    select = Select(
        "event_id, event, audit_word AS type, delivery_id, driver_id, version, at, actor_type, actor_id,"
        " causation_id, correlation_id, body, encode(hash, 'hex') AS hash",
        "delivery_audit_logs",
    )
    return await page(connection, select, filters, NEWEST_AUDIT, asked)


async def availability_history(connection: AsyncConnection[Any], filters: Sequence[Filter], asked: Asked) -> Page:
    """How a driver's availability changed, newest first."""
    select = Select(
        "at, body ->> 'from_availability' AS from_state, body ->> 'to_availability' AS to_state,"
        " body ->> 'reason' AS reason, (body ->> 'until_ms')::bigint AS until_ms, actor_type, actor_id, version",
        "delivery_audit_logs",
    )
    return await page(connection, select, filters, NEWEST_AUDIT, asked)


async def story(connection: AsyncConnection[Any], delivery_id: str) -> list[Row]:
    """A delivery's history in sentences, in order; empty: nothing is known of it."""
    rows = await _rows(
        connection,
        "SELECT event, body FROM delivery_audit_logs"
        " WHERE delivery_id = %s::uuid AND topic = 'delivery.events' ORDER BY version",
        delivery_id,
    )
    told = tell(from_rows([(row["event"], row["body"]) for row in rows])) if rows else []
    return [{"at": at, "text": text} for at, text in told]


async def dead_letters(connection: AsyncConnection[Any], filters: Sequence[Filter], asked: Asked) -> Page:
    """Dead letters, newest first; the names in filters: `l` the letter, `a` what was done with it."""
    return await page(connection, _LETTERS, filters, NEWEST_LETTERS, asked)


async def dead_letter(connection: AsyncConnection[Any], letter_id: str) -> Row | None:
    """One dead letter."""
    statement = f"SELECT {_LETTERS.columns} FROM {_LETTERS.source} WHERE l.letter_id = %s"
    rows = await _rows(connection, statement, letter_id)
    return rows[0] if rows else None


async def _rows(connection: AsyncConnection[Any], statement: str, *values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), values)
        return await cursor.fetchall()
