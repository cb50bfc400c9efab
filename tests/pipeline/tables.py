"""The read models beside the log they come from: every difference in a sentence."""

from hashlib import sha256
from typing import Any

import psycopg

from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_events as de
from dispatch.log.reading import read_all

_AUDIT = (
    "SELECT topic, partition, record_offset, prev_hash, hash FROM delivery_audit_logs"
    " ORDER BY topic, partition, record_offset"
)


def audit_rows(dsn: str) -> int:
    """How many events are in the tables. Raises psycopg.Error."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        row = connection.execute("SELECT count(*) FROM delivery_audit_logs").fetchone()
    return int(row[0]) if row else 0


def events_of(settings: Settings) -> dict[tuple[str, int, int], bytes]:
    """Every event of the log by its place."""
    names = [settings.namespace + topic.name for topic in (topics.DELIVERY_EVENTS, topics.DRIVER_EVENTS)]
    return {
        (record.topic.removeprefix(settings.namespace), record.partition, record.offset): record.value or b""
        for record in read_all(settings.kafka, names)
    }


def differences(settings: Settings) -> list[str]:
    """Audit rows and their chain, versions and states against the log so far as they know it; empty: they agree."""
    with psycopg.connect(settings.postgres, connect_timeout=3) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # all of one moment
        audit = connection.execute(_AUDIT).fetchall()
        rows: dict[str, dict[str, int]] = {
            table: dict(connection.execute(f"SELECT {key}::text, version FROM {table}".encode()).fetchall())
            for table, key in (("deliveries", "delivery_id"), ("drivers", "driver_id"))
        }
        delivered = {
            row[0] for row in connection.execute("SELECT delivery_id::text FROM deliveries WHERE status = 'delivered'")
        }
        holds: dict[str, int] = dict(
            connection.execute("SELECT driver_id, holds FROM drivers WHERE holds <> 0").fetchall()
        )
        read: dict[tuple[str, int], int] = {
            (row[0].removeprefix(settings.namespace), row[1]): row[2]
            for row in connection.execute("SELECT topic, partition, next_offset FROM projection_offsets")
        }
    log = {place: value for place, value in events_of(settings).items() if place[2] < read.get(place[:2], 0)}
    return [*_chain(log, audit), *_states(log, rows, delivered), *_held(log, holds)]


def _chain(log: dict[tuple[str, int, int], bytes], audit: list[Any]) -> list[str]:
    found, last = [], dict[tuple[str, int], bytes]()
    missing = log.keys() - {(topic, partition, offset) for topic, partition, offset, _, _ in audit}
    if missing:
        found.append(f"{len(missing)} events of the log have no audit row, the first is {min(missing)}")
    for topic, partition, offset, previous, hashed in audit:
        value = log.get((topic, partition, offset))
        if value is None:
            found.append(f"the audit has {topic}/{partition}/{offset}, the log does not")
        elif previous != last.get((topic, partition), b"") or hashed != sha256(previous + value).digest():
            found.append(f"the chain breaks at {topic}/{partition}/{offset}")
        last[topic, partition] = hashed
    return found


def _states(log: dict[tuple[str, int, int], bytes], rows: dict[str, dict[str, int]], delivered: set[str]) -> list[str]:
    versions: dict[str, dict[str, int]] = {"deliveries": {}, "drivers": {}}
    completed = set()
    for (topic, _, _), value in sorted(log.items()):
        event: Any = codec.decode(value)
        if topic == topics.DELIVERY_EVENTS.name:
            versions["deliveries"][event.delivery_id] = event.version
            if isinstance(event, de.DeliveryCompleted):
                completed.add(event.delivery_id)
        else:
            versions["drivers"][event.driver_id] = event.version
    found = []
    for table, known in versions.items():
        wrong = {name for name in known.keys() | rows[table].keys() if known.get(name) != rows[table].get(name)}
        if wrong:
            found.append(f"{len(wrong)} rows of {table} are not as of their last event, one is {min(wrong)}")
    if completed != delivered:
        found.append(f"{len(completed ^ delivered)} deliveries are delivered in one of log and table only")
    return found


def _held(log: dict[tuple[str, int, int], bytes], holds: dict[str, int]) -> list[str]:
    counted: dict[str, int] = {}
    for (topic, _, _), value in log.items():
        if topic == topics.DRIVER_EVENTS.name:
            event: Any = codec.decode(value)
            step = {"DriverReserved": 1, "DriverReservationReleased": -1}.get(type(event).__name__, 0)
            counted[event.driver_id] = counted.get(event.driver_id, 0) + step
    open_ = {name: count for name, count in counted.items() if count}
    return [] if open_ == holds else [f"the drivers table says {holds} hold deliveries, the log {open_}"]
