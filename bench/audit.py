"""`python -m bench.audit [DELIVERIES]`: how fast the audit is anchored, verified, read and exported.

Starts a Postgres of its own and fills it with deliveries of six events each (100,000 unless told: 600,000 rows),
chained as the projector does, one of them a search of ten candidates. Prints what the bytes take beside the JSON, too.
"""

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.local import Addresses, start_servers, stop_servers
from dispatch.contract import codec, identity
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Candidate, Order
from dispatch.log.application import Record
from projections import queries
from projections.audit.anchors import anchor_all
from projections.audit.delivery import look
from projections.audit.export import export
from projections.audit.keys import Known, Signer
from projections.audit.rows import snapshot
from projections.audit.verify import Asked, verify
from projections.migrate import up
from projections.models.audit import AUDIT, row

_AT_MS, _PARTITIONS, _TIMES = 1_790_000_000_000, 8, 200
_CANDIDATES = tuple(
    Candidate(
        driver_id=f"driver-{number}", distance_m=900, travel_s=130, orders=0, capacity=1, rating=4.7, vehicle="car",
        availability="AVAILABLE", score=2.1666666, travel_min=2.1666666, rating_min=-0.0, fairness_min=-0.1,
        load_min=0.0, source="valkey",
    )
    for number in range(10)
)  # fmt: skip
_SIZES = (
    "SELECT count(*), sum(pg_column_size(value)), sum(pg_column_size(body)), sum(pg_column_size(audit))"
    " FROM delivery_audit_logs AS audit"
)


def _events(number: int) -> Iterator[de.DeliveryEvent]:
    name = identity.delivery_id("s1", f"o{number}")

    def head(version: int) -> dict[str, object]:
        return {
            "event_id": identity.derived(f"{name}{version}"), "delivery_id": name, "version": version,
            "at_ms": _AT_MS + 1000 * number + version, "actor_type": "system", "actor_id": "bench",
            "causation_id": identity.derived("c"), "correlation_id": "bench",
        }  # fmt: skip

    order = Order(
        seller_id="s1", seller_order_id=f"o{number}", store_name="Anker", pickup_lat=48.1, pickup_lng=7.8,
        dropoff_lat=48.012, dropoff_lng=7.861, order_value_minor=2181, delivery_fee_minor=1, currency="EUR",
        placed_at_ms=_AT_MS,
    )  # fmt: skip
    with_driver = {"offer_id": name, "driver_id": "driver-1"}
    yield de.DeliveryCreated(**head(1), order=order, order_digest="d" * 64, remember_ms=1)  # type: ignore[arg-type]
    yield de.DriverCandidatesFound(
        **head(2), search_no=1, radius_m=5000, source="valkey", redis_ok=True, policy_version=1, zone="none",
        free_in_radius=10, busy_in_radius=0, candidates=_CANDIDATES,
    )  # type: ignore[arg-type]  # fmt: skip
    for version, kind in enumerate((de.PickupStarted, de.ArrivedAtPickup, de.DeliveryStarted), 3):
        yield kind(**head(version), **with_driver)  # type: ignore[arg-type]
    yield de.DeliveryCompleted(**head(6), **with_driver, total_ms=1_000_000)  # type: ignore[arg-type]


def fill(dsn: str, deliveries: int) -> None:
    """Rows as the projector writes them, deliveries mixed within their partitions."""
    last, offsets = [b""] * _PARTITIONS, [0] * _PARTITIONS
    names = ", ".join(AUDIT.columns)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for month in range(0, 1_000 * deliveries + 1, 2_000_000_000):  # shorter than the shortest month
            begun = datetime.fromtimestamp((_AT_MS + month) / 1000, UTC)
            connection.execute("SELECT baton_month('public', 'delivery_audit_logs', %s::date)", (begun,))
        end = datetime.fromtimestamp((_AT_MS + 1_000 * deliveries) / 1000, UTC)
        connection.execute("SELECT baton_month('public', 'delivery_audit_logs', %s::date)", (end,))
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY delivery_audit_logs ({names}) FROM STDIN".encode()) as copy:
            for first in range(0, deliveries, 80):
                rounds = zip(*(_events(number) for number in range(first, min(first + 80, deliveries))), strict=True)
                for events in rounds:
                    for number, event in enumerate(events, first):
                        place, value = number % _PARTITIONS, codec.encode(event)
                        record = Record("delivery.events", place, offsets[place], 0, b"", value)
                        made = row(codec.decode(value), value, (record.topic, place, record.offset), last[place])
                        last[place], offsets[place] = made["hash"], offsets[place] + 1 + (record.offset % 7 == 6)
                        copy.write_row([made[name] for name in AUDIT.columns])
        for place in range(_PARTITIONS):
            cursor.execute(
                "INSERT INTO projection_offsets VALUES ('delivery.events', %s, %s, %s)",
                (place, offsets[place], last[place]),
            )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE delivery_audit_logs")


def _timed(what: str, rows: int, work: Callable[[], object]) -> None:
    begun = time.perf_counter()
    work()
    took = time.perf_counter() - begun
    print(f"{what:44} {took:8.1f} s  {rows / took:10,.0f} rows a second")


def _often(what: str, work: Callable[[str], object], deliveries: int) -> None:
    took = []
    for number in range(_TIMES):
        name = identity.delivery_id("s1", f"o{number * 7919 % deliveries}")
        begun = time.perf_counter()
        work(name)
        took.append(1000 * (time.perf_counter() - begun))
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    print(f"{what:44} p50 {cuts[49]:8.2f} ms  p99 {cuts[98]:8.2f} ms")


def measure(dsn: str, deliveries: int) -> None:
    """Prints them."""
    signer = Signer(Ed25519PrivateKey.generate())
    known = Known(signer.public)
    with psycopg.connect(dsn) as connection:
        rows, values, bodies, whole = connection.execute(_SIZES).fetchone() or (0, 0, 0, 0)
    print(
        f"{rows:,} rows: bytes {values / rows:.0f} a row, JSON {bodies / rows:.0f}, all of the row {whole / rows:.0f}"
    )
    _timed("anchored", rows, lambda: anchor_all(dsn, signer))

    def clean(asked: Asked) -> None:
        found = verify(dsn, asked)
        if found.found:
            raise SystemExit(f"not clean: {found.findings[0].sentence()}")

    _timed("verified, all of it", rows, lambda: clean(Asked(known=known)))
    _timed("verified since the last anchors", rows, lambda: clean(Asked(known=known, since_anchor=True)))
    loop = asyncio.new_event_loop()
    asking = loop.run_until_complete(psycopg.AsyncConnection.connect(dsn, autocommit=True))

    def asked(name: str) -> None:
        loop.run_until_complete(queries.audit(asking, name))

    _often("audit of one delivery, as the gateway asks", asked, deliveries)
    loop.run_until_complete(asking.close())
    loop.close()
    with snapshot(dsn) as connection:
        _often("one delivery verified, with its anchors", lambda name: look(connection, name, known), deliveries)
    _often("one delivery exported",
           lambda name: export(dsn, signer, name, actor_id="bench", reason="bench"), deliveries)  # fmt: skip


def main(arguments: list[str]) -> int:
    """The whole of it."""
    folder = Path(tempfile.mkdtemp(prefix="baton-bench-"))
    folder.chmod(0o755)
    addresses, started = start_servers(folder, Addresses(kafka="none", postgres="", valkey="none"))
    try:
        up(addresses.postgres)
        deliveries = int(arguments[0]) if arguments else 100_000
        _timed("filled", 6 * deliveries, lambda: fill(addresses.postgres, deliveries))
        measure(addresses.postgres, deliveries)
    finally:
        stop_servers(started)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
