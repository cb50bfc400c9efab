"""Takes one delivery's audit out: anchors what is not anchored, looks whether it is whole, notes who asked and why."""

import uuid
from datetime import UTC, datetime

import psycopg

from projections.audit.anchors import anchor_place
from projections.audit.bundle import OWN, About, made
from projections.audit.delivery import Proof, Stretches, look
from projections.audit.findings import Finding
from projections.audit.keys import Known, Signer
from projections.audit.proof import rebuilt
from projections.audit.rows import Connection, Place, of_delivery, snapshot
from projections.models.model import Row, moment
from projections.story import from_rows, tell


class NotKnown(Exception):
    """No event of such a delivery is there."""


class NotWhole(Exception):
    """What would be signed does not hold."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(findings[0].sentence())


def export(dsn: str, signer: Signer, delivery_id: str, *, actor_id: str, reason: str) -> tuple[About, bytes]:
    """The bundle, once it is noted. Raises NotKnown, NotWhole, Broken and psycopg.Error."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        found = connection.execute(
            "SELECT DISTINCT topic, partition FROM delivery_audit_logs WHERE delivery_id = %s::uuid", (delivery_id,)
        ).fetchall()
        if not found:
            raise NotKnown(delivery_id)
        for place in found:
            anchor_place(connection, signer, place)
        about, content, manifest_hash = _bundle(dsn, signer, delivery_id, actor_id, reason)
        connection.execute(
            "INSERT INTO audit_exports (export_id, delivery_id, at, actor_id, reason, events, manifest_hash, key_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (about.export_id, delivery_id, moment(about.at_ms), actor_id, reason, about.events, manifest_hash,
             signer.key_id),
        )  # fmt: skip
    return about, content


def _bundle(dsn: str, signer: Signer, delivery_id: str, actor_id: str, reason: str) -> tuple[About, bytes, bytes]:
    with snapshot(dsn) as connection:
        report = look(connection, delivery_id, Known())
        if report.found:
            raise NotWhole(report.findings)
        rows = of_delivery(connection, delivery_id)
        rows.sort(key=lambda row: (row["topic"] != OWN, row["version"] if row["topic"] == OWN else 0, row["at"]))
        proved = _proved(connection, rows)
    now = datetime.now(UTC)
    about = About(
        export_id=str(uuid.uuid4()), delivery_id=delivery_id, at_ms=int(now.timestamp() * 1000), actor_id=actor_id,
        reason=reason, events=len(proved), key_id=signer.key_id,
    )  # fmt: skip
    content, manifest_hash = made(about, proved, _timeline(about, [row for row, _, _ in proved]), signer)
    return about, content, manifest_hash


def _proved(connection: Connection, rows: list[Row]) -> list[tuple[Row, bytes, Proof]]:
    stretches = Stretches(connection)
    proved = []
    for row in rows:
        place: Place = row["topic"], row["partition"]
        value = row["value"] if row["value"] is not None else rebuilt(row)
        proof = stretches.proof(place, row["record_offset"])
        if value is not None and proof is not None:  # others came while we looked
            proved.append((row, value, proof))
    return proved


def _timeline(about: About, rows: list[Row]) -> str:
    told = tell(from_rows((row["event"], row["body"]) for row in rows if row["topic"] == OWN))
    begun = min(row["at"] for row in rows)
    at = datetime.fromtimestamp(about.at_ms / 1000, UTC)
    head = [
        f"Delivery {about.delivery_id}, begun {begun:%Y-%m-%d}, times in UTC",
        f"Exported {at:%Y-%m-%d %H:%M:%S} by {about.actor_id}: {about.reason}",
        "",
    ]
    return "\n".join([*head, *(f"{time:12}  {sentence}" for time, sentence in told)]) + "\n"
