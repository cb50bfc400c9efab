"""What became of every notice, in Postgres: taken in, claimed before it is sent, reported after.

A claim is committed before anything leaves, and counts the attempts: a report of an older claim changes nothing. One
that nobody reports on was interrupted; what is done then depends on the channel (docs/decisions/0006-told-once.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from dispatch.contract.records.system import Notice
from dispatch.core.policy import NoticePolicy
from dispatch.notices import quiet
from dispatch.notices.kinds import Kind

Connection = psycopg.Connection[Any]
KEPT_DAYS = 14
_TOLD = "state IN ('pending', 'claimed', 'sent', 'unknown')"
_INSERT = (
    "INSERT INTO notices (notice_id, channel, audience, kind, delivery_id, driver_id, level, details, at, recipient,"
    " news, state, reason, due_at, stale_at, ended_at)"
    " VALUES (%(notice_id)s, %(channel)s, %(audience)s, %(kind)s, %(delivery_id)s, %(driver_id)s, %(level)s,"
    " %(details)s, %(at)s, %(recipient)s, %(news)s, %(state)s, %(reason)s, %(due_at)s, %(stale_at)s,"
    " CASE WHEN %(state)s = 'pending' THEN NULL ELSE now() END)"
    " ON CONFLICT (notice_id, channel) DO NOTHING"
)
_REPEATED = (
    f"SELECT EXISTS (SELECT FROM notices WHERE recipient = %s AND news = %s AND channel = %s AND notice_id <> %s"
    f" AND at > %s::timestamptz - make_interval(secs => %s) AND at <= %s AND {_TOLD})"
)
_COUNTED = (
    f"SELECT count(*) FROM notices WHERE recipient = %s AND channel = %s AND notice_id <> %s"
    f" AND due_at > %s::timestamptz - make_interval(secs => %s) AND {_TOLD}"
)
_ROW = "notice_id::text, channel, audience, kind, delivery_id, driver_id, level, details, at, attempts, stale_at"
_CLAIM = (
    "UPDATE notices SET state = 'claimed', claimed_at = now(), attempts = attempts + 1"
    " WHERE (notice_id, channel) IN (SELECT notice_id, channel FROM notices mine"
    "  WHERE state = 'pending' AND due_at <= now() AND NOT EXISTS (SELECT FROM notices older"
    "   WHERE older.recipient = mine.recipient AND older.channel = mine.channel"
    "   AND (older.due_at, older.at, older.notice_id) < (mine.due_at, mine.at, mine.notice_id)"
    "   AND (older.state = 'claimed' OR older.state = 'pending'))"
    "  ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)"
    f" AND state = 'pending' RETURNING {_ROW}"
)
"""One a recipient at a time, in order; one that failed is passed by those that come due before its next attempt."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that is this sender's to send."""

    notice_id: str
    channel: str
    audience: str
    kind: str
    delivery_id: str
    driver_id: str
    level: int
    details: Mapping[str, str]
    at: datetime
    attempts: int
    stale_at: datetime


def take(
    connection: Connection, notice: Notice, kind: Kind, names: Sequence[str], policy: NoticePolicy, now_ms: int
) -> None:
    """Notes a notice for each channel: due, or dropped and why. As often as one likes; within a transaction."""
    planned = quiet.sending(notice, kind, policy, now_ms, quiet.zone_of(policy))
    for name in names or ("",):
        dropped = planned.dropped or ("" if name else "no_channel") or _too_much(connection, notice, kind, name, policy)
        connection.execute(
            _INSERT,
            {
                "notice_id": notice.notice_id, "channel": name, "audience": notice.audience, "kind": notice.kind,
                "delivery_id": notice.delivery_id, "driver_id": notice.driver_id, "level": notice.level,
                "details": Jsonb(dict(notice.details)), "at": moment(notice.at_ms),
                "recipient": quiet.recipient(notice), "news": quiet.news(notice),
                "state": "dropped" if dropped else "pending", "reason": dropped,
                "due_at": moment(planned.due_at_ms), "stale_at": moment(notice.at_ms + kind.stale_s * 1000),
            },
        )  # fmt: skip


def _too_much(connection: Connection, notice: Notice, kind: Kind, channel: str, policy: NoticePolicy) -> str:
    who, at = quiet.recipient(notice), moment(notice.at_ms)
    arguments = (who, quiet.news(notice), channel, notice.notice_id, at, policy.repeat_after_s, at)
    if _one(connection, _REPEATED, arguments):
        return "repeated"
    if kind.quiet != "send":
        counted = _one(connection, _COUNTED, (who, channel, notice.notice_id, at, policy.counted_s))
        if counted >= quiet.most(policy, notice.audience):
            return "too_many"
    return ""


def _one(connection: Connection, statement: str, arguments: Sequence[Any]) -> Any:
    row = connection.execute(statement.encode(), arguments).fetchone()
    assert row is not None
    return row[0]


def claim(connection: Connection, most: int) -> list[Claimed]:
    """Takes what is due, one a recipient. The claim is committed when this returns."""
    with connection.transaction(), connection.cursor(row_factory=class_row(Claimed)) as cursor:
        return cursor.execute(_CLAIM.encode(), (most,)).fetchall()


def report(connection: Connection, claimed: Claimed, state: str, reason: str = "", retry_ms: int = 0) -> None:
    """What became of a claim: sent, dropped, unknown or dead; or pending again after `retry_ms`."""
    with connection.transaction():
        connection.execute(
            "UPDATE notices SET state = %s, reason = %s, claimed_at = NULL,"
            " due_at = CASE WHEN %s = 'pending' THEN now() + make_interval(secs => %s) ELSE due_at END,"
            " ended_at = CASE WHEN %s = 'pending' THEN NULL ELSE now() END"
            " WHERE notice_id = %s AND channel = %s AND attempts = %s AND state IN ('claimed', 'unknown')",
            (state, reason, state, retry_ms / 1000, state, claimed.notice_id, claimed.channel, claimed.attempts),
        )


def recover(connection: Connection, keyed: Sequence[str], claim_s: float) -> int:
    """Claims that nobody reported on: again where the channel knows a repeat, else unknown and left. Gives how many."""
    with connection.transaction():
        found = connection.execute(
            "UPDATE notices SET claimed_at = NULL, reason = 'interrupted',"
            " state = CASE WHEN channel = ANY(%(keyed)s) THEN 'pending' ELSE 'unknown' END,"
            " ended_at = CASE WHEN channel = ANY(%(keyed)s) THEN NULL ELSE now() END"
            " WHERE state = 'claimed' AND claimed_at < now() - make_interval(secs => %(claim_s)s)",
            {"keyed": list(keyed), "claim_s": claim_s},
        )
        return found.rowcount


def again(connection: Connection, notice_id: str) -> int:
    """Puts a dead or unknown notice back, with all its attempts; gives the number of channels."""
    with connection.transaction():
        found = connection.execute(
            "UPDATE notices SET state = 'pending', reason = '', attempts = 0, due_at = now(), ended_at = NULL,"
            " stale_at = greatest(stale_at, now() + interval '1 hour')"
            " WHERE notice_id::text = %s AND state IN ('dead', 'unknown')",
            (notice_id,),
        )
        return found.rowcount


def forget(connection: Connection) -> int:
    """Deletes what ended long ago: longer than the topic keeps notices, or they would be taken in anew."""
    with connection.transaction():
        found = connection.execute(
            "DELETE FROM notices WHERE ended_at < now() - make_interval(days => %s)"
            " AND at < now() - make_interval(days => %s)",
            (KEPT_DAYS, KEPT_DAYS),
        )
        return found.rowcount


def moment(at_ms: int) -> datetime:
    """UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)
