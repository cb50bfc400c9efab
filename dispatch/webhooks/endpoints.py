"""Where sellers are told, as people change it: each change with its actor and reason, in one transaction with it.

For gateways. Secrets come and go sealed. Lock order, here and in the sender: line, then message, then endpoint.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dispatch.webhooks import kinds

Connection = psycopg.AsyncConnection[Any]
Row = dict[str, Any]
MOST_A_SELLER = 20
OLD_SECRET_S = 24 * 3_600
"""For so long after a rotation messages are signed with both secrets."""
_SHOWN = (
    "endpoint_id::text, seller_id, url, event_types, description, state, disabled_why, disabled_at, created_at,"
    " changed_at, CASE WHEN old_secret_until > now() THEN old_secret_until END AS old_secret_until"
)
_CHANGE = (
    "INSERT INTO webhook_changes (change_id, endpoint_id, seller_id, act, actor_type, actor_id, reason, host)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and why."""

    kind: str
    """As in the contract: order_service or admin."""
    name: str
    reason: str


class TooMany(Exception):
    """The seller has as many endpoints as one may have."""


async def create(connection: Connection, row: Row, host: str, actor: Actor) -> Row:
    """A new endpoint from endpoint_id, seller_id, url, event_types, description and secret (sealed). Raises TooMany."""
    async with connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || %s, 0))", (row["seller_id"],)
        )
        (count,) = (await _one(connection, "SELECT count(*) AS n FROM webhook_endpoints WHERE seller_id = %s",
                               row["seller_id"]) or {"n": 0}).values()  # fmt: skip
        if count >= MOST_A_SELLER:
            raise TooMany
        await connection.execute(
            "INSERT INTO webhook_endpoints (endpoint_id, seller_id, url, event_types, description, secret, state)"
            " VALUES (%(endpoint_id)s, %(seller_id)s, %(url)s, %(event_types)s, %(description)s, %(secret)s,"
            " 'enabled')",
            row,
        )
        await _noted(connection, row, "created", actor, host)
    return await _known(connection, row["endpoint_id"])


async def endpoint(connection: Connection, endpoint_id: str) -> Row | None:
    """One endpoint as people see it, without its secrets; None: unknown."""
    return await _one(connection, f"SELECT {_SHOWN} FROM webhook_endpoints WHERE endpoint_id::text = %s", endpoint_id)


async def listed(connection: Connection, sellers: Sequence[str] | None) -> list[Row]:
    """Those of these sellers; None: all. The oldest first, 1,000 at most."""
    return await _all(
        connection,
        f"SELECT {_SHOWN} FROM webhook_endpoints WHERE %s::text[] IS NULL OR seller_id = ANY(%s)"
        " ORDER BY created_at, endpoint_id LIMIT 1000",
        *[None if sellers is None else list(sellers)] * 2,
    )


async def change(connection: Connection, was: Row, values: Row, host: str, actor: Actor) -> Row:
    """Another url, event_types or description."""
    async with connection.transaction():
        await connection.execute(
            "UPDATE webhook_endpoints SET url = %(url)s, event_types = %(event_types)s, description = %(description)s,"
            " changed_at = now() WHERE endpoint_id = %(endpoint_id)s",
            {**{name: was[name] for name in ("endpoint_id", "url", "event_types", "description")}, **values},
        )
        await _noted(connection, was, "changed", actor, host)
    return await _known(connection, was["endpoint_id"])


async def delete(connection: Connection, was: Row, host: str, actor: Actor) -> None:
    """Takes it away with all that it was to be told; what was done with it stays known."""
    async with connection.transaction():
        await connection.execute("DELETE FROM webhook_endpoints WHERE endpoint_id = %s", (was["endpoint_id"],))
        await _noted(connection, was, "deleted", actor, host)


async def rotate(connection: Connection, was: Row, sealed: bytes, host: str, actor: Actor) -> Row:
    """A new secret; the one before it signs too, for OLD_SECRET_S."""
    async with connection.transaction():
        await connection.execute(
            "UPDATE webhook_endpoints SET old_secret = secret, secret = %s, changed_at = now(),"
            " old_secret_until = now() + make_interval(secs => %s) WHERE endpoint_id = %s",
            (sealed, OLD_SECRET_S, was["endpoint_id"]),
        )
        await _noted(connection, was, "secret_rotated", actor, host)
    return await _known(connection, was["endpoint_id"])


async def enable(connection: Connection, was: Row, host: str, actor: Actor, *, redeliver: bool) -> int:
    """Tells it again: with `redeliver` all that it missed, in order; else what comes from now on. Gives how many."""
    name = was["endpoint_id"]
    async with connection.transaction():
        await connection.execute("SELECT FROM webhook_lines WHERE endpoint_id = %s ORDER BY line FOR UPDATE", (name,))
        missed = await connection.execute(
            "UPDATE webhook_messages SET attempts = 0, round = round + 1, state = %s, reason = %s,"
            " ended_at = CASE WHEN %s THEN NULL ELSE now() END"
            " WHERE endpoint_id = %s AND line <> %s AND (state = 'pending' OR state = 'dead' AND reason <> %s)",
            (
                *(("pending", "") if redeliver else ("dead", "passed_over")),
                redeliver,
                name,
                kinds.TEST_LINE,
                "passed_over",
            ),
        )
        await connection.execute(
            "UPDATE webhook_lines l SET state = 'pending', due_at = now()"
            " WHERE endpoint_id = %s AND state IN ('idle', 'pending')"
            " AND EXISTS (SELECT FROM webhook_messages m WHERE m.endpoint_id = l.endpoint_id AND m.line = l.line"
            "  AND m.state = 'pending')",
            (name,),
        )
        await connection.execute(
            "UPDATE webhook_endpoints SET state = 'enabled', disabled_why = '', disabled_at = NULL, failures = 0,"
            " changed_at = now() WHERE endpoint_id = %s",
            (name,),
        )
        await _noted(connection, was, "enabled", actor, host)
    return missed.rowcount if redeliver else 0


async def say(connection: Connection, endpoint_id: str, message: Row) -> None:
    """Puts a message into its line: message_id, line, event_type, sequence, body, at."""
    async with connection.transaction():
        await connection.execute(QUEUE, {"endpoint_id": endpoint_id, "line": message["line"]})
        await connection.execute(MESSAGE, {"endpoint_id": endpoint_id, **message})


async def message(connection: Connection, message_id: str) -> Row | None:
    """One message and whose it is; None: unknown."""
    return await _one(
        connection,
        "SELECT message_id::text, endpoint_id::text, m.line, event_type, sequence, m.at, m.state, m.attempts, m.reason,"
        " ended_at, e.seller_id, e.state AS endpoint_state"
        " FROM webhook_messages m JOIN webhook_endpoints e USING (endpoint_id) WHERE message_id::text = %s",
        message_id,
    )


async def redeliver(connection: Connection, found: Row) -> None:
    """Sends a message again, under the same id, with all its attempts; an attempt under way now does not count."""
    async with connection.transaction():
        await connection.execute(QUEUE, found)
        await connection.execute(
            "UPDATE webhook_messages SET state = 'pending', attempts = 0, reason = '', ended_at = NULL,"
            " round = round + 1 WHERE message_id = %s",
            (found["message_id"],),
        )
        await connection.execute(
            "UPDATE webhook_lines SET due_at = now() WHERE endpoint_id = %s AND line = %s AND state = 'pending'",
            (found["endpoint_id"], found["line"]),
        )


async def attempts(connection: Connection, endpoint_id: str, before: int | None, limit: int) -> list[Row]:
    """What was tried, the newest first; `before`: older than this attempt."""
    return await _all(
        connection,
        "SELECT attempt, message_id::text, m.event_type, nullif(m.line, %s) AS delivery_id, m.sequence, a.at,"
        " a.outcome, a.status, a.reason, a.took_ms, m.state AS message_state"
        " FROM webhook_attempts a JOIN webhook_messages m USING (message_id)"
        " WHERE a.endpoint_id = %s AND (%s::bigint IS NULL OR attempt < %s) ORDER BY attempt DESC LIMIT %s",
        kinds.TEST_LINE, endpoint_id, before, before, limit,
    )  # fmt: skip


async def waiting(connection: Connection, endpoint_id: str) -> Row:
    """How many messages are to be sent yet, and how many were given up."""
    found = await _one(
        connection,
        "SELECT count(*) FILTER (WHERE state = 'pending') AS pending, count(*) FILTER (WHERE state = 'dead') AS dead"
        " FROM webhook_messages WHERE endpoint_id = %s AND state IN ('pending', 'dead')",
        endpoint_id,
    )
    assert found is not None
    return found


async def changes(connection: Connection, endpoint_id: str, limit: int = 20) -> list[Row]:
    """What was done with it, the newest first."""
    return await _all(
        connection,
        "SELECT act, actor_type, actor_id, reason, at FROM webhook_changes WHERE endpoint_id = %s"
        " ORDER BY change_no DESC LIMIT %s",
        endpoint_id, limit,
    )  # fmt: skip


QUEUE = (
    "INSERT INTO webhook_lines (endpoint_id, line, state, due_at)"
    " VALUES (%(endpoint_id)s, %(line)s, 'pending', clock_timestamp())"
    " ON CONFLICT (endpoint_id, line) DO UPDATE SET state = 'pending', due_at = clock_timestamp()"
    " WHERE webhook_lines.state = 'idle'"
)
"""Before a message is put into a line: whoever is at its end waits for this lock, and sees the message."""
MESSAGE = (
    "INSERT INTO webhook_messages (message_id, endpoint_id, line, event_type, sequence, body, at, state)"
    " VALUES (%(message_id)s, %(endpoint_id)s, %(line)s, %(event_type)s, %(sequence)s, %(body)s, %(at)s, 'pending')"
    " ON CONFLICT (message_id) DO NOTHING"
)


async def _noted(connection: Connection, row: Row, act: str, actor: Actor, host: str) -> None:
    """The webhooks process puts it into the log."""
    values = (str(uuid.uuid4()), row["endpoint_id"], row["seller_id"], act, actor.kind, actor.name, actor.reason, host)
    await connection.execute(_CHANGE, values)


async def _known(connection: Connection, endpoint_id: str) -> Row:
    found = await endpoint(connection, endpoint_id)
    return found or {"endpoint_id": endpoint_id, "state": "deleted"}


async def _one(connection: Connection, statement: str, *arguments: Any) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        return await (await cursor.execute(statement.encode(), arguments)).fetchone()


async def _all(connection: Connection, statement: str, *arguments: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        return await (await cursor.execute(statement.encode(), arguments)).fetchall()
