"""Views and tables as files for analysts: streamed in one snapshot, in bounded memory, and in place when complete.

What may be exported is a list of names, not a list of what may not: a new table is not in it by itself. Texts that
people wrote by hand are left out.
"""

import csv
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import psycopg
from psycopg import sql

from projections.analytics.catalogue import SCHEMA, views
from projections.queries_csv import cell

Form = Literal["parquet", "csv"]
ROWS = 20_000
"""Rows that are held at once; a row group of Parquet."""


@dataclass(frozen=True, slots=True)
class Source:
    """What can be exported."""

    name: str
    schema: str
    about: str
    time: str
    """The column by which a time is asked for; empty: there is none."""
    by_session: bool
    """A view that tells of the time that the session says."""
    left_out: tuple[str, ...] = ()


_TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "assignments": ("assigned_at", ("note",)),
    "delivery_costs": ("settled_at", ()),
    "delivery_incentives": ("starts_at", ("note",)),
    "delivery_revenue": ("settled_at", ()),
    "delivery_zones": ("", ()),
    "driver_availability_history": ("at", ()),
    "driver_performance_metrics": ("scored_at", ()),
    "driver_zone_preferences": ("set_at", ()),
    "economics_rollup": ("at", ()),
    "eta_accuracy": ("created_at", ()),
    "feature_flag_history": ("at", ("reason",)),
    "policy_history": ("at", ("reason",)),
    "pricing_rules": ("at", ()),
    "unassigned_orders": ("queued_at", ("review_reason",)),
    "zone_health_metrics": ("minute", ()),
    "zone_imports": ("at", ("note",)),
    "zone_prices": ("at", ()),
}
"""By table: its time, and what is left out."""


def sources() -> dict[str, Source]:
    """All by name: the views first."""
    found = {
        view.name: Source(view.name, SCHEMA, view.question, view.time, by_session=view.usual is not None)
        for view in views().values()
    }
    for name, (time, left_out) in _TABLES.items():
        found[name] = Source(name, "public", "the table as it is", time, by_session=False, left_out=left_out)
    return found


class NotExported(Exception):
    """It cannot be, for a reason that the caller can do something about."""


class _Sink(Protocol):
    def write(self, rows: Sequence[Sequence[Any]]) -> None: ...
    def close(self) -> None: ...


def export(
    connection: psycopg.Connection[Any], source: Source, path: Path, form: Form,
    period: tuple[datetime | None, datetime | None], told: Callable[[int], None] = lambda _rows: None,
) -> int:  # fmt: skip
    """Writes it; how many rows. Raises NotExported, OSError, psycopg.Error; then there is no file."""
    since, until = period
    if (since or until) and not (source.time or source.by_session):
        raise NotExported(f"{source.name} tells of now; it has no time to be asked for")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    written = 0
    try:
        with connection.cursor(name="baton_export") as cursor:
            cursor.itersize = ROWS
            cursor.execute(*_statement(connection, source, since, until))
            names = [(column.name, column.type_code) for column in cursor.description or ()]
            sink = _parquet(part, names) if form == "parquet" else _Csv(part, names)
            try:
                for rows in _lots(cursor):
                    sink.write(rows)
                    written += len(rows)
                    told(written)
            finally:
                sink.close()
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return written


@contextmanager
def snapshot(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection whose every statement sees the same moment, and that can change nothing."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET TIME ZONE 'UTC'")
        yield connection


def can_write_parquet() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def tell_period(connection: psycopg.Connection[Any], since: datetime | None, until: datetime | None) -> None:
    """Says to the views of which time they shall tell, as long as the transaction goes on. None: the usual one."""
    for name, moment in (("since", since), ("until", until)):
        value = moment.isoformat() if moment else ""
        connection.execute("SELECT set_config(%s, %s, true)", (f"baton.{name}", value))


def _statement(
    connection: psycopg.Connection[Any], source: Source, since: datetime | None, until: datetime | None
) -> tuple[sql.Composed, dict[str, Any]]:
    columns: sql.Composable = sql.SQL("*")
    if source.left_out:
        found = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum",
            (f"{source.schema}.{source.name}",),
        ).fetchall()
        columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in found if name not in source.left_out)
    statement = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(source.schema, source.name))
    if source.by_session:
        tell_period(connection, since, until)
        return statement, {}
    bounds = [
        sql.SQL("{} {} {}").format(sql.Identifier(source.time), sql.SQL(sign), sql.Placeholder(name))
        for name, sign, moment in (("since", ">=", since), ("until", "<", until))
        if moment
    ]
    if bounds:
        statement = statement + sql.SQL(" WHERE ") + sql.SQL(" AND ").join(bounds)
    return statement, {"since": since, "until": until}


def _lots(cursor: Any) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(ROWS):
        yield rows


def _parquet(path: Path, columns: list[tuple[str, int]]) -> _Sink:
    from projections.export_parquet import Parquet

    return Parquet(path, columns)


class _Csv:
    """UTF-8, lines of CRLF, a line of names first."""

    def __init__(self, path: Path, columns: list[tuple[str, int]]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\r\n")
        self._writer.writerow([name for name, _ in columns])

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        self._writer.writerows([cell(value) for value in row] for row in rows)

    def close(self) -> None:
        self._file.close()
