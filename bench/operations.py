"""`python -m bench.operations`: how long operations' reads take on filled tables, each query as the gateway asks it.

Starts a Postgres of its own, makes the tables, fills them (1,000,000 deliveries of 30 days, as many offers, 600,000
events, 1,000 drivers, 30 zones by the minute, 5,000 waiting, 20,000 dead letters), and asks each question a hundred
times; then each view of analysts five times, for its usual time. Filling takes some minutes.
"""

import asyncio
import hashlib
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from deploy.local import Addresses, start_servers, stop_servers
from projections import queries, queries_analytics, queries_operations
from projections.analytics.catalogue import views
from projections.migrate import up
from projections.queries_paging import Asked, Filter

_TIMES, _VIEW_TIMES = 100, 5
_FILL = Path(__file__).with_suffix(".sql")
Question = Callable[[psycopg.AsyncConnection[Any]], Awaitable[Any]]


def fill(dsn: str) -> None:
    """Makes and fills the tables."""
    up(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _FILL.read_text().split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())


def questions() -> dict[str, Question]:
    """Each by its name, as the gateway asks it."""
    now = datetime.now(UTC)
    week, end = now - timedelta(days=7), now + timedelta(minutes=1)
    one = str(uuid.UUID(bytes=hashlib.md5(b"d77777", usedforsecurity=False).digest()))
    open_only: list[Filter] = [
        ("q.left_at IS NULL AND d.ended_at IS NULL AND %s", True),
    ]
    page, behind = Asked(100), Asked(100, ((now - timedelta(days=5)).isoformat(), one))
    ops, ana = queries_operations, queries_analytics

    def listed(ask: Any, asked: Asked, *filters: Filter) -> Question:
        return lambda connection: ask(connection, filters, asked)

    return {
        "queue, critical first": lambda c: ops.unassigned(c, open_only, "critical", page),
        "queue of a zone": lambda c: ops.unassigned(c, [*open_only, ("d.zone = %s", "zone-3")], "critical", page),
        "queue by zone": lambda c: ops.unassigned_by_zone(c, open_only),
        "deliveries": listed(ops.deliveries, page),
        "deliveries, a page behind": listed(ops.deliveries, behind),
        "deliveries of a seller": listed(ops.deliveries, page, ("seller_id = %s", "s7")),
        "deliveries of a driver": listed(ops.deliveries, page, ("driver_id = %s", "driver-7")),
        "deliveries by order id": listed(ops.deliveries, page, ("seller_order_id LIKE %s", "order-12345%")),
        "open deliveries": listed(ops.deliveries, page, ("status = ANY(%s)", ["searching", "offered"]),
                                  ("ended_at IS NULL AND %s", True)),
        "drivers": listed(ops.drivers, page),
        "audit": listed(ops.audit_logs, page),
        "one delivery": lambda c: queries.delivery(c, one),
        "audit of one delivery": lambda c: queries.audit(c, one),
        "audit of a delivery, listed": listed(ops.audit_logs, page, ("delivery_id = %s::uuid", one)),
        "audit of an actor": listed(ops.audit_logs, page, ("actor_id = %s", "driver-7")),
        "audit of a word": listed(ops.audit_logs, page, ("audit_word = ANY(%s)", ["created"])),
        "dead letters": listed(ops.dead_letters, page, ("a.letter_id IS NULL AND %s", True)),
        "zones now": lambda c: ana.zones_now(c, None),
        "a zone's day": lambda c: ana.zones_over_time(c, "zone-3", now - timedelta(days=1), end, 300, 2000),
        "100 drivers' week": lambda c: ana.driver_performance(c, None, week, end, "score", page),
        "a driver's week": lambda c: ana.driver_performance(c, "driver-7", week, end, "driver", page),
        "money of a week by zone": lambda c: ana.economics(c, "zone", week, end, 1000),
        "money of a week by seller": lambda c: ana.economics(c, "seller", week, end, 1000),
        "money of a week by driver": lambda c: ana.economics(c, "driver", week, end, 1000),
        "money of a week of a seller": lambda c: ana.economics(c, "hour", week, end, 1000, None, "s7"),
    }  # fmt: skip


async def measure(dsn: str) -> None:
    """Prints p50 and p99 in milliseconds."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for name, ask in questions().items():
            took = []
            for _ in range(_TIMES):
                begun = time.perf_counter()
                await ask(connection)
                took.append(1000 * (time.perf_counter() - begun))
            cuts = statistics.quantiles(took, n=100, method="inclusive")
            print(f"{name:32} p50 {cuts[49]:8.2f} ms  p99 {cuts[98]:8.2f} ms")


def measure_views(dsn: str) -> None:
    """Prints the middle and the longest of a few."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for view in views().values():
            if view.usual is None and view.time:  # a row a delivery or offer: of no time of its own
                continue
            took = []
            for _ in range(_VIEW_TIMES):
                begun = time.perf_counter()
                connection.execute(f"SELECT * FROM analytics.{view.name}".encode()).fetchall()
                took.append(1000 * (time.perf_counter() - begun))
            print(f"{view.name:32} p50 {statistics.median(took):8.1f} ms  max {max(took):8.1f} ms")


def main() -> int:
    """The whole of it."""
    folder = Path(tempfile.mkdtemp(prefix="baton-bench-"))
    folder.chmod(0o755)
    addresses, started = start_servers(folder, Addresses(kafka="none", postgres="", valkey="none"))
    try:
        fill(addresses.postgres)
        asyncio.run(measure(addresses.postgres))
        measure_views(addresses.postgres)
    finally:
        stop_servers(started)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
