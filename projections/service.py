"""The projector process: consumes events, folds them into Postgres, waits when Postgres is away."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client import Counter

from dispatch.contract import codec, topics
from dispatch.contract.records.system import DeadLetter
from dispatch.log import logs
from dispatch.log.application import Record
from dispatch.log.health import HealthServer
from dispatch.log.reading import record_of
from projections.models import LATEST, NOTED
from projections.runtime import Folding, OffsetsMoved, Place, Poison, Position, fold, positions, prepare, write

BATCH = 2_000
_WAIT_S = 0.01
"""Gathers a batch. Whoever reads waits as long; under load batches fill while the one before is written."""
GATHERED_BYTES, GATHERED_MS = 200_000, 100
"""The broker answers when so much is there, or so long has passed: one answer and one write in place of one for every
partition of every transaction. A row is seen so much later; one in a second is promised."""
_KEPT_BYTES = 262_144
_FOLLOWED = (
    topics.DELIVERY_EVENTS, topics.DRIVER_EVENTS, topics.DRIVER_PLACES,
    *(topic for topic in topics.CATALOGUE if topic.name in LATEST),
)  # fmt: skip
EVENTS = Counter("baton_projected_events_total", "Events folded into the read models.")
logger = logs.get("projections.service")


class Projector:
    """One member of the projectors' group."""

    def __init__(self, brokers: str, postgres: str, namespace: str) -> None:
        self._postgres, self._namespace = postgres, namespace
        self._connection: psycopg.Connection[Any] | None = None
        self._at: dict[Place, Position] = {}
        self._state = "starting"
        self._stop = threading.Event()
        self._topics = [namespace + topic.name for topic in (*_FOLLOWED, *(model.topic for model in NOTED))]
        self._producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True})
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": f"{namespace}projector",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 6_000,
                "max.poll.interval.ms": 600_000,
                "fetch.min.bytes": GATHERED_BYTES,
                "fetch.wait.max.ms": GATHERED_MS,
                "reconnect.backoff.max.ms": 1_000,
            }
        )

    def parts(self) -> dict[str, str]:
        """For /ready."""
        return {"projector": self._state}

    def run(self, stop: threading.Event) -> None:
        """Folds until stopped."""
        self._stop = stop
        self._consumer.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke)
        try:
            while not stop.is_set():
                records = self._poll()
                if records:
                    self._project(records)
        finally:
            self._consumer.close()
            if self._connection is not None:
                self._connection.close()

    def _poll(self) -> list[Record]:
        first = self._consumer.poll(0.2)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(BATCH - 1, _WAIT_S)]
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(record_of(message))
            else:
                self._state = error.str()
                logger.warning("kafka_error", reason=error.str())
        return [record for record in records if (record.topic, record.partition) in self._at]

    def _project(self, records: Sequence[Record]) -> None:
        """Writes the batch, as often as it takes. A batch whose partitions moved on is dropped."""
        while not self._stop.is_set():
            folding = fold(records, self._at, self._namespace)
            try:
                write(self._connected(), folding, self._at)
            except OffsetsMoved as moved:
                self._state = str(moved)
                self._seek(list(self._at))
                return
            except psycopg.OperationalError as error:
                self._lost(error)
                continue
            self._at.update(folding.positions)
            self._state = "up"
            EVENTS.inc(len(folding.events))
            self._set_aside(folding)
            return

    def _set_aside(self, folding: Folding) -> None:
        for poison in folding.poison:
            logger.error("poison", topic=poison.record.topic, partition=poison.record.partition,
                         offset=poison.record.offset, reason=poison.reason)  # fmt: skip
            letter = _letter(poison, personal=poison.record.topic == self._namespace + topics.CONTACTS.name)
            self._producer.produce(
                self._namespace + topics.DEAD_LETTERS.name, codec.encode(letter), letter.source_topic.encode()
            )
        if folding.poison:
            self._producer.flush(10)

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._postgres, connect_timeout=3)
            prepare(self._connection)
        return self._connection

    def _lost(self, error: psycopg.Error) -> None:
        reason = error.diag.message_primary or str(error)  # the rest of what a server says may quote rows
        self._state = f"postgres: {reason}"
        logger.warning("postgres_unreachable", reason=reason)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._stop.wait(0.5)

    def _positions(self, places: Sequence[Place]) -> dict[Place, Position]:
        """Where they stand, once Postgres answers."""
        while not self._stop.is_set():
            try:
                return positions(self._connected(), places)
            except psycopg.OperationalError as error:
                self._lost(error)
        return {}

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._at = self._positions([(part.topic, part.partition) for part in partitions])
        consumer.assign(
            [TopicPartition(topic, number, position.next_offset) for (topic, number), position in self._at.items()]
        )
        self._state = "up"
        logger.info("assigned", partitions=len(partitions))

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._at = {}
        logger.info("revoked", partitions=len(partitions))

    def _seek(self, places: Sequence[Place]) -> None:
        self._at = self._positions(places)
        for (topic, number), position in self._at.items():
            self._consumer.seek(TopicPartition(topic, number, position.next_offset))


def _letter(poison: Poison, *, personal: bool) -> DeadLetter:
    """The record as it was; of personal data only where it stands, for dead letters are kept when a contact is not."""
    record = poison.record
    value = None if personal else record.value
    return DeadLetter(
        source_topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=value[:_KEPT_BYTES] if value is not None else None,
        value_bytes=len(record.value or b""),
        error="Poison",
        reason=poison.reason[:1000],
        place=poison.place[:200],
        at_ms=time.time_ns() // 1_000_000,
        worker="projector",
    )


def run(brokers: str, postgres: str, namespace: str, health_port: int, stop: threading.Event) -> None:
    """The process."""
    projector = Projector(brokers, postgres, namespace)
    health = HealthServer(health_port, projector.parts)
    logger.info("started", process="projector")
    try:
        projector.run(stop)
    finally:
        health.stop()
