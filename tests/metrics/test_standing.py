"""How things stand, read from real tables; what cannot be read is not shown."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from figures import counting, of
from prometheus_client import CollectorRegistry, generate_latest

from deploy.local import Addresses
from projections.gauges import QUESTIONS, Gauges, read
from projections.migrate import up

pytestmark = pytest.mark.servers
LADDER = {"level_1_ms": 300_000, "level_2_ms": 900_000, "level_3_ms": 1_800_000}


@pytest.fixture
def tables(database: str) -> Iterator[psycopg.Connection[Any]]:
    up(database)
    with psycopg.connect(database, autocommit=True) as connection:
        for table in ("deliveries", "delivery_audit_logs"):
            for month in ("now()", "now() - interval '1 hour'"):
                connection.execute(f"SELECT baton_month('public', '{table}', ({month})::date)".encode())
        yield connection
        connection.execute("TRUNCATE deliveries, drivers, unassigned_orders, dead_letters, dead_letter_acts")


def put(tables: psycopg.Connection[Any], table: str, **values: Any) -> None:
    """A row; moments as `-30s`: so long ago."""
    names = ", ".join(values)
    placed = ", ".join(
        f"now() + '{value[1:]}'::interval" if isinstance(value, str) and value.startswith("@") else "%s"
        for value in values.values()
    )
    given = [value for value in values.values() if not (isinstance(value, str) and value.startswith("@"))]
    tables.execute(f"INSERT INTO {table} ({names}) VALUES ({placed})".encode(), given)


def delivery(tables: psycopg.Connection[Any], status: str, **values: Any) -> str:
    name = str(uuid.uuid4())
    fields: dict[str, Any] = {
        "delivery_id": name, "version": 1, "seller_id": "s1", "seller_order_id": name, "store_name": "Anker",
        "status": status, "pickup_lat": 1, "pickup_lng": 1, "dropoff_lat": 1, "dropoff_lng": 1, "zone": "harbour",
        "order_value_minor": 1, "delivery_fee_minor": 1, "currency": "EUR", "prep_s": 300, "created_at": "@-1h",
        "updated_at": "@-1h", "escalation": True,
    }  # fmt: skip
    put(tables, "deliveries", **(fields | values))
    put(tables, "delivery_audit_logs", topic="delivery.events", partition=0, record_offset=uuid.uuid4().int % 10**12,
        event_id=uuid.uuid4(), event="AssignmentStarted", audit_word="assignment_started", delivery_id=name, version=2,
        at="@-1h", actor_type="system", actor_id="t", causation_id=uuid.uuid4(), correlation_id="c", schema_id=1,
        body=json.dumps(LADDER), prev_hash=b"", hash=b"")  # fmt: skip
    return name


def driver(tables: psycopg.Connection[Any], name: str, availability: str, **values: Any) -> None:
    put(tables, "drivers", driver_id=name, version=1, availability=availability, vehicle="car", capacity=1, holds=0,
        rating=4.5, fence=0, updated_at="@-1h", **values)  # fmt: skip


def queued(tables: psycopg.Connection[Any], delivery_id: str, status: str, level: int) -> None:
    put(tables, "unassigned_orders", delivery_id=delivery_id, queue_status=status, escalation_level=level, searches=1,
        queued_at="@-10min", changed_at="@-1min")  # fmt: skip


def test_what_waits_who_works_and_what_is_overdue(tables: psycopg.Connection[Any]) -> None:
    delivery(tables, "searching", waiting_since="@-10s")
    delivery(tables, "offered", waiting_since="@-290s")
    overdue = delivery(tables, "searching", waiting_since="@-311s", zone="hill")
    told = delivery(tables, "searching", waiting_since="@-400s", escalation_level=1, zone="hill")
    delivery(tables, "searching", waiting_since="@-920s", escalation_level=1, needs_manual_review=True)
    delivery(tables, "searching", waiting_since="@-920s", escalation=False)
    delivery(tables, "assigned", driver_id="ana")
    delivery(tables, "picked_up", driver_id="ben")
    delivery(tables, "delivered", driver_id="ben", ended_at="@-1min")
    delivery(tables, "created")
    queued(tables, overdue, "PENDING", 0)
    queued(tables, told, "NOTIFIED", 1)
    queued(tables, delivery(tables, "cancelled", ended_at="@-1min"), "CANCELLED", 1)
    driver(tables, "ana", "BUSY")
    driver(tables, "ben", "BUSY")
    driver(tables, "cy", "ON_BREAK", until="@-5s")
    driver(tables, "dee", "ON_BREAK", until="@-15s")
    driver(tables, "eli", "ON_BREAK", until="@+5min")
    for number in (1, 2):
        put(tables, "dead_letters", letter_id=f"0-{number}", letter_partition=0, letter_offset=number, at="@-1h",
            source_topic="t", source_partition=0, source_offset=1, error="e", place="", worker="w", value_bytes=0,
            kept_bytes=0)  # fmt: skip
    put(
        tables,
        "dead_letter_acts",
        letter_id="0-1",
        act="dropped",
        request_id=uuid.uuid4(),
        actor_id="eva",
        reason="x",
        at="@0s",
    )

    found = read(tables)

    assert found["baton_unassigned_orders"] == {("hill", "0"): 1, ("hill", "1"): 1}
    assert found["baton_unassigned_over_5_minutes"] == {("hill",): 2, ("harbour",): 2}
    assert found["baton_searching_deliveries"] == {("hill",): 2, ("harbour",): 4}
    assert found["baton_oldest_wait_seconds"]["hill",] == pytest.approx(400, abs=20)
    assert found["baton_deliveries_held"] == {("assigned",): 1, ("picked_up",): 1}
    assert found["baton_drivers"] == {
        ("AVAILABLE",): 0, ("BUSY",): 2, ("ON_BREAK",): 3, ("SHIFT_ENDED",): 0, ("OFFLINE",): 0, ("PAUSED",): 0,
    }  # fmt: skip
    assert found["baton_manual_reviews_open"] == {(): 1}
    assert found["baton_escalations_overdue"] == {(): 1}, "its first deadline was 11 s ago"
    assert found["baton_breaks_overdue"] == {(): 1}
    assert found["baton_dead_letters_open"] == {(): 1}
    assert set(found) == {question.metric.name for question in QUESTIONS} | {"baton_standing_read_timestamp_seconds"}


def test_nothing_is_read_as_zero_where_it_is_a_number(tables: psycopg.Connection[Any]) -> None:
    found = read(tables)
    assert found["baton_unassigned_orders"] == {}
    assert found["baton_manual_reviews_open"] == {(): 0}
    assert set(found["baton_drivers"].values()) == {0}


def test_shown_while_it_runs_and_no_more_when_postgres_is_away(
    tables: psycopg.Connection[Any], database: str, servers: Addresses
) -> None:
    driver(tables, "ana", "AVAILABLE")
    registry, stop = CollectorRegistry(), threading.Event()
    gauges = Gauges(database, registry, every_s=0.05)
    thread = threading.Thread(target=gauges.run, args=(stop,))
    with counting() as added:
        thread.start()
        until(lambda: 'baton_drivers{availability="AVAILABLE"} 1.0' in shown(registry))
        put_away(servers, database, but=tables.info.backend_pid)
        until(lambda: "baton_drivers{" not in shown(registry))
        tables_again(servers, database)
        until(lambda: 'baton_drivers{availability="AVAILABLE"} 1.0' in shown(registry))
        stop.set()
        thread.join(10)
    assert of(added, "baton_standing_failures_total")[""] >= 1
    assert shown(registry) == "", "it is gone with the thread"


def put_away(servers: Addresses, database: str, but: int) -> None:
    name = database.rsplit("/", 1)[1]
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0".encode())
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s", (name, but)
        )


def tables_again(servers: Addresses, database: str) -> None:
    name = database.rsplit("/", 1)[1]
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1".encode())


def shown(registry: CollectorRegistry) -> str:
    return "\n".join(line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#"))


def until(true: Any, limit_s: float = 15) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
