"""The keeper: makes the months ahead, lets old months and rows go, ends what analysts leave running.

A thread of the projector, and what `baton projections drop-old` runs once. Of many keepers one works at a time.

Dropping a month is one transaction: it waits half a second at most for whoever reads the table, and has the projectors
forget what they remember, so that none writes into a month that is gone. Rows go some thousands a transaction, and only
such as have ended: no event comes for them, so the projector that may remember them never writes them again.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from dispatch.log import logs
from dispatch.metrics import projector as metrics
from projections.keeping.roles import LONGEST_S

EVERY_S = 3_600.0
_TURN_S = 15.0
"""How often analysts' transactions are looked at, and how soon it is tried again after a failure."""
_AT_ONCE = 5_000
_BATCHES = 400
"""Rows that go in one run, of a table: the rest goes in the next."""
_TRIES = 5
_LOCK = 0x6B656570
Connection = psycopg.Connection[Any]
logger = logs.get("projections.keeping")


@dataclass(frozen=True, slots=True)
class Month:
    """A month that retention lets go. `held`: what keeps it from going, or empty."""

    table_name: str
    part: str
    month: Any
    keep_days: int
    about_rows: int
    bytes: int
    held: str


@dataclass(slots=True)
class Done:
    """What a run did. `held`: by month, why it is still there."""

    months: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)


def old_months(connection: Connection) -> list[Month]:
    """What would go, and what is held. Raises psycopg.Error."""
    with connection.cursor(row_factory=class_row(Month)) as cursor:
        return cursor.execute("SELECT * FROM baton_old_months()").fetchall()


def make_ahead(connection: Connection) -> int:
    """Makes this month's and the next one's partitions, so that no projector and no reader waits for them."""
    tables = connection.execute(
        "SELECT c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid"
        " WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()
    this = datetime.now(UTC).date().replace(day=1)
    following = this.replace(year=this.year + this.month // 12, month=this.month % 12 + 1)
    made = 0
    for (table,) in tables:
        for month in (this, following):
            row = connection.execute("SELECT baton_month('public', %s, %s)", (table, month)).fetchone()
            made += bool(row and row[0])
    return made


def keep_once(connection: Connection, stop: threading.Event | None = None) -> Done | None:
    """One run; None: another keeper is at it. The connection must be in autocommit. Raises psycopg.Error."""
    stop = stop or threading.Event()
    taken = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
    if not taken or not taken[0]:
        return None
    done = Done()
    try:
        make_ahead(connection)
        for month in old_months(connection):
            held = month.held or _dropped(connection, month, stop)
            if held:
                done.held[month.part] = held
            else:
                done.months.append(month.part)
        for table in _by_rows(connection):
            if gone := _rows_dropped(connection, table, stop):
                done.rows[table] = gone
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    return done


def _dropped(connection: Connection, month: Month, stop: threading.Event) -> str:
    """Why it could not be dropped; empty: it is gone."""
    for tried in range(_TRIES):
        try:
            row = connection.execute("SELECT baton_drop_month(%s)", (month.part,)).fetchone()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if stop.wait(0.2 * (tried + 1)):
                break
            continue
        held = str(row[0]) if row else ""
        if not held:
            metrics.DROPPED.labels(month.table_name, "month").inc()
        return held
    return "it is being read"


def _by_rows(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT r.table_name FROM projection_retention r JOIN pg_class c ON c.relname = r.table_name"
        " AND c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' WHERE r.keep_days IS NOT NULL ORDER BY 1"
    )
    return [name for (name,) in rows.fetchall()]


def _rows_dropped(connection: Connection, table: str, stop: threading.Event) -> int:
    gone = 0
    for _ in range(_BATCHES):
        row = connection.execute("SELECT baton_drop_rows(%s, %s)", (table, _AT_ONCE)).fetchone()
        assert row is not None
        gone += row[0]
        if row[0] < _AT_ONCE or stop.is_set():
            break
    if gone:
        metrics.DROPPED.labels(table, "row").inc(gone)
    return gone


@contextmanager
def keeping(postgres: str) -> Iterator[None]:
    """A keeper at work, on a thread of its own, for as long as the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=Keeper(postgres).run, args=(stop,), name="keeper")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Keeper:
    """`run` on a thread of its own, with a connection only while it works."""

    def __init__(self, postgres: str, every_s: float = EVERY_S, turn_s: float = _TURN_S) -> None:
        self._postgres, self._every_s, self._turn_s = postgres, every_s, turn_s
        self._held: dict[str, str] = {}
        self._due = 0.0

    def run(self, stop: threading.Event) -> None:
        """Until stopped. A failure is told and tried again; it never ends the projector."""
        while not stop.is_set():
            try:
                self.turn(stop)
            except psycopg.Error as error:
                metrics.KEEPING_FAILURES.inc()
                logger.warning("keeping_failed", reason=error.diag.message_primary or str(error))
            stop.wait(self._turn_s)

    def turn(self, stop: threading.Event) -> None:
        """A run when one is due, and a look at analysts. Raises psycopg.Error."""
        with psycopg.connect(
            self._postgres, autocommit=True, connect_timeout=3, application_name="baton keeper"
        ) as connection:
            if time.monotonic() >= self._due:
                done = keep_once(connection, stop)
                if done is not None:
                    self._told(done)
                self._due = time.monotonic() + self._every_s
            row = connection.execute("SELECT baton_end_slow(%s)", (LONGEST_S,)).fetchone()
            if row and row[0]:
                metrics.SLOW_QUERIES_ENDED.inc(row[0])
                logger.warning("slow_queries_ended", count=row[0])

    def _told(self, done: Done) -> None:
        metrics.KEEPING_LAST.set_to_current_time()
        for part in done.months:
            logger.info("old_month_dropped", part=part)
        for table, rows in done.rows.items():
            logger.info("old_rows_dropped", table=table, rows=rows)
        for part, reason in done.held.items():
            if self._held.get(part) != reason:
                logger.warning("old_month_held", part=part, reason=reason)
        self._held = done.held
