"""What is to be told, in Postgres: a line for each delivery and endpoint, of which one message is sent at a time.

A claim of a line is committed before anything leaves; a report of an older claim changes nothing. A claim that nobody
reports on lapses, and its message is sent again under the same id (docs/decisions/0015-webhooks-in-lines.md).
"""

from dataclasses import dataclass, replace
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from dispatch.webhooks.endpoints import Connection, Row

KEPT_DAYS = 30
"""Messages, sent or not, and with them what was tried."""
EACH = 8
"""Requests under way to one endpoint; to one that is failing: 1."""
_CLAIM = """
WITH picked AS (
    SELECT l.endpoint_id, l.line FROM webhook_endpoints e CROSS JOIN LATERAL (
        SELECT endpoint_id, line, due_at FROM webhook_lines
        WHERE endpoint_id = e.endpoint_id AND state = 'pending' AND due_at <= now()
            AND (e.state = 'enabled' OR line = 'test')
        ORDER BY due_at
        LIMIT greatest(0, CASE WHEN e.failures = 0 THEN %(each)s ELSE 1 END
            - (SELECT count(*) FROM webhook_lines c WHERE c.endpoint_id = e.endpoint_id AND c.state = 'claimed'))
        FOR UPDATE SKIP LOCKED) l
    ORDER BY l.due_at LIMIT %(most)s),
taken AS (
    UPDATE webhook_lines l SET state = 'claimed', claimed_at = now(), claim = claim + 1
    FROM picked WHERE l.endpoint_id = picked.endpoint_id AND l.line = picked.line
    RETURNING l.endpoint_id, l.line, l.claim)
SELECT t.endpoint_id::text, t.line, t.claim, e.seller_id, e.url, e.secret, e.failures,
    CASE WHEN e.old_secret_until > now() THEN e.old_secret END AS old_secret,
    m.message_id::text, m.event_type, m.body, m.at, m.attempts, m.round
FROM taken t JOIN webhook_endpoints e USING (endpoint_id) LEFT JOIN LATERAL (
    SELECT * FROM webhook_messages WHERE endpoint_id = t.endpoint_id AND line = t.line AND state = 'pending'
    ORDER BY sequence, taken_at LIMIT 1) m ON true
"""
_DONE = (
    "UPDATE webhook_messages SET state = %(state)s, attempts = attempts + 1, reason = %(reason)s,"
    " ended_at = CASE WHEN %(state)s = 'pending' THEN NULL ELSE now() END"
    " WHERE message_id = %(message_id)s AND state = 'pending' AND round = %(round)s"
)
_ATTEMPT = (
    "INSERT INTO webhook_attempts (message_id, endpoint_id, at, outcome, status, reason, took_ms)"
    " VALUES (%(message_id)s, %(endpoint_id)s, %(at)s, %(outcome)s, %(status)s, %(reason)s, %(took_ms)s)"
)
_NEXT = (
    "UPDATE webhook_lines l SET claimed_at = NULL, due_at = clock_timestamp() + make_interval(secs => %(pause_s)s),"
    " state = CASE WHEN EXISTS (SELECT FROM webhook_messages m WHERE m.endpoint_id = l.endpoint_id"
    "  AND m.line = l.line AND m.state = 'pending') THEN 'pending' ELSE 'idle' END"
    " WHERE endpoint_id = %(endpoint_id)s AND line = %(line)s RETURNING state"
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A line that is this sender's, and its first message; no message: none was left."""

    endpoint_id: str
    line: str
    claim: int
    seller_id: str
    url: str
    secret: bytes
    failures: int
    old_secret: bytes | None
    message_id: str | None
    event_type: str | None
    body: str | None
    at: datetime | None
    attempts: int | None
    round: int | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a sending. `outcome`: sent, failed (again after `pause_s`) or dead; `disable`: why, or empty."""

    outcome: str
    at: datetime
    took_ms: int
    status: int | None = None
    reason: str = ""
    pause_s: float = 0.0
    disable: str = ""


async def claim(connection: Connection, most: int) -> list[Claimed]:
    """Takes lines that are due, a few an endpoint. The claim is committed when this returns."""
    async with connection.transaction(), connection.cursor(row_factory=class_row(Claimed)) as cursor:
        return await (await cursor.execute(_CLAIM.encode(), {"most": most, "each": EACH})).fetchall()


async def report(connection: Connection, claimed: Claimed, tried: Tried | None) -> Tried | None:
    """Notes an attempt, as it counts, and lets the line go on. None: nothing was tried, or the claim had lapsed.

    A lapsed claim changes nothing. An attempt ends nothing and holds up nothing when its message was asked for again,
    or passed over, while it was under way.
    """
    values: Row = {"endpoint_id": claimed.endpoint_id, "line": claimed.line, "message_id": claimed.message_id,
                   "round": claimed.round}  # fmt: skip
    async with connection.transaction():
        held = await connection.execute(
            "SELECT FROM webhook_lines WHERE endpoint_id = %s AND line = %s AND claim = %s AND state = 'claimed'"
            " FOR UPDATE",
            (claimed.endpoint_id, claimed.line, claimed.claim),
        )
        if held.rowcount == 0:
            return None
        if tried is not None:
            state = {"failed": "pending"}.get(tried.outcome, tried.outcome)
            values |= {
                "at": tried.at, "outcome": tried.outcome, "status": tried.status, "reason": tried.reason,
                "took_ms": tried.took_ms, "state": state,
            }  # fmt: skip
            done = await connection.execute(_DONE, values)
            tried = tried if done.rowcount else replace(tried, pause_s=0.0, disable="")
            await connection.execute(_ATTEMPT, values)
            await _judged(connection, claimed, tried)
        await connection.execute(_NEXT, values | {"pause_s": tried.pause_s if tried else 0.0})
    return tried


async def _judged(connection: Connection, claimed: Claimed, tried: Tried) -> None:
    """What the attempt says of the endpoint."""
    if tried.outcome == "sent":
        if claimed.failures:
            await connection.execute(
                "UPDATE webhook_endpoints SET failures = 0 WHERE endpoint_id = %s", (claimed.endpoint_id,)
            )
        return
    await connection.execute(
        "UPDATE webhook_endpoints SET failures = failures + 1 WHERE endpoint_id = %s", (claimed.endpoint_id,)
    )
    if tried.disable:
        await connection.execute(
            "WITH off AS (UPDATE webhook_endpoints SET state = 'disabled', disabled_why = %(why)s,"
            "  disabled_at = now(), changed_at = now()"
            "  WHERE endpoint_id = %(endpoint_id)s AND state = 'enabled' RETURNING endpoint_id, seller_id, url)"
            " INSERT INTO webhook_changes (change_id, endpoint_id, seller_id, act, actor_type, actor_id, reason, host)"
            " SELECT gen_random_uuid(), endpoint_id, seller_id, 'disabled', 'system', 'webhooks', %(why)s,"
            "  substring(url from '^[a-z]+://([^/?]+)') FROM off",
            {"why": tried.disable, "endpoint_id": claimed.endpoint_id},
        )


async def recover(connection: Connection, claim_s: float) -> int:
    """Claims that nobody reported on: due again. Gives how many."""
    async with connection.transaction():
        found = await connection.execute(
            "UPDATE webhook_lines SET state = 'pending', claimed_at = NULL, due_at = now()"
            " WHERE state = 'claimed' AND claimed_at < now() - make_interval(secs => %s)",
            (claim_s,),
        )
        return found.rowcount


async def forget(connection: Connection) -> int:
    """Deletes what is old: messages and attempts, lines without any, whose delivery it was. Gives how many messages."""
    async with connection.transaction():
        found = await connection.execute(
            "DELETE FROM webhook_messages WHERE taken_at < now() - make_interval(days => %s)", (KEPT_DAYS,)
        )
        for table, column in (("webhook_lines", "due_at"), ("webhook_deliveries", "created_at")):
            more = "state = 'idle' AND " if table == "webhook_lines" else ""
            await connection.execute(
                f"DELETE FROM {table} WHERE {more}{column} < now() - make_interval(days => %s)".encode(),
                (2 * KEPT_DAYS,),
            )
        return found.rowcount


def cause(error: psycopg.Error) -> str:
    """What a server says first; the rest may quote rows."""
    return error.diag.message_primary or type(error).__name__
