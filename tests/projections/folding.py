"""A log with histories in it, a database with its tables, and a projector that folds: for tests of read models."""

import threading
import time
import zlib
from collections.abc import Iterable
from typing import Any

import psycopg
from confluent_kafka import Producer

from bench.histories import Histories, Made
from deploy.local import Addresses
from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.setup import create_topics
from projections.lane import Lane
from projections.migrate import up
from projections.rebuild.acts import Where, rebuild, verify
from projections.runtime import chosen

AGAIN = [name for name in chosen.TABLES if not chosen.why_not_again(name)]
OF_EVENTS = [model.table for model in chosen.FOLDED] + ["delivery_audit_logs"]


def a_history(seed: int = 7, deliveries: int = 60, apart_ms: int = 40_000_000) -> list[Made]:
    """Over a month or so: partitions come."""
    histories = Histories(seed=seed, drivers=20)
    return [*histories.drivers(), *histories.deliveries(deliveries, apart_ms)]


class Stack:
    """A namespace with a log, a database with its tables, and a projector that folds."""

    def __init__(self, addresses: Addresses, namespace: str, dsn: str) -> None:
        self.where = Where(addresses.kafka, dsn, namespace)
        create_topics(Settings(kafka=addresses.kafka, postgres=dsn, namespace=namespace, partitions=4))
        up(dsn)
        self._producer = Producer({"bootstrap.servers": addresses.kafka, "enable.idempotence": True})
        self._stop = threading.Event()
        self._lane: threading.Thread | None = None

    def send(self, made: Iterable[Made]) -> None:
        for one in made:
            self.produce(one.topic, one.key, codec.encode(one.event))
        assert self.flushed()

    def flushed(self) -> bool:
        return self._producer.flush(30) == 0

    def produce(self, topic: topics.Topic, key: str, value: bytes | None) -> None:
        number = zlib.crc32(key.encode()) % 4
        self._producer.produce(self.where.namespace + topic.name, value, key.encode(), number)

    def start(self, dsn: str = "") -> None:
        """`dsn`: another way to the database."""
        self._stop = threading.Event()
        self.lane = Lane(self.where.brokers, dsn or self.where.dsn, self.where.namespace)
        self._lane = threading.Thread(target=self.lane.run, args=(self._stop,))
        self._lane.start()

    def stop(self) -> None:
        self._stop.set()
        if self._lane is not None:
            self._lane.join(30)

    def ask(self, statement: str, *values: Any) -> Any:
        with psycopg.connect(self.where.dsn, autocommit=True) as connection:
            row = connection.execute(statement.encode(), values or None).fetchone()
        return row[0] if row else None

    def do(self, statement: str) -> None:
        with psycopg.connect(self.where.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())

    def folded(self, events: int) -> None:
        until = time.monotonic() + 150
        while self.ask("SELECT count(*) FROM delivery_audit_logs") < events:
            assert time.monotonic() < until, "the projector does not come to the end"
            time.sleep(0.05)

    def differences(self, *names: str) -> dict[str, int]:
        verdicts, _ = verify(self.where, list(names), lambda _count: None, lambda _text: None)
        return {verdict.table: verdict.differing for verdict in verdicts if verdict.differing}

    def rebuild(self, *names: str) -> dict[str, bool]:
        made, _ = rebuild(self.where, list(names), lambda _count: None, lambda _text: None)
        return {one.table: one.before == one.after for one in made}
