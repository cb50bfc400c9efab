"""For how long tables are kept, as operators see and change it. Each function has a connection of its own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from projections.keeping.catalogue import CATALOGUE, LEAST_DAYS
from projections.keeping.keeper import Done, Month, keep_once, old_months

_KEPT = """
SELECT r.table_name AS table, r.column_name AS column, r.keep_days AS days, r.changed_at, r.actor_id, r.reason,
    c.relkind = 'p' AS by_month, (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = c.oid)::int AS months,
    (SELECT coalesce(sum(pg_total_relation_size(relid)), 0) FROM pg_partition_tree(c.oid))::bigint
        + CASE WHEN c.relkind = 'r' THEN pg_total_relation_size(c.oid) ELSE 0 END AS bytes
FROM projection_retention r JOIN pg_class c ON c.relname = r.table_name AND c.relnamespace = 'public'::regnamespace
ORDER BY r.table_name
"""


class NotKept(Exception):
    """A retention that cannot be; the message says what can."""


@dataclass(frozen=True, slots=True)
class Retention:
    """A table and for how long it is kept: `days`, None for ever. `months`: partitions that are there."""

    table: str
    column: str
    days: int | None
    changed_at: datetime
    actor_id: str
    reason: str
    by_month: bool
    months: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Old:
    """What the next run would let go: months, and of the other tables how many rows."""

    months: list[Month]
    rows: dict[str, int]


def kept(dsn: str) -> list[Retention]:
    """Every table that retention is about. Raises psycopg.Error."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        return _kept(connection)


def keep(dsn: str, table: str, days: int | None, actor_id: str, reason: str) -> Retention:
    """Sets it, and notes who did and why. Nothing is dropped by this. Raises NotKept or psycopg.Error."""
    known = [one.table for one in CATALOGUE]
    if table not in known:
        raise NotKept(f"{table!r} has no retention; {', '.join(known)} have")
    if days is not None and days < LEAST_DAYS:
        raise NotKept(f"{days} days are too few for {table}; {LEAST_DAYS} is the least, or `forever`")
    if not reason.strip() or not actor_id.strip():
        raise NotKept("who changes it, and why, must be said")
    with psycopg.connect(dsn, connect_timeout=3) as connection, connection.transaction():
        was = connection.execute(
            "SELECT keep_days FROM projection_retention WHERE table_name = %s FOR UPDATE", (table,)
        ).fetchone()
        if was is None:
            raise NotKept(f"{table} is not there yet; `baton setup` makes it")
        connection.execute(
            "INSERT INTO projection_retention_history (table_name, was_days, keep_days, actor_id, reason)"
            " VALUES (%s, %s, %s, %s, %s)",
            (table, was[0], days, actor_id, reason),
        )
        connection.execute(
            "UPDATE projection_retention SET keep_days = %s, changed_at = now(), actor_id = %s, reason = %s"
            " WHERE table_name = %s",
            (days, actor_id, reason, table),
        )
        return next(one for one in _kept(connection) if one.table == table)


def old(dsn: str) -> Old:
    """What would go now; changes nothing. Raises psycopg.Error."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        rows = {}
        for one in _kept(connection):
            if one.days is not None and not one.by_month:
                statement = sql.SQL("SELECT count(*) FROM {} WHERE {} < now() - make_interval(days => %s)").format(
                    sql.Identifier(one.table), sql.Identifier(one.column)
                )
                found = connection.execute(statement, (one.days,)).fetchone()
                if found and found[0]:
                    rows[one.table] = int(found[0])
        return Old(old_months(connection), rows)


def drop_old(dsn: str) -> Done | None:
    """Lets go what is old, as the keeper does every hour; None: one is at it. Raises psycopg.Error."""
    with psycopg.connect(dsn, connect_timeout=3, autocommit=True) as connection:
        return keep_once(connection)


def _kept(connection: psycopg.Connection[Any]) -> list[Retention]:
    with connection.cursor(row_factory=class_row(Retention)) as cursor:
        return cursor.execute(_KEPT.encode()).fetchall()
