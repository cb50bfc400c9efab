"""Compares the table with the log, byte by byte: what of the log is missing, is otherwise, or was never in it."""

from collections.abc import Callable, Iterable, Iterator

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.log.application import Record
from projections.audit.findings import Finding, Kind
from projections.audit.rows import Connection, Place, in_order, places
from projections.audit.verify import Report
from projections.models.audit import WORDS, chained
from projections.models.model import Row


class _Side:
    """One partition's rows, as the log comes by."""

    def __init__(self, place: Place, rows: Iterator[Row], next_offset: int) -> None:
        self.place, self._rows, self._next_offset = place, rows, next_offset
        self._row = next(rows, None)
        self._begun = False

    def take(self, record: Record, report: Report) -> None:
        """The log's next record."""
        while self._row is not None and self._row["record_offset"] < record.offset:
            if self._begun:
                report.add([self._finding("log", self._row, "the log has no such record")])
            else:
                report.dropped += 1  # the log begins later
            self._row = next(self._rows, None)
        self._begun = True
        if self._row is not None and self._row["record_offset"] == record.offset:
            self._compare(self._row, record.value or b"", report)
            self._row = next(self._rows, None)
        elif record.offset < self._next_offset and _is_event(record.value):
            topic, partition = self.place
            text = "the log has this event, the table has not"
            report.add([Finding(kind="missing", topic=topic, partition=partition, offset=record.offset, text=text)])

    def end(self, report: Report) -> None:
        """The log has no more."""
        while self._row is not None:
            if self._begun:
                report.add([self._finding("log", self._row, "the log has no such record")])
            else:
                report.dropped += 1
            self._row = next(self._rows, None)

    def _compare(self, row: Row, value: bytes, report: Report) -> None:
        report.rows += 1
        if row["value"] is not None and row["value"] != value:
            report.add([self._finding("changed", row, "its bytes are not those of the log")])
        elif chained(row["prev_hash"], value) != row["hash"]:
            report.add([self._finding("changed", row, "its hash is not that of the log's bytes")])

    def _finding(self, kind: Kind, row: Row, text: str) -> Finding:
        topic, partition = self.place
        return Finding(
            kind=kind, topic=topic, partition=partition, offset=row["record_offset"], text=text,
            delivery_id=str(row["delivery_id"] or ""),
        )  # fmt: skip


def compare(
    connection: Connection,
    ends: dict[Place, tuple[int, bytes]],
    log: Iterable[Record],
    namespace: str,
    told: Callable[[int], None] = lambda _rows: None,
) -> Report:
    """Reads the log, each partition in its order, beside the rows. `ends`: how far the projector noted to have come.

    The report's `rows` are those compared, `dropped` those older than the log. The log must be read after the snapshot.
    """
    report = Report()
    sides = {
        place: _Side(place, in_order(connection, place, -1), ends.get(place, (0, b""))[0])
        for place in sorted({*places(connection), *ends})
    }
    for number, record in enumerate(log):
        side = sides.get((record.topic.removeprefix(namespace), record.partition))
        if side is not None:
            side.take(record, report)
        if number % 500 == 0:
            told(report.rows)
    for side in sides.values():
        side.end(report)
    report.partitions = len(sides)
    return report


def _is_event(value: bytes | None) -> bool:
    try:
        return type(codec.decode(value)) in WORDS
    except ContractError:  # it was set aside
        return False
