"""How long an index is asked for who is near: 25 pickups a question, as a worker asks; Valkey beside its fallback.

The town is wider with more drivers, and not denser: of 20,000 some 4,000 are in reach. The table has no statistics the
first time, as in a system that has just begun.
"""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import psycopg

from deploy.local import Addresses, start_servers, stop_servers
from dispatch.core.facts import SearchNeed
from dispatch.inputs.candidates.port import CandidateIndex, IndexedDriver
from dispatch.inputs.candidates.postgres import PostgresIndex, cell_of
from dispatch.inputs.candidates.valkey import ValkeyIndex
from projections.migrate import up

Figures = dict[str, float | str]
_QUESTIONS = 40
_TOGETHER = 25
_LIMIT_MS = 60_000
_WIDE_DEG = 0.1
"""The side of the town with 500 drivers."""


@contextmanager
def running() -> Iterator[Addresses]:
    """Postgres and Valkey of its own."""
    folder = Path(mkdtemp(prefix="baton-bench-"))
    folder.chmod(0o755)
    addresses, started = start_servers(folder, Addresses(kafka="none", postgres="", valkey=""))
    try:
        yield addresses
    finally:
        stop_servers(started)


def run(addresses: Addresses) -> Figures:
    """Milliseconds a question, by index and number of drivers."""
    up(addresses.postgres)
    figures: Figures = {}
    for count in (500, 20_000):
        drivers = _town(count)
        valkey = ValkeyIndex(addresses.valkey, f"bench{count}.", _LIMIT_MS)
        valkey.put(drivers)
        _fill(addresses.postgres, drivers)
        indexes: dict[str, CandidateIndex] = {
            "Valkey": valkey, "Postgres, without statistics": PostgresIndex(addresses.postgres, _LIMIT_MS)
        }  # fmt: skip
        for name, index in indexes.items():
            figures |= _asked(index, f"{name}, {count:,} drivers")
        with psycopg.connect(addresses.postgres, autocommit=True) as connection:
            connection.execute("ANALYZE drivers")
        figures |= _asked(indexes["Postgres, without statistics"], f"Postgres, {count:,} drivers")
        for index in indexes.values():
            index.close()
    return figures


def _town(count: int) -> list[IndexedDriver]:
    chance, wide = random.Random(1), _WIDE_DEG * (count / 500) ** 0.5
    return [
        IndexedDriver(
            driver_id=f"driver-{number}", lat=48 + wide * (chance.random() - 0.5),
            lng=7.85 + wide * (chance.random() - 0.5), vehicle="car", capacity=2, orders=0, rating=4.5,
            availability="AVAILABLE",
        )
        for number in range(count)
    ]  # fmt: skip


def _fill(postgres: str, drivers: Sequence[IndexedDriver]) -> None:
    columns = "driver_id, version, availability, vehicle, capacity, holds, rating, fence, lat, lng, h3_cell, updated_at"
    with psycopg.connect(postgres) as connection:
        connection.execute("TRUNCATE drivers")
        with connection.cursor().copy(f"COPY drivers ({columns}) FROM STDIN") as copy:
            for one in drivers:
                cell = cell_of(one.lat, one.lng)
                copy.write_row((one.driver_id, 1, one.availability, one.vehicle, one.capacity, one.orders, one.rating,
                                0, one.lat, one.lng, cell, "2026-01-01"))  # fmt: skip


def _asked(index: CandidateIndex, name: str) -> Figures:
    chance, took = random.Random(2), []
    for _ in range(_QUESTIONS):
        needs = [
            SearchNeed(lat=48 + 0.02 * (chance.random() - 0.5), lng=7.85 + 0.02 * (chance.random() - 0.5),
                       radius_m=5_000, limit=10)
            for _ in range(_TOGETHER)
        ]  # fmt: skip
        began = time.perf_counter()
        found = index.search(needs)
        took.append((time.perf_counter() - began) * 1000)
        if any(len(result.drivers) != 10 for result in found):
            raise RuntimeError(f"{name} did not find ten drivers everywhere")
    took.sort()
    return {f"{name}, p50 ms": took[len(took) // 2], f"{name}, p95 ms": took[len(took) * 95 // 100]}
