"""What is done with read models and the log: made again and put in place, or made again and compared."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg

from projections.rebuild.comparing import SHOWN, Difference, Fingerprint, Shape, differences, fingerprint, shape_of
from projections.rebuild.replay import Replay, Told
from projections.rebuild.room import LIVE, Room
from projections.runtime import Chosen, Place, Poison, chosen

MADE, OLD, COMPARED = "baton_rebuild", "baton_replaced", "baton_verify"
_ONE_AT_A_TIME = 0x6261746F6E  # a number of ours for the advisory lock
_NEAR = 2_000
"""Records behind the projector at which it is held up, and the rest is folded."""
_TRIES, _LOCK_S, _PAUSE_S = 20, 3, 1.0
_HELD_MS = 700
"""How long readers are held up by one try: less than the second after which Postgres would end one of them, if two
wait for each other."""
_OLDER_S = 60.0
Connection = psycopg.Connection[Any]
Saying = Callable[[str], None]
"""Told what is being done now, in words."""


class Refused(Exception):
    """It cannot be done as asked; the message is one sentence for whoever asked."""


@dataclass(frozen=True, slots=True)
class Where:
    """The log and the tables."""

    brokers: str
    dsn: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Made:
    """A table that was made again: how it was, how it is, what could not be folded."""

    table: str
    before: Fingerprint
    after: Fingerprint


@dataclass(frozen=True, slots=True)
class _Switching:
    """What a rebuild has at hand."""

    where: Where
    connection: Connection
    room: Room
    replay: Replay
    wanted: Chosen
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A table beside its fold; differing rows, of which some are shown."""

    table: str
    used: Fingerprint
    folded: Fingerprint
    differing: int
    shown: tuple[Difference, ...]


def checked(names: Sequence[str]) -> Chosen:
    """Raises Refused for a name that is none, or that the log does not hold."""
    try:
        found = chosen.with_what_they_need(names)
    except KeyError as error:
        raise Refused(f"there is no read model {error.args[0]!r}; `baton projections list` names them") from None
    for name in names:
        if why := chosen.why_not_again(name):
            raise Refused(f"{name} cannot be made again from the log: {why}")
    return found


def rebuild(where: Where, names: Sequence[str], told: Told, said: Saying) -> tuple[list[Made], list[Poison]]:
    """Makes these tables again and puts them in place. Killed at any moment before that, it has changed nothing.

    Raises Refused, psycopg.Error, KafkaException.
    """
    wanted = checked(names)
    with _alone(where.dsn) as connection, contextlib.ExitStack() as seen:
        room = Room(connection, MADE, wanted.tables)
        said("making the tables")
        room.open()
        replay = Replay(where.brokers, where.dsn, where.namespace, MADE, wanted)
        switching = _Switching(where, connection, room, replay, wanted, names)
        try:
            _catch_up(switching, told, said)
            said("making indexes")
            room.index()
            _catch_up(switching, told, said)
            said("waiting for readers that began before")
            _until_older_are_gone(connection)
            said("putting the tables in place")
            snapshot = _switch(switching, told, seen)
        finally:
            replay.close()
        said("comparing")
        shapes = [_shape(connection, name) for name in names]
        made = [
            Made(shape.table, fingerprint(snapshot, OLD, shape), fingerprint(snapshot, LIVE, shape)) for shape in shapes
        ]
        seen.close()
        connection.commit()
        Room(connection, OLD, ()).drop()
        room.drop()
    return made, replay.poison()


def verify(where: Where, names: Sequence[str], told: Told, said: Saying) -> tuple[list[Verdict], list[Poison]]:
    """Folds the log beside these tables, as they stand in one snapshot, and tells what differs. Raises as rebuild."""
    wanted = checked(names)
    with _alone(where.dsn) as connection, _snapshot(where.dsn) as used:
        room = Room(connection, COMPARED, wanted.tables)
        said("making the tables")
        room.open()
        replay = Replay(where.brokers, where.dsn, where.namespace, COMPARED, wanted)
        try:
            replay.run(_targets(used, wanted, where.namespace, commit=False), told)
            verdicts = []
            for name in names:
                said(f"comparing {name}")
                verdicts.append(_compared(used, connection, name))
            poison = replay.poison()
        finally:
            replay.close()
        connection.rollback()
        room.drop()
    return verdicts, poison


def _compared(used: Connection, made: Connection, name: str) -> Verdict:
    shape = _shape(used, name)
    one, other = fingerprint(used, LIVE, shape), fingerprint(made, COMPARED, shape)
    if one == other:
        return Verdict(name, one, other, 0, ())
    differing = differences(used, made, LIVE, COMPARED, shape)
    shown = tuple(islice(differing, SHOWN))
    return Verdict(name, one, other, len(shown) + sum(1 for _ in differing), shown)


def _shape(connection: Connection, name: str) -> Shape:
    """Without the columns that the log does not hold, and without the months that are no longer kept."""
    shape = shape_of(connection, LIVE, name, chosen.carried(name))
    column = chosen.month_of(name)
    row = connection.execute(
        "SELECT keep_days FROM projection_retention WHERE table_name = %s AND keep_days IS NOT NULL", (name,)
    ).fetchone()
    if not column or row is None:
        return shape
    kept = f"{column} >= date_trunc('month', now() - interval '{int(row[0])} days', 'UTC')"
    return Shape(shape.table, shape.key, shape.columns, kept)


def _switch(switching: _Switching, told: Told, seen: contextlib.ExitStack) -> Connection:
    """Holds the projector up, folds the rest, moves the tables in; one transaction. Gives a snapshot of both sides."""
    connection, where, room = switching.connection, switching.where, switching.room
    for _ in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_S}s'".encode())
                connection.execute("LOCK TABLE public.projection_offsets IN EXCLUSIVE MODE")
                targets = _targets(connection, switching.wanted, where.namespace, commit=False)
                switching.replay.run(targets, told)
                snapshot = seen.enter_context(_snapshot(where.dsn))
                for name in switching.names:
                    if columns := chosen.carried(name):
                        room.carry_over(name, shape_of(connection, LIVE, name).key[0], columns)
                room.lock(switching.names, _HELD_MS)
                room.move_in(switching.names, OLD)
                connection.execute("UPDATE public.projection_offsets SET generation = generation + 1")
            return snapshot
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected):
            seen.close()
            time.sleep(_PAUSE_S)
    raise Refused(
        f"somebody has held the tables for {_TRIES * (_LOCK_S + _PAUSE_S):.0f} s, so that they could not be replaced;"
        " `SELECT pid, query FROM pg_stat_activity WHERE state <> 'idle'` says who"
    )


def _catch_up(switching: _Switching, told: Told, said: Saying) -> None:
    """Folds until the projector is near: it goes on meanwhile."""
    before: dict[Place, int] = {}
    while True:
        targets = _targets(switching.connection, switching.wanted, switching.where.namespace)
        ahead = sum(to - before.get(place, 0) for place, to in targets.items())
        said(f"folding the log: {ahead:,} offsets")
        switching.replay.run(targets, told)
        if ahead <= _NEAR:
            return
        before = targets


def _targets(connection: Connection, wanted: Chosen, namespace: str, *, commit: bool = True) -> dict[Place, int]:
    """Where the projector stands in each partition of these topics."""
    names = [namespace + topic.name for topic in wanted.topics]
    rows = connection.execute(
        "SELECT topic, partition, next_offset FROM public.projection_offsets WHERE topic = ANY(%s)", (names,)
    ).fetchall()
    if commit:
        connection.commit()
    return {(topic, number): offset for topic, number, offset in rows}


def _until_older_are_gone(connection: Connection) -> None:
    """Who began reading before the new rows were written would see them missing; they may end first."""
    row = connection.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
    connection.commit()
    assert row is not None
    until = time.monotonic() + _OLDER_S
    while time.monotonic() < until:
        older = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_xmin IS NOT NULL AND age(backend_xmin) > age(%s::xid)",
            row,
        ).fetchone()
        connection.commit()
        if older is None or older[0] == 0:
            return
        time.sleep(0.2)
    raise Refused(f"a transaction that began before has not ended within {_OLDER_S:.0f} s; its reader would miss rows")


@contextlib.contextmanager
def _alone(dsn: str) -> Iterator[Connection]:
    """A connection of which there is one at a time. Raises Refused."""
    with psycopg.connect(dsn, connect_timeout=3, options="-c timezone=UTC -c search_path=public") as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_ONE_AT_A_TIME,)).fetchone()
        connection.commit()
        if row is None or not row[0]:
            raise Refused("another rebuild or verify is running on this database")
        try:
            yield connection
            connection.commit()
        finally:  # a server notices a moment later that a connection was closed; the next act may come at once
            if not connection.closed:
                connection.rollback()
                connection.execute("SELECT pg_advisory_unlock(%s)", (_ONE_AT_A_TIME,))


@contextlib.contextmanager
def _snapshot(dsn: str) -> Iterator[Connection]:
    """A connection that sees everything as of one moment."""
    with psycopg.connect(dsn, connect_timeout=3, options="-c timezone=UTC -c search_path=public") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SELECT 1")
        yield connection
        connection.rollback()
