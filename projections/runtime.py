"""Folds a batch of events into tables, with the offsets and the audit chain in the same transaction.

Rows are read, folded in memory, copied into a temporary table and merged. The offsets are compared before they are set:
a projector that was away while another took its partitions finds them moved and writes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import DriverLocation
from dispatch.log.application import Record
from projections.models import AUDIT, FOLDED, LATEST, Folded, Latest
from projections.models.audit import WORDS
from projections.models.audit import row as audit_row
from projections.models.model import Row
from projections.noting import Rows, note, noted

Connection = psycopg.Connection[Any]
Place = tuple[str, int]


class OffsetsMoved(Exception):
    """Another projector wrote these partitions: forget everything and ask where they stand."""


@dataclass(slots=True)
class Position:
    """Where a partition stands: the next offset, and the hash of the last audited record."""

    next_offset: int = 0
    last_hash: bytes = b""


@dataclass(slots=True)
class Poison:
    """A record that could not be folded."""

    record: Record
    reason: str
    place: str


@dataclass(slots=True)
class Folding:
    """What a batch comes to, before it is written."""

    audit: list[Row] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    latest: dict[str, dict[str, Row | None]] = field(default_factory=dict)
    """By table and key; None: erased."""
    noted: Rows = field(default_factory=dict)
    poison: list[Poison] = field(default_factory=list)
    positions: dict[Place, Position] = field(default_factory=dict)


def prepare(connection: Connection) -> None:
    """Temporary tables to copy into; once a connection."""
    tables = [model.table for model in FOLDED] + [AUDIT.table]
    for table in tables:
        connection.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS").format(
                sql.Identifier(f"new_{table}"), sql.Identifier(table)
            )
        )
    connection.commit()


def positions(connection: Connection, places: Iterable[Place]) -> dict[Place, Position]:
    """Where these partitions stand."""
    rows = connection.execute("SELECT topic, partition, next_offset, last_hash FROM projection_offsets").fetchall()
    connection.commit()
    known = {(topic, partition): Position(offset, bytes(last)) for topic, partition, offset, last in rows}
    return {place: known.get(place, Position()) for place in places}


def fold(records: Sequence[Record], at: dict[Place, Position], namespace: str) -> Folding:
    """Decodes and chains; what cannot be read is poison and is passed over. Records before the position were folded.

    Pings come last: one that was read before its driver's sign-on would be lost.
    """
    folding = Folding()
    pings = namespace + topics.DRIVER_PLACES.name
    for record in sorted(records, key=lambda record: record.topic == pings):
        place = (record.topic, record.partition)
        position = folding.positions.get(place) or Position(at[place].next_offset, at[place].last_hash)
        if record.offset < position.next_offset:
            continue
        try:
            topic = record.topic.removeprefix(namespace)
            if topic in LATEST:
                for model in LATEST[topic]:
                    if (read := model.read(record.key, record.value)) is not None:
                        folding.latest.setdefault(model.table, {})[read[0]] = read[1]
            elif (rows := noted(topic, record)) is not None:
                for table, more in rows.items():
                    folding.noted.setdefault(table, []).extend(more)
            else:
                _add(folding, record, topic, position)
        except ContractError as error:
            folding.poison.append(Poison(record, error.reason, error.place))
        position.next_offset = record.offset + 1
        folding.positions[place] = position
    return folding


def _add(folding: Folding, record: Record, topic: str, position: Position) -> None:
    event = codec.decode(record.value)
    if type(event) in WORDS:
        row = audit_row(event, record.value or b"", (topic, record.partition, record.offset), position.last_hash)
        folding.audit.append(row)
        position.last_hash = row["hash"]
    elif not isinstance(event, DriverLocation):
        raise ContractError(f"a {type(event).__name__} is no event")
    folding.events.append(event)


def write(connection: Connection, folding: Folding, at: dict[Place, Position]) -> None:
    """Everything in one transaction, or nothing. Raises OffsetsMoved, or psycopg.Error."""
    with connection.transaction():
        for place, position in folding.positions.items():
            _advance(connection, place, at[place].next_offset, position)
        for model in FOLDED:
            _merge(connection, model, folding.events)
        _append(connection, folding.audit)
        for latest in (model for models in LATEST.values() for model in models):
            _replace(connection, latest, folding.latest.get(latest.table, {}))
        note(connection, folding.noted)


def _advance(connection: Connection, place: Place, expected: int, position: Position) -> None:
    if expected == 0:
        connection.execute(
            "INSERT INTO projection_offsets (topic, partition, next_offset) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING",
            place,
        )
    moved = connection.execute(
        "UPDATE projection_offsets SET next_offset = %s, last_hash = %s"
        " WHERE topic = %s AND partition = %s AND next_offset = %s",
        (position.next_offset, position.last_hash, *place, expected),
    )
    if moved.rowcount != 1:
        raise OffsetsMoved(f"{place[0]} {place[1]} does not stand at {expected} any more")


def _merge(connection: Connection, model: Folded, events: Sequence[Any]) -> None:
    mine = [event for event in events if type(event) in model.handles]
    if not mine:
        return
    keys = list({getattr(event, model.key) for event in mine})
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            sql.SQL("SELECT {} FROM {} WHERE {} = ANY(%s)").format(
                _names(model.columns), sql.Identifier(model.table), sql.Identifier(model.key)
            ),
            (keys,),
        )
        rows: dict[str, Row] = {str(row[model.key]): row for row in cursor.fetchall()}
    for event in mine:
        key = getattr(event, model.key)
        row = rows.get(key)
        if row is None:
            if not isinstance(event, model.first):
                continue
            row = rows[key] = dict.fromkeys(model.columns) | model.defaults | {model.key: key}
        model.handles[type(event)](row, event)
    _copy(connection, model.table, model.columns, rows.values())
    changes = _taken_over(name for name in model.columns if name != model.key)
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO UPDATE SET {}").format(
            sql.Identifier(model.table),
            _names(model.columns),
            _names(model.columns),
            sql.Identifier(f"new_{model.table}"),
            sql.Identifier(model.key),
            changes,
        )
    )


def _append(connection: Connection, rows: Sequence[Row]) -> None:
    if rows:
        _copy(connection, AUDIT.table, AUDIT.columns, rows)
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
                sql.Identifier(AUDIT.table),
                _names(AUDIT.columns),
                _names(AUDIT.columns),
                sql.Identifier(f"new_{AUDIT.table}"),
            )
        )


def _replace(connection: Connection, model: Latest, rows: dict[str, Row | None]) -> None:
    gone = [key for key, row in rows.items() if row is None]
    if gone:
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE {} = ANY(%s::{}[])").format(
                sql.Identifier(model.table), sql.Identifier(model.key), sql.SQL(model.key_type)
            ),
            (gone,),
        )
    kept = {key: row for key, row in rows.items() if row is not None}
    if not kept:
        return
    arrays = [sql.SQL("%s::{}[]").format(sql.SQL(name)) for name in (model.key_type, *model.types)]
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT ({}) DO UPDATE SET {}").format(
            sql.Identifier(model.table),
            _names((model.key, *model.columns)),
            sql.SQL(", ").join(arrays),
            sql.Identifier(model.key),
            _taken_over(model.columns),
        ),
        [list(kept), *([row[name] for row in kept.values()] for name in model.columns)],
    )


def _taken_over(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns)


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(f"new_{table}"), _names(columns))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] for name in columns])


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
