"""What `baton setup` does behind the migrations, as often as one likes: each step looks at what is there.

Not in a migration, for none of it may hold up a filled table: checks are validated one by one, under a lock that lets
everybody read and write.
"""

from typing import Any

import psycopg
from psycopg import sql

from projections.keeping import dictionary, roles
from projections.keeping.catalogue import CATALOGUE

Connection = psycopg.Connection[Any]
LOCK = 0x6261746F6E
"""Advisory: of two setups of one database one waits."""
_UNCHECKED = """
SELECT c.relname, n.conname FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid
    WHERE n.contype = 'c' AND NOT n.convalidated AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
    ORDER BY 1, 2
"""
_SEED = """
INSERT INTO projection_retention (table_name, column_name, keep_days) SELECT %(table)s, %(column)s, %(days)s
    WHERE to_regclass('public.' || %(table)s) IS NOT NULL
    ON CONFLICT (table_name) DO UPDATE SET column_name = excluded.column_name
    WHERE projection_retention.column_name <> excluded.column_name
"""
_LACKING = """
SELECT FROM (SELECT d.delivery_id FROM deliveries d, projection_retention r WHERE r.table_name = 'eta_accuracy'
    AND (r.keep_days IS NULL OR d.created_at > now() - make_interval(days => r.keep_days))
    ORDER BY d.created_at LIMIT 1) oldest
    WHERE NOT EXISTS (SELECT FROM eta_accuracy e WHERE e.delivery_id = oldest.delivery_id)
"""
_LACKS = (
    "assignments and eta_accuracy lack what happened before they were there; `baton projections rebuild` fills them"
)


def settle(dsn: str) -> list[str]:
    """Texts, checks, retention and roles as this release wants them; gives what people should know, in sentences.

    Raises psycopg.Error.
    """
    with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        try:
            return _settled(connection)
        finally:  # a server notices a moment later that a connection was closed; a rebuild may come at once
            if not connection.closed:
                connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


def _settled(connection: Connection) -> list[str]:
    dictionary.comment(connection)
    for kept in CATALOGUE:
        connection.execute(_SEED, {"table": kept.table, "column": kept.column, "days": kept.days})
    said = _validate(connection)
    said += roles.let_in(connection)
    if connection.execute(_LACKING).rowcount:
        said.append(_LACKS)
    return said


def _validate(connection: Connection) -> list[str]:
    said = []
    for table, name in connection.execute(_UNCHECKED).fetchall():
        try:
            connection.execute(
                sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
                    sql.Identifier("public", table), sql.Identifier(name)
                )
            )
        except psycopg.errors.CheckViolation:
            said.append(f"older rows of {table} do not keep to {name}; those written from now on do")
    return said
