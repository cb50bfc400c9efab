"""What became of every notice, in Postgres: taken in, claimed before it is sent, reported after.

A claim is committed before anything leaves, and counts the attempts: a report of an older claim changes nothing. One
that nobody reports on was interrupted; what is done then depends on the channel (docs/decisions/0006-told-once.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import class_row

from dispatch.contract.records.system import Notice
from dispatch.core.policy import NoticePolicy
from dispatch.notices import quiet
from dispatch.notices.kinds import Kind

Connection = psycopg.Connection[Any]
KEPT_DAYS = 14
_TOLD = "state IN ('pending', 'claimed', 'sent', 'unknown')"
_WRITE = (
    "INSERT INTO notices (notice_id, channel, audience, kind, delivery_id, driver_id, level, details, at, recipient,"
    " news, state, reason, due_at, stale_at, ended_at)"
    " SELECT notice_id, channel, audience, kind, delivery_id, driver_id, level, details, at, recipient, news,"
    " CASE why WHEN '' THEN 'pending' ELSE 'dropped' END, why, due_at, stale_at, CASE WHEN why <> '' THEN now() END"
    " FROM json_to_recordset(%s) AS given (notice_id uuid, channel text, audience text, kind text, delivery_id text,"
    " driver_id text, level int, details jsonb, at timestamptz, recipient text, news text, due_at timestamptz,"
    " stale_at timestamptz, dropped text, repeat_s float8, most int, counted_s float8)"
    " CROSS JOIN LATERAL (SELECT CASE WHEN given.dropped <> '' THEN given.dropped"
    "  WHEN EXISTS (SELECT FROM notices n WHERE n.recipient = given.recipient AND n.news = given.news"
    "   AND n.channel = given.channel AND n.notice_id <> given.notice_id"
    f"   AND n.at > given.at - make_interval(secs => given.repeat_s) AND n.at <= given.at AND {_TOLD}) THEN 'repeated'"
    "  WHEN (SELECT count(*) FROM notices n WHERE given.most IS NOT NULL AND n.recipient = given.recipient"
    "   AND n.channel = given.channel AND n.notice_id <> given.notice_id"
    f"   AND n.due_at > given.at - make_interval(secs => given.counted_s) AND {_TOLD}) >= given.most THEN 'too_many'"
    "  ELSE '' END AS why OFFSET 0) decided"
    " ON CONFLICT (notice_id, channel) DO NOTHING"
)
"""The rows of a page. OFFSET 0 has each decided once. Who has no most is told however many there were."""
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


class Page:
    """Notices that are noted together, as if one after the other: of one recipient at most one is decided by what is
    in the table. As often as one likes; within a transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._rows: list[dict[str, Any]] = []
        self._deciding: set[str] = set()

    def add(self, notice: Notice, kind: Kind, names: Sequence[str], policy: NoticePolicy, now_ms: int) -> None:
        """Notes a notice for each channel: due, or dropped and why."""
        planned = quiet.sending(notice, kind, policy, now_ms, quiet.zone_of(policy))
        dropped, who = planned.dropped or ("" if names else "no_channel"), quiet.recipient(notice)
        if not dropped:
            if who in self._deciding:
                self.write()
            self._deciding.add(who)
        row = {
            "notice_id": notice.notice_id, "audience": notice.audience, "kind": notice.kind,
            "delivery_id": notice.delivery_id, "driver_id": notice.driver_id, "level": notice.level,
            "details": notice.details, "at": moment(notice.at_ms), "recipient": who, "news": quiet.news(notice),
            "due_at": moment(planned.due_at_ms), "stale_at": moment(notice.at_ms + kind.stale_s * 1000),
            "dropped": dropped, "repeat_s": policy.repeat_after_s, "counted_s": policy.counted_s,
            "most": None if kind.quiet == "send" else quiet.most(policy, notice.audience),
        }  # fmt: skip
        self._rows += [{**row, "channel": name} for name in names or ("",)]

    def write(self) -> None:
        """Writes what was added and is not written yet, in its order."""
        if self._rows:
            self.connection.execute(_WRITE.encode(), (orjson.dumps(self._rows).decode(),))
        self._rows, self._deciding = [], set()


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


def uuid_of(text: str) -> UUID | None:
    """As the tables have ids, so that their indexes serve; None: it is none, and no row has it."""
    try:
        return UUID(text)
    except ValueError:
        return None
