"""Read models: a million events into all tables by one projector process, seen in time, and made again from the log.

The events are histories (`bench/histories.py`) that are in Kafka before the projector starts. Beside it stands what
Postgres alone takes: the audit's rows as ready text through one COPY into a table with the same indexes.
"""

import os
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg
from confluent_kafka import Producer

from bench.histories import Histories, Made
from deploy.local import Addresses, start_servers, stop_servers
from deploy.local.stack import baton
from dispatch.config import Settings
from dispatch.contract import codec
from dispatch.setup import create_topics
from projections.migrate import up
from projections.rebuild import acts
from projections.runtime import chosen

Figures = dict[str, float | str]
EVENTS = int(os.environ.get("BATON_BENCH_EVENTS", "1000000"))
LANES = 2
_RATE, _SECONDS = 1_000, 30
_COPIED = 100_000


@contextmanager
def running() -> Iterator[Addresses]:
    """Kafka and Postgres of its own, with topics and tables."""
    folder = Path(mkdtemp(prefix="baton-bench-"))
    folder.chmod(0o755)
    addresses, started = start_servers(folder, Addresses(kafka="", postgres="", valkey="none"))
    try:
        create_topics(Settings(kafka=addresses.kafka, postgres=addresses.postgres))
        up(addresses.postgres)
        yield addresses
    finally:
        stop_servers(started)


class Log:
    """Writes histories to Kafka."""

    def __init__(self, kafka: str) -> None:
        self._producer = Producer({"bootstrap.servers": kafka, "enable.idempotence": True, "linger.ms": 5,
                                   "queue.buffering.max.messages": 2_000_000})  # fmt: skip
        self._histories = Histories(drivers=1_000)
        self._started = False
        self.sent: dict[tuple[str, int], list[float]] = {}
        """When each offset was given to the client, by partition."""

    def made(self, events: int) -> Iterator[Made]:
        """At least so many events: whole deliveries."""
        count = 0
        if not self._started:
            self._started = True
            for one in self._histories.drivers():
                count += 1
                yield one
        while count < events:
            for one in self._histories.deliveries(1):
                count += 1
                yield one

    def send(self, one: Made, at_ms: int | None = None) -> None:
        """Queues it."""
        event = one.event
        if at_ms is not None:
            event = type(event)(**{name: getattr(event, name) for name in event.__struct_fields__} | {"at_ms": at_ms})
        number = zlib.crc32(one.key.encode()) % 8
        self.sent.setdefault((one.topic.name, number), []).append(time.monotonic())
        while True:
            try:
                self._producer.produce(one.topic.name, codec.encode(event), one.key.encode(), number)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def flush(self) -> None:
        """Waits until Kafka has all."""
        if self._producer.flush(120):
            raise RuntimeError("Kafka did not take the load within 120 s")


def run(addresses: Addresses) -> Figures:
    """All of it, one after the other."""
    log = Log(addresses.kafka)
    events = 0
    for one in log.made(EVENTS):
        log.send(one)
        events += 1
    log.flush()
    figures: Figures = {"events": float(events)}
    with psycopg.connect(addresses.postgres, autocommit=True) as connection, _projector(addresses) as process:
        began, used = time.monotonic(), _cpu_s(process)
        first = _until(connection, 1)
        _until(connection, events)
        spent = time.monotonic() - first
        figures |= {
            f"events a second into {len(chosen.TABLES)} tables, one process of {LANES} lanes": events / spent,
            "from its start to the first row, s": first - began,
            "CPU of the projector, µs an event": 1e6 * (_cpu_s(process) - used) / events,
        }
        copied = _copied_a_second(connection)
        figures |= {"peer: audit rows a second by one COPY of ready text": copied,
                    "projector / peer": events / spent / copied}  # fmt: skip
        figures |= _visible(connection, log)
        figures |= _rebuilt(addresses)
    return figures


@contextmanager
def _projector(addresses: Addresses) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {"BATON_KAFKA": addresses.kafka, "BATON_POSTGRES": addresses.postgres,
                                "BATON_VALKEY": "redis://127.0.0.1:1/0", "BATON_LOG_LEVEL": "error"}  # fmt: skip
    process = subprocess.Popen(baton("run", "projector", "--lanes", str(LANES)), env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _cpu_s(process: "subprocess.Popen[bytes]") -> float:
    import psutil

    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def _until(connection: "psycopg.Connection[Any]", rows: int) -> float:
    """When so many events are folded."""
    until = time.monotonic() + 1_800
    while sum(_offsets(connection).values()) < rows:
        if time.monotonic() > until:
            raise RuntimeError(f"not {rows} events within half an hour")
        time.sleep(0.05)
    return time.monotonic()


def _copied_a_second(connection: "psycopg.Connection[Any]") -> float:
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT * FROM delivery_audit_logs LIMIT {_COPIED}) TO STDOUT") as copy:
            rows = [bytes(row) for row in copy]
        cursor.execute("CREATE TABLE copied (LIKE delivery_audit_logs INCLUDING ALL)")
        began = time.monotonic()
        with cursor.copy("COPY copied FROM STDIN") as copy:
            for row in rows:
                copy.write(row)
        spent = time.monotonic() - began
        cursor.execute("DROP TABLE copied")
    return len(rows) / spent


def _visible(connection: "psycopg.Connection[Any]", log: Log) -> Figures:
    """At a steady rate: from giving an event to Kafka's client to its row being visible to another connection.

    An offset is written in the transaction of its rows, and seen with them.
    """
    known = _offsets(connection)
    log.sent = {place: [0.0] * offset for place, offset in known.items()}
    done = threading.Event()

    def produce() -> None:
        began = time.monotonic()
        for number, one in enumerate(log.made(_RATE * _SECONDS)):
            if (wait := began + number / _RATE - time.monotonic()) > 0:
                time.sleep(wait)
            log.send(one, time.time_ns() // 1_000_000)
        log.flush()
        done.set()

    producer = threading.Thread(target=produce)
    producer.start()
    lags: list[float] = []
    while not done.is_set() or any(len(sent) > known[place] for place, sent in log.sent.items()):
        time.sleep(0.01)
        for place, offset in _offsets(connection).items():
            now = time.monotonic()
            lags += [now - at for at in log.sent.get(place, [])[known.get(place, 0) : offset]]
            known[place] = offset
    producer.join()
    lags.sort()
    return {
        f"at {_RATE}/s, sent to visible, p50 ms": 1000 * lags[len(lags) // 2],
        f"at {_RATE}/s, sent to visible, p99 ms": 1000 * lags[int(len(lags) * 0.99)],
        f"at {_RATE}/s, seen": float(len(lags)),
    }


def _offsets(connection: "psycopg.Connection[Any]") -> dict[tuple[str, int], int]:
    rows = connection.execute(
        "SELECT topic, partition, next_offset FROM projection_offsets WHERE topic LIKE '%.events'"
    ).fetchall()
    return {(topic, number): offset for topic, number, offset in rows}


def _rebuilt(addresses: Addresses) -> Figures:
    """Every table that the log can make again, beside the live ones, and put in place."""
    names = [name for name in chosen.TABLES if not chosen.why_not_again(name)]
    where = acts.Where(addresses.kafka, addresses.postgres, "")
    began = time.monotonic()
    made, _poison = acts.rebuild(where, names, lambda _count: None, lambda _text: None)
    spent = time.monotonic() - began
    equal = sum(one.before == one.after for one in made)
    rows = next(one.after.rows for one in made if one.table == "delivery_audit_logs")
    return {
        f"rebuilt, {rows:,} events into {len(names)} tables, s": spent,
        "tables with equal hashes": f"{equal} of {len(made)}",
    }
