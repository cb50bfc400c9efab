"""One delivery's rows: each by itself, beside its neighbours, and in the stretch that an anchor signed."""

from typing import NamedTuple

from projections.audit import merkle
from projections.audit.anchor import Anchor
from projections.audit.findings import Finding, Kind
from projections.audit.keys import Known
from projections.audit.rows import Connection, Place, anchor_over, looked_at, of_delivery
from projections.audit.verify import Report
from projections.models.model import Row

_BEFORE = (
    "SELECT hash FROM delivery_audit_logs WHERE topic = %s AND partition = %s AND record_offset < %s"
    " ORDER BY topic DESC, partition DESC, record_offset DESC LIMIT 1"
)
_AFTER = (
    "SELECT prev_hash FROM delivery_audit_logs WHERE topic = %s AND partition = %s AND record_offset > %s"
    " ORDER BY topic, partition, record_offset LIMIT 1"
)


class Proof(NamedTuple):
    """That a row stands in an anchor's stretch. Without a path: the stretch is not what the anchor says."""

    anchor: Anchor
    leaf_index: int
    path: list[bytes] | None


class Stretch:
    """An anchor and the leaves that are there now."""

    def __init__(self, connection: Connection, anchor: Anchor) -> None:
        rows = connection.execute(
            "SELECT record_offset, hash FROM delivery_audit_logs WHERE topic = %s AND partition = %s"
            " AND record_offset BETWEEN %s AND %s ORDER BY topic, partition, record_offset",
            (*anchor.place, anchor.first_offset, anchor.last_offset),
        ).fetchall()
        self.anchor = anchor
        self._leaves = [merkle.leaf(offset, hashed) for offset, hashed in rows]
        self._index = {offset: index for index, (offset, _) in enumerate(rows)}
        tree = merkle.Tree()
        for one in self._leaves:
            tree.add(one)
        self._whole = tree.root() == anchor.root and len(rows) == anchor.rows

    def proof(self, offset: int) -> Proof:
        """Of a row that is in it."""
        index = self._index[offset]
        return Proof(self.anchor, index, merkle.path(self._leaves, index) if self._whole else None)


class Stretches:
    """The stretches of one delivery's rows, each read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[tuple[Place, int], Stretch] = {}

    def proof(self, place: Place, offset: int) -> Proof | None:
        """Of a row; None: it is not anchored yet."""
        anchor = anchor_over(self._connection, place, offset)
        if anchor is None:
            return None
        key = place, anchor.number
        if key not in self._read:
            self._read[key] = Stretch(self._connection, anchor)
        return self._read[key].proof(offset)


def look(connection: Connection, delivery_id: str, known: Known) -> Report:
    """What is wrong with the rows of a delivery; no row: no such delivery is known."""
    report, stretches = Report(), Stretches(connection)
    rows = of_delivery(connection, delivery_id)
    report.rows, report.partitions = len(rows), len({(row["topic"], row["partition"]) for row in rows})
    for row in rows:
        link, found = looked_at(row)
        report.add(found)
        place = row["topic"], row["partition"]
        if link.proper != link.hash:
            report.add([_finding(row, "changed", "SHA-256 of prev_hash and value is not the hash")])
        before = connection.execute(_BEFORE, (*place, link.offset)).fetchone()
        if before is not None and before[0] != link.previous:
            report.add([_finding(row, "missing", "it does not go on from the row before it")])
        after = connection.execute(_AFTER, (*place, link.offset)).fetchone()
        if after is not None and after[0] != link.hash:
            report.add([_finding(row, "missing", "the row after it does not go on from it")])
        proof = stretches.proof(place, link.offset)
        if proof is None:
            report.unanchored += 1
        elif proof.path is None:
            report.add([_finding(row, "anchor", f"anchor {proof.anchor.number} does not fit the rows round it")])
        elif known and (wrong := proof.anchor.wrong(known)):
            report.add([_finding(row, "anchor", f"anchor {proof.anchor.number} {wrong}")])
        else:
            report.anchors += 1
    report.add(_versions(rows))
    return report


def _versions(rows: list[Row]) -> list[Finding]:
    """A delivery's own events are numbered from 1 without a gap."""
    own = sorted((row for row in rows if row["topic"] == "delivery.events"), key=lambda row: int(row["version"]))
    found = []
    for number, row in enumerate(own, 1):
        if row["version"] != number:
            text = f"version {row['version']} stands where version {number} should"
            found.append(_finding(row, "missing", text))
            break
    return found


def _finding(row: Row, kind: Kind, text: str) -> Finding:
    return Finding(
        kind=kind, topic=row["topic"], partition=row["partition"], offset=row["record_offset"], text=text,
        delivery_id=str(row["delivery_id"] or ""),
    )  # fmt: skip
