"""delivery_audit_logs: every event as it was, chained by hash within its partition."""

import hashlib

import msgspec

from dispatch.contract import codec
from dispatch.contract.records import delivery_events, driver_events
from projections.models.model import AppendOnly, Row, moment

WORDS: dict[type, str] = {**delivery_events.AUDIT_WORDS, **driver_events.AUDIT_WORDS}
AUDIT = AppendOnly(
    "delivery_audit_logs",
    (
        "topic", "partition", "record_offset", "event_id", "event", "audit_word", "delivery_id", "driver_id", "version",
        "at", "actor_type", "actor_id", "causation_id", "correlation_id", "schema_id", "body", "prev_hash", "hash",
        "value",
    ),
    identity=("topic", "partition", "record_offset", "at"),
    month="at",
)  # fmt: skip


def chained(previous: bytes, value: bytes) -> bytes:
    """The hash of a record: SHA-256 over the hash before it and the record's bytes."""
    return hashlib.sha256(previous + value).digest()


def row(event: msgspec.Struct, value: bytes, place: tuple[str, int, int], previous: bytes) -> Row:
    """The row of an event at (topic, partition, offset). The bytes are kept, for the body does not always give them."""
    topic, partition, offset = place
    header = msgspec.structs.asdict(event)
    return {
        "topic": topic,
        "partition": partition,
        "record_offset": offset,
        "event_id": header["event_id"],
        "event": type(event).__name__,
        "audit_word": WORDS[type(event)],
        "delivery_id": header.get("delivery_id"),
        "driver_id": header.get("driver_id") or None,
        "version": header["version"],
        "at": moment(header["at_ms"]),
        "actor_type": header["actor_type"],
        "actor_id": header["actor_id"],
        "causation_id": header["causation_id"],
        "correlation_id": header["correlation_id"],
        "schema_id": codec.schema_id_in(value),
        "body": msgspec.json.encode(event).decode(),
        "prev_hash": previous,
        "hash": chained(previous, value),
        "value": value,
    }
