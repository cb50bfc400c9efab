"""Writes anchors: over every few thousand rows, and over what there is every few minutes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from dispatch.log import logs
from projections.audit import keys, merkle
from projections.audit.anchor import Anchor, following
from projections.audit.keys import Signer
from projections.audit.rows import Connection, Place, last_anchor, places, put
from projections.models.audit import chained

ROWS = 4_096
"""In one stretch, at most: a path to its root has twelve hashes."""
EVERY_S = 300.0
_LOOK_S = 15.0
logger = logs.get("projections.audit")


class Broken(Exception):
    """The chain does not hold where it should be anchored: `baton audit verify` says more."""

    def __init__(self, place: Place, offset: int) -> None:
        super().__init__(f"{place[0]}/{place[1]}/{offset} does not go on from the row before it")
        self.place, self.offset = place, offset


class Anchors:
    """Keeps the audit anchored, on a connection of its own."""

    def __init__(self, dsn: str, signer: Signer, *, rows: int = ROWS, every_s: float = EVERY_S) -> None:
        self._dsn, self._signer, self._rows, self._every_s = dsn, signer, rows, every_s
        self._anchored_s: dict[Place, float] = {}
        self._broken: set[Place] = set()

    def run(self, stop: threading.Event) -> None:
        """Until stopped. A chain that does not hold is told once, and left alone."""
        while not stop.is_set():
            try:
                with psycopg.connect(self._dsn, connect_timeout=3) as connection:
                    self._look(connection)
            except psycopg.Error as error:
                logger.warning("postgres_unreachable", reason=error.diag.message_primary or str(error))
            stop.wait(_LOOK_S)

    def _look(self, connection: Connection) -> None:
        for place in places(connection):
            now_s = time.monotonic()
            due = now_s >= self._anchored_s.get(place, -self._every_s) + self._every_s
            try:
                if place not in self._broken and anchor_place(
                    connection, self._signer, place, rows=self._rows, least=1 if due else self._rows
                ):
                    self._anchored_s[place] = now_s
            except Broken as broken:
                self._broken.add(place)
                logger.error("audit_broken", topic=place[0], partition=place[1], offset=broken.offset)


@contextmanager
def anchoring(dsn: str, key_file: Path | None) -> Iterator[None]:
    """Anchors the audit in a thread while the block lasts; without a key nothing is anchored. Raises Misconfigured."""
    if key_file is None:
        logger.warning("audit_unanchored", reason="BATON_AUDIT_KEY_FILE names no key")
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=Anchors(dsn, keys.signer(key_file)).run, args=(stop,), name="anchors")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def anchor_all(dsn: str, signer: Signer) -> list[Anchor]:
    """Anchors whatever is not anchored yet. Raises Broken and psycopg.Error."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        return [anchor for place in places(connection) for anchor in anchor_place(connection, signer, place)]


def anchor_place(
    connection: Connection, signer: Signer, place: Place, *, rows: int = ROWS, least: int = 1
) -> list[Anchor]:
    """Anchors a partition's rows behind its last anchor, by stretches; none over less than `least`. Raises Broken."""
    written: list[Anchor] = []
    while (anchor := _next(connection, signer, place, rows, least)) is not None:
        stood = put(connection, anchor)
        connection.commit()
        if not stood:  # another projector was first, and goes on
            break
        written.append(anchor)
    connection.commit()
    return written


def _next(connection: Connection, signer: Signer, place: Place, rows: int, least: int) -> Anchor | None:
    last = last_anchor(connection, place)
    found = connection.execute(
        "SELECT record_offset, prev_hash, hash, value, (extract(epoch FROM at) * 1000)::bigint"
        " FROM delivery_audit_logs WHERE topic = %s AND partition = %s AND record_offset > %s"
        " ORDER BY topic, partition, record_offset LIMIT %s",
        (*place, last.last_offset if last else -1, rows),
    ).fetchall()
    if len(found) < least:
        return None
    before = running = last.hash if last else found[0][1]
    tree = merkle.Tree()
    for offset, previous, hashed, value, _ in found:
        if previous != running or (value is not None and chained(previous, value) != hashed):
            raise Broken(place, offset)
        running = hashed
        tree.add(merkle.leaf(offset, hashed))
    return Anchor(
        topic=place[0],
        partition=place[1],
        number=last.number + 1 if last else 1,
        first_offset=found[0][0],
        last_offset=found[-1][0],
        rows=len(found),
        rows_so_far=(last.rows_so_far if last else 0) + len(found),
        first_at_ms=min(row[4] for row in found),
        last_at_ms=max(row[4] for row in found),
        before=before,
        hash=running,
        root=tree.root(),
        previous=following(last),
        at_ms=time.time_ns() // 1_000_000,
        key_id=signer.key_id,
    ).signed(signer)
