"""Puts the views in place as their files have them, and takes them away before tables change under them.

Views are taken out of the way of migrations: a table cannot change its columns while a view reads them, and a view
of this release may read columns that a table has only after the last migration.
"""

from typing import Any

import psycopg
from psycopg import errors, sql

from projections.analytics.catalogue import SCHEMA, SHARED, View, views

Connection = psycopg.Connection[Any]
_READERS = ("baton_analyst", "baton_gateway")
_THERE = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind = 'v' ORDER BY c.oid DESC
"""
"""The latest first: none rests on one that was made after it."""


def put_in_place(connection: Connection) -> int:
    """All views, in one transaction; how many there are. Raises psycopg.Error."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('baton analytics'))")
        connection.execute(SHARED.encode())
        if _names(connection) - set(views()):
            _take_all(connection)
        try:
            with connection.transaction():
                _make(connection)
        except errors.InvalidTableDefinition:  # a column went, or is of another type: they are made anew
            _take_all(connection)
            _make(connection)
        schema = sql.Identifier(SCHEMA)
        for reader in _READERS:
            connection.execute(
                sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(schema, sql.Identifier(reader))
            )
    return len(views())


def take_away(connection: Connection) -> None:
    """All views. Raises psycopg.Error, also when something of other people's rests on one."""
    with connection.transaction():
        _take_all(connection)


def _make(connection: Connection) -> None:
    for view in views().values():
        name = sql.Identifier(SCHEMA, view.name)
        connection.execute(sql.SQL("CREATE OR REPLACE VIEW {} AS ").format(name).as_bytes(None) + view.sql.encode())
        connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(name, sql.Literal(view.question)))
        for column in view.columns:
            connection.execute(
                sql.SQL("COMMENT ON COLUMN {} IS {}").format(
                    sql.Identifier(SCHEMA, view.name, column.name), sql.Literal(column.about)
                )
            )


def _names(connection: Connection) -> set[str]:
    return {name for (name,) in connection.execute(_THERE, (SCHEMA,)).fetchall()}


def _take_all(connection: Connection) -> None:
    """All at once, so that it does not matter which rests on which."""
    there = [sql.Identifier(SCHEMA, name) for (name,) in connection.execute(_THERE, (SCHEMA,)).fetchall()]
    if there:
        connection.execute(sql.SQL("DROP VIEW {}").format(sql.SQL(", ").join(there)))


__all__ = ["Connection", "View", "put_in_place", "take_away"]
