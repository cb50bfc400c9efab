"""Looks at the whole audit, partition by partition, in bounded memory, and says what is wrong and where."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from projections.audit import guards
from projections.audit.anchor import Anchor
from projections.audit.chain import Chain
from projections.audit.findings import Finding
from projections.audit.keys import Known
from projections.audit.rows import (
    Connection,
    Place,
    anchored,
    anchors_of,
    in_order,
    looked_at,
    noted,
    places,
    snapshot,
)
from projections.audit.stretches import Stretches, kept_elsewhere, linked

Told = Callable[[int, float], None]
KEPT_FINDINGS = 1_000
_TOLD_EVERY = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look at, and what is known from elsewhere."""

    known: Known = field(default_factory=Known)
    """Public keys; of none, signatures are not looked at."""
    namespace: str = ""
    since_anchor: bool = False
    """Only what came after each partition's last anchor."""
    outside: Sequence[Anchor] = ()
    """Anchors kept where the database's owner could not change them."""


@dataclass(slots=True)
class Report:
    """What came of it."""

    rows: int = 0
    partitions: int = 0
    anchors: int = 0
    """That fit."""
    unanchored: int = 0
    """Rows behind the last anchors: only the chain and the projector's note hold them."""
    dropped: int = 0
    """Rows that anchors tell of and retention took."""
    kept_from: datetime | None = None
    """If retention dropped months: the first one that is there."""
    seconds: float = 0.0
    found: int = 0
    findings: list[Finding] = field(default_factory=list)
    """The first thousand of them."""

    def add(self, findings: Sequence[Finding]) -> None:
        """More of them."""
        self.found += len(findings)
        self.findings += findings[: KEPT_FINDINGS - len(self.findings)]


def verify(dsn: str, asked: Asked, told: Told = lambda _rows, _share: None) -> Report:
    """The report over all partitions. `told` hears of rows so far and the share that is done. Raises psycopg.Error."""
    report, begun = Report(), time.monotonic()
    with snapshot(dsn) as connection:
        report.add(guards.missing(connection))
        ends = noted(connection, asked.namespace)
        outside = {anchor.place for anchor in asked.outside}
        rest = [] if asked.since_anchor else places(connection)
        found = sorted({*rest, *anchored(connection), *ends, *outside})
        report.partitions = len(found)
        report.kept_from = None if asked.since_anchor else _kept_from(connection, found)
        for number, place in enumerate(found):
            walk = _Walk(connection, report, asked, place)
            walk.run(ends.get(place), _Part(told, number, len(found)))
    report.seconds = time.monotonic() - begun
    return report


@dataclass(frozen=True, slots=True)
class _Part:
    """One partition's share of the whole."""

    told: Told
    number: int
    of: int

    def done(self, rows: int, share: float) -> None:
        """So much of this partition."""
        self.told(rows, (self.number + min(1.0, share)) / self.of)


class _Walk:
    """One partition, from its beginning, or from the anchor that holds what is not looked at."""

    def __init__(self, connection: Connection, report: Report, asked: Asked, place: Place) -> None:
        self._connection, self._report, self._place = connection, report, place
        self._anchors = anchors_of(connection, place)
        self._from = self._anchors[-1] if asked.since_anchor and self._anchors else self._start()
        outside = [anchor for anchor in asked.outside if anchor.place == place]
        report.add([*linked(self._anchors, asked.known), *kept_elsewhere(self._anchors, outside)])
        after = self._from.last_offset if self._from else -1
        kept_from_ms = int(report.kept_from.timestamp() * 1000) if report.kept_from else None
        self._stretches = Stretches(self._anchors, kept_from_ms, after if asked.since_anchor else -1)
        self._chain = Chain(place, self._from.hash if self._from else b"", after)
        self._after = after if asked.since_anchor else -1

    def run(self, end: tuple[int, bytes] | None, part: _Part) -> None:
        """Takes the rows, and what the projector noted: the next offset and the last hash."""
        report, last = self._report, self._anchors[-1].last_offset if self._anchors else -1
        for number, stored in enumerate(in_order(self._connection, self._place, self._after)):
            link, found = looked_at(stored)
            report.add([*found, *self._stretches.add(link)])
            self._unexplained(self._chain.add(link))
            report.rows += 1
            report.unanchored += link.offset > last
            if number % _TOLD_EVERY == 0:
                part.done(report.rows, link.offset / end[0] if end and end[0] else 0.0)
        self._unexplained(self._chain.end(end[1] if end else None))
        report.add(self._stretches.end())
        if end is None:
            topic, partition = self._place
            text = "the projector noted nothing of this partition in projection_offsets"
            report.add([Finding(kind="cut", topic=topic, partition=partition, offset=-1, text=text)])
        report.anchors += self._stretches.fitting
        report.dropped += self._stretches.dropped

    def _unexplained(self, found: list[Finding]) -> None:
        self._report.add([finding for finding in found if not self._stretches.explains(finding)])

    def _start(self) -> Anchor | None:
        """The anchor that the first row goes on from, if those before were dropped."""
        if (first := _first(self._connection, self._place)) is None or first[1] == b"":
            return None
        fits = (anchor for anchor in self._anchors if anchor.hash == first[1] and anchor.last_offset < first[0])
        return next(fits, None)


def _first(connection: Connection, place: Place) -> tuple[int, bytes] | None:
    return connection.execute(
        "SELECT record_offset, prev_hash FROM delivery_audit_logs WHERE topic = %s AND partition = %s"
        " ORDER BY topic, partition, record_offset LIMIT 1",
        place,
    ).fetchone()


def _kept_from(connection: Connection, found: Sequence[Place]) -> datetime | None:
    """The beginning of the first month that is there, if rows are missing before it. Retention drops whole months."""
    firsts = [first for place in found if (first := _first(connection, place)) is not None]
    if all(previous == b"" for _, previous in firsts):
        return None
    row = connection.execute("SELECT min(at) FROM delivery_audit_logs").fetchone()
    earliest: datetime | None = row[0].astimezone(UTC) if row and row[0] else None
    return earliest.replace(day=1, hour=0, minute=0, second=0, microsecond=0) if earliest else None
