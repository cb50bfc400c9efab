"""Writes noted tables: rows of records that are no events, merged in the transaction of their offsets."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import psycopg
from psycopg import sql

from dispatch.log.application import Record
from projections.models import NOTED, Noted
from projections.models.model import Row

_BY_TOPIC: dict[str, tuple[Noted, ...]] = {
    model.topic.name: tuple(other for other in NOTED if other.topic is model.topic) for model in NOTED
}
Rows = dict[str, list[Row]]
"""By table, in the order they came."""
Connection = psycopg.Connection[Any]


class Months(Protocol):
    """Who makes partitions."""

    def months(self, connection: Connection, table: str, column: str, rows: Iterable[Row]) -> None:
        """Sees to it that the partitions of these rows are there."""


def noted(topic: str, record: Record) -> Rows:
    """The rows of a record of a topic that is noted. Raises ContractError."""
    rows = {model.table: model.read(record) for model in _BY_TOPIC[topic]}
    return {table: [read] if isinstance(read, dict) else list(read) for table, read in rows.items() if read is not None}


def note(connection: Connection, months: Months, rows: Mapping[str, Sequence[Row]]) -> None:
    """Writes them, within the transaction that is open. Raises psycopg.Error."""
    for model in NOTED:
        mine = rows.get(model.table)
        if not mine:
            continue
        months.months(connection, model.table, model.month, mine)
        with connection.cursor() as cursor:
            cursor.executemany(_NOTING[model.table], [[row[name] for name in model.columns] for row in mine])


def _noting(model: Noted) -> bytes:
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT {}").format(
        sql.Identifier(model.table),
        sql.SQL(", ").join(map(sql.Identifier, model.columns)),
        sql.SQL(", ").join(sql.Placeholder() * len(model.columns)),
        sql.SQL(model.merge),
    )
    return statement.as_bytes(None)


_NOTING = {model.table: _noting(model) for model in NOTED}
