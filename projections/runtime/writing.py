"""Writes what a batch changed: rows are copied into temporary tables and merged; months' partitions are made first."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from psycopg import sql

from projections.models import AUDIT, FOLDED, LATEST
from projections.models.model import Appended, Events, Latest, Row, Summed
from projections.runtime.offsets import Connection


class Changes:
    """By table, the rows to write, each once: as it stands after the batch."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: dict[str, dict[Any, Row]] = {}

    def put(self, table: str, name: Any, row: Row) -> None:
        """The row as it is now."""
        rows = self.rows.get(table)
        if rows is None:
            rows = self.rows[table] = {}
        rows[name] = row

    def add(self, table: str, name: Any, row: Row, sums: Sequence[str]) -> None:
        """Amounts to add to those of the same name."""
        rows = self.rows.setdefault(table, {})
        there = rows.get(name)
        if there is None:
            rows[name] = row
        else:
            for column in sums:
                there[column] += row[column]


class Writer:
    """One connection's temporary tables, and the months that are known to be there."""

    def __init__(self, connection: Connection, models: Sequence[Events] = FOLDED, *, room: str = "public") -> None:
        """`room`: the schema of the tables, which is first in the search path. Raises psycopg.Error."""
        self._room = room
        self._into = {model.table: (_copying(model.columns, f"new_{model.table}"), _merging(model)) for model in models}
        self._months: set[tuple[str, int, int]] = set()
        making = sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS")
        connection.execute(
            sql.SQL("; ").join(
                making.format(sql.Identifier(f"new_{model.table}"), sql.Identifier(model.table)) for model in models
            )
        )
        connection.commit()

    def forget(self) -> None:
        """Which months are there."""
        self._months.clear()

    def merge(self, connection: Connection, model: Events, rows: Sequence[Row]) -> None:
        """New rows are inserted, known ones replaced; sums are added."""
        self.months(connection, model.table, model.month, rows)
        copying, merging = self._into[model.table]
        _copy(connection, copying, model.columns, rows)
        connection.execute(merging)

    def append(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Rows of the audit: their offsets say that they are new."""
        if rows:
            self.months(connection, AUDIT.table, AUDIT.month, rows)
            _copy(connection, _OF_AUDIT, AUDIT.columns, rows)

    def months(self, connection: Connection, table: str, column: str, rows: Iterable[Row]) -> None:
        """Sees to it that the partitions of these rows are there."""
        if not column:
            return
        for year, month in sorted({_month(row[column]) for row in rows}):
            if (table, year, month) not in self._months:
                connection.execute("SELECT public.baton_month(%s, %s, %s)", (self._room, table, date(year, month, 1)))
                self._months.add((table, year, month))


def _month(at: datetime) -> tuple[int, int]:
    utc = at.astimezone(UTC)  # rows that were read come in the session's own zone
    return utc.year, utc.month


def replace(connection: Connection, rows: Mapping[str, Mapping[str, Row | None]]) -> None:
    """The last record of each key, by table; None: the row is taken away."""
    for latest in (model for models in LATEST.values() for model in models):
        _replace(connection, latest, rows.get(latest.table, {}))


def _replace(connection: Connection, model: Latest, rows: Mapping[str, Row | None]) -> None:
    taking, putting = _LATEST[model.table]
    if gone := [key for key, row in rows.items() if row is None]:
        connection.execute(taking, (gone,))
    kept = {key: row for key, row in rows.items() if row is not None}
    if kept:
        connection.execute(putting, [list(kept), *([row[name] for row in kept.values()] for name in model.columns)])


def _copy(connection: Connection, statement: bytes, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] for name in columns])


def _copying(columns: Sequence[str], into: str) -> bytes:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(into), names(columns)).as_bytes(None)


def _merging(model: Events) -> bytes:
    """From the temporary table into the real one."""
    in_order: sql.Composable = sql.SQL("")
    if isinstance(model, Appended):
        change: sql.Composable = sql.SQL("NOTHING")
    elif isinstance(model, Summed):
        change = sql.SQL("UPDATE SET ") + _each("{0} = " + model.table + ".{0} + excluded.{0}", model.sums)
        in_order = sql.SQL(" ORDER BY ") + names(model.identity)  # two lanes that add to the same rows
    else:
        changing = (name for name in model.columns if name not in model.identity)
        change = sql.SQL("UPDATE SET ") + _each("{0} = excluded.{0}", changing)
    merging = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}{} ON CONFLICT ({}) DO ").format(
        sql.Identifier(model.table), names(model.columns), names(model.columns),
        sql.Identifier(f"new_{model.table}"), in_order, names(model.identity),
    )  # fmt: skip
    return (merging + change).as_bytes(None)


def _replacing(model: Latest) -> tuple[bytes, bytes]:
    """What takes rows away by their keys, and what puts rows."""
    taking = sql.SQL("DELETE FROM {} WHERE {} = ANY(%s::{}[])").format(
        sql.Identifier(model.table), sql.Identifier(model.key), sql.SQL(model.key_type)
    )
    arrays = [sql.SQL("%s::{}[]").format(sql.SQL(name)) for name in (model.key_type, *model.types)]
    putting = sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT ({}) DO UPDATE SET {}").format(
        sql.Identifier(model.table), names((model.key, *model.columns)), sql.SQL(", ").join(arrays),
        sql.Identifier(model.key), _each("{0} = excluded.{0}", model.columns),
    )  # fmt: skip
    return taking.as_bytes(None), putting.as_bytes(None)


def _each(pattern: str, columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL(pattern).format(sql.Identifier(name)) for name in columns)


def names(columns: Sequence[str]) -> sql.Composed:
    """Columns as a list in SQL."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))


_OF_AUDIT = _copying(AUDIT.columns, AUDIT.table)
_LATEST = {model.table: _replacing(model) for models in LATEST.values() for model in models}
