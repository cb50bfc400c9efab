"""Who logs in to Postgres as what, how often at once, and what keeps an analyst's query from being everybody's trouble.

Roles belong to the server. They are made by migrations without a log-in; here they get one, without a password, which
is the operator's to set. A role that was changed since is the operator's: it stays as it is.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]
LONGEST_S = 900
"""No transaction of an analyst lives longer, whatever they set for themselves."""
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Role:
    """`connections`: at once, of all processes together."""

    name: str
    connections: int
    what_for: str
    settings: Mapping[str, str] = field(default_factory=dict)


ROLES = (
    Role("baton_worker", 12, "workers: the fallback search, a connection each"),
    Role("baton_projector", 12, "projectors: a connection a lane, one each for gauges, anchors and the keeper"),
    Role("baton_gateway", 36, "three gateways, 12 each"),
    Role("baton_notifier", 8, "one notifier, which has 6"),
    Role("baton_webhooks", 12, "one webhooks process, which has 10"),
    Role(
        "baton_analyst", 8, "people and tools that ask", {
            "search_path": "analytics",
            "default_transaction_read_only": "on",
            "statement_timeout": "60s",
            "idle_in_transaction_session_timeout": "60s",
            "transaction_timeout": "10min",
            "lock_timeout": "5s",
            "work_mem": "32MB",
            "temp_file_limit": "2GB",
        },
    ),
)  # fmt: skip
"""88 connections together, so that of Postgres' own 100 some are left for the owner."""
_UNTOUCHED = "SELECT FROM pg_roles WHERE rolname = %s AND NOT rolcanlogin AND rolconnlimit = -1 AND rolconfig IS NULL"
_MAY_SET = (
    "SELECT name FROM pg_settings WHERE name = ANY(%s) AND (context = 'user' OR"
    " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR has_parameter_privilege(name, 'SET'))"
)


def let_in(connection: Connection) -> list[str]:
    """Lets the roles log in that nobody has touched yet; gives in sentences what could not be done.

    Settings that this server or its owner does not have are left out.
    """
    untouched = [role for role in ROLES if connection.execute(_UNTOUCHED, (role.name,)).rowcount]
    said = []
    for role in untouched:
        try:
            _configure(connection, role)
        except psycopg.errors.InsufficientPrivilege:
            said.append(f"who owns the tables may not change role {role.name}: an administrator of the server must")
    return said


def _configure(connection: Connection, role: Role) -> None:
    """Roles are seen by all databases: whoever does the same at the same moment makes one of the two fail."""
    possible = {name for (name,) in connection.execute(_MAY_SET, (list(role.settings),)).fetchall()}
    name = sql.Identifier(role.name)
    for tried in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute(
                    sql.SQL("ALTER ROLE {} LOGIN CONNECTION LIMIT {}").format(name, sql.Literal(role.connections))
                )
                for setting in sorted(possible):
                    connection.execute(
                        sql.SQL("ALTER ROLE {} SET {} = {}").format(
                            name, sql.Identifier(setting), sql.Literal(role.settings[setting])
                        )
                    )
            return
        except (psycopg.errors.InternalError_, psycopg.errors.UniqueViolation):  # tuple concurrently updated
            if tried == _TRIES - 1:
                raise
            time.sleep(0.1 * (tried + 1))
