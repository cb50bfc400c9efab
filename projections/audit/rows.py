"""The audit's tables as they are read: rows by partition, anchors, and what the projector noted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from projections.audit import proof
from projections.audit.anchor import Anchor
from projections.audit.chain import Link
from projections.audit.findings import Finding
from projections.models.audit import chained
from projections.models.model import Row, moment

Connection = psycopg.Connection[Any]
Place = tuple[str, int]
COLUMNS: LiteralString = (
    "topic, partition, record_offset, event_id, event, audit_word, delivery_id, driver_id, version, at, actor_type,"
    " actor_id, causation_id, correlation_id, schema_id, body, prev_hash, hash, value"
)
_ANCHORS: LiteralString = (
    "SELECT topic, partition, number, first_offset, last_offset, rows, rows_so_far, before, hash, root, previous,"
    " key_id, signature, (extract(epoch FROM first_at) * 1000)::bigint AS first_at_ms,"
    " (extract(epoch FROM last_at) * 1000)::bigint AS last_at_ms, (extract(epoch FROM at) * 1000)::bigint AS at_ms"
    " FROM audit_anchors WHERE topic = %s AND partition = %s"
)
_STEP = 2_000


@contextmanager
def snapshot(dsn: str) -> Iterator[Connection]:
    """One state of the database, however long it is looked at; read only."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        set_json_loads(msgspec.json.decode, connection)
        yield connection


def in_order(connection: Connection, place: Place, after: int) -> Iterator[Row]:
    """A partition's rows behind an offset, a few thousand in memory at a time."""
    with connection.cursor(name=f"audit {place[0]} {place[1]}", row_factory=dict_row) as cursor:
        cursor.itersize = _STEP
        cursor.execute(
            "SELECT " + COLUMNS + " FROM delivery_audit_logs WHERE topic = %s AND partition = %s AND record_offset > %s"
            " ORDER BY topic, partition, record_offset",
            (*place, after),
            binary=True,
        )
        yield from cursor


def of_delivery(connection: Connection, delivery_id: str) -> list[Row]:
    """A delivery's own events and what drivers decided about it, by topic and version."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT " + COLUMNS + " FROM delivery_audit_logs WHERE delivery_id = %s::uuid"
            " ORDER BY topic, partition, record_offset",
            (delivery_id,),
        )
        return cursor.fetchall()


def looked_at(stored: Row) -> tuple[Link, list[Finding]]:
    """A row as the chain has it, and what does not fit its bytes. If its hash is not theirs, the chain tells that."""
    kept = stored["value"] is not None
    value = stored["value"] if kept else proof.rebuilt(stored)
    link = Link(stored["record_offset"], stored["prev_hash"], stored["hash"], value, str(stored["delivery_id"] or ""))
    place = {"topic": stored["topic"], "partition": stored["partition"], "offset": link.offset}
    if value is None:
        text = "it has no bytes, and its body does not give its hash: the log can tell (--against-log)"
        return link, [Finding(kind="unproved", text=text, delivery_id=link.delivery_id, **place)]
    wrong = proof.misfits(stored, value, kept=kept) if chained(link.previous, value) == link.hash else []
    if not wrong:
        return link, []
    text = f"{', '.join(wrong)} {'does' if len(wrong) == 1 else 'do'} not say what the row's bytes say"
    return link, [Finding(kind="changed", text=text, delivery_id=link.delivery_id, columns=tuple(wrong), **place)]


def places(connection: Connection) -> list[Place]:
    """Every partition that has a row: from one to the next by the index, however many rows there are."""
    return connection.execute(
        "WITH RECURSIVE found AS ("
        "(SELECT topic, partition FROM delivery_audit_logs ORDER BY topic, partition LIMIT 1)"
        " UNION ALL SELECT further.topic, further.partition FROM found, LATERAL ("
        "SELECT topic, partition FROM delivery_audit_logs WHERE (topic, partition) > (found.topic, found.partition)"
        " ORDER BY topic, partition LIMIT 1) AS further)"
        " SELECT topic, partition FROM found"
    ).fetchall()


def noted(connection: Connection, namespace: str) -> dict[Place, tuple[int, bytes]]:
    """By partition, without the namespace: the next offset and the last hash, as the projector wrote them."""
    rows = connection.execute(
        "SELECT topic, partition, next_offset, last_hash FROM projection_offsets"
        " WHERE last_hash <> '' AND starts_with(topic, %s)",
        (namespace,),
    ).fetchall()
    return {(topic.removeprefix(namespace), partition): (offset, last) for topic, partition, offset, last in rows}


def anchored(connection: Connection) -> list[Place]:
    """Every partition that has an anchor."""
    return connection.execute("SELECT DISTINCT topic, partition FROM audit_anchors").fetchall()


def anchors_of(connection: Connection, place: Place) -> list[Anchor]:
    """A partition's anchors in order."""
    return _anchors(connection, _ANCHORS + " ORDER BY number", place)


def last_anchor(connection: Connection, place: Place) -> Anchor | None:
    """The newest one."""
    return next(iter(_anchors(connection, _ANCHORS + " ORDER BY number DESC LIMIT 1", place)), None)


def anchor_over(connection: Connection, place: Place, offset: int) -> Anchor | None:
    """The one whose stretch holds this offset."""
    statement: LiteralString = " AND first_offset <= %s AND last_offset >= %s"
    return next(iter(_anchors(connection, _ANCHORS + statement, (*place, offset, offset))), None)


def put(connection: Connection, anchor: Anchor) -> bool:
    """Writes an anchor; False: somebody else wrote this number."""
    done = connection.execute(
        "INSERT INTO audit_anchors (topic, partition, number, first_offset, last_offset, rows, rows_so_far, first_at,"
        " last_at, before, hash, root, previous, at, key_id, signature)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            anchor.topic, anchor.partition, anchor.number, anchor.first_offset, anchor.last_offset, anchor.rows,
            anchor.rows_so_far, moment(anchor.first_at_ms), moment(anchor.last_at_ms), anchor.before, anchor.hash,
            anchor.root, anchor.previous, moment(anchor.at_ms), anchor.key_id, anchor.signature,
        ),
    )  # fmt: skip
    return done.rowcount == 1


def _anchors(connection: Connection, statement: LiteralString, about: Sequence[Any]) -> list[Anchor]:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statement, about)
        return [Anchor(**row) for row in cursor.fetchall()]
