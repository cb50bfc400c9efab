"""One member of the projectors' group: partitions, a consumer and a connection of its own."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition

from dispatch.contract import topics
from dispatch.log import logs
from dispatch.log.application import Record
from dispatch.log.connecting import kafka_client
from dispatch.log.lag import LAGS
from dispatch.log.reading import record_of
from dispatch.log.share import Share
from dispatch.metrics.projector import EVENTS
from projections import metrics
from projections.models import LATEST, NOTED
from projections.runtime import Folding, OffsetsMoved, Place, Position, Projection, Spoilt, fold, positions
from projections.setting_aside import SettingAside

BATCH = 2_000
_WAIT_S = 0.01
"""Gathers a batch. Whoever reads waits as long; under load batches fill while the one before is written."""
GATHERED_BYTES, GATHERED_MS = 200_000, 200
"""The broker answers when so much is there, or so long has passed: one answer and one write in place of one for every
partition of every transaction. A row is seen so much later; one in a second is promised."""
_AGAIN_S = 0.5
SILENT_S = 120.0
"""After so long without an answer Postgres is asked anew on another connection. A batch takes a quarter of a second."""
_NOT_MADE_YET_S = 2.0
_LEFT_ALONE = "-c idle_in_transaction_session_timeout=60s"
"""Postgres ends a transaction whose lane is gone without a word: the next one would wait for its locks."""
FOLLOWED = (
    topics.DELIVERY_EVENTS, topics.DRIVER_EVENTS, topics.DRIVER_PLACES,
    *(topic for topic in topics.CATALOGUE if topic.name in LATEST),
    *{model.topic.name: model.topic for model in NOTED}.values(),
)  # fmt: skip
_COUNTING = threading.Lock()
"""One lane at a time counts."""
logger = logs.get("projections.lane")


class Lane:
    """Folds what its partitions hold."""

    def __init__(self, brokers: str, postgres: str, namespace: str) -> None:
        self.state = "starting"
        self._postgres, self._namespace = postgres, namespace
        self._projection: Projection | None = None
        self._asked_at = 0.0
        """Since when an answer is waited for; 0: for none."""
        self._at: dict[Place, Position] = {}
        self._stop = threading.Event()
        self._aside = SettingAside(brokers, namespace)
        self._consumer = Consumer(
            {
                **kafka_client(brokers, "projector"),
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

    def run(self, stop: threading.Event) -> None:
        """Folds until stopped."""
        self._stop = stop
        names = [self._namespace + topic.name for topic in FOLLOWED]
        share = Share(self._consumer)
        share.subscribe(names, self._on_assign, self._on_revoke)
        try:
            while not stop.is_set():
                LAGS.note("projector", self._consumer)
                share.check()
                records = self._poll()
                if records:
                    self._project(records, {})
        finally:
            LAGS.forget(self._consumer)
            self._consumer.close()
            self._disconnect()

    def watch(self) -> None:
        """Called now and then by another thread: ends a connection that gives no answer, so that it is tried anew.

        A proxy can hold a connection open whose other side is gone. What was written has its offsets with it: once.
        """
        since, projection = self._asked_at, self._projection
        if not since or projection is None or time.monotonic() - since < SILENT_S:
            return
        self._asked_at = 0.0
        logger.warning("postgres_unreachable", reason=f"no answer within {SILENT_S:g} s")
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(projection.connection.fileno())) as ours,
        ):
            ours.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Projection]:
        projection = self._connected()
        self._asked_at = time.monotonic()
        try:
            yield projection
        finally:
            self._asked_at = 0.0

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
                self.state = error.str()
                logger.warning("kafka_error", reason=error.str())
        return [record for record in records if (record.topic, record.partition) in self._at]

    def _project(self, records: Sequence[Record], refused: dict[Record, str]) -> bool:
        """Writes the batch, as often as it takes. False: its partitions moved on, and what follows is void, too.

        What Postgres refuses is found by halving: the one record that is left is set aside, the others are written.
        """
        while not self._stop.is_set():
            folding = fold(records, self._at, self._namespace, refused)
            try:
                if not self._aside.told(folding.poison):
                    self._again("kafka does not take dead letters")
                    continue
                with self._asking() as projection:
                    projection.write(folding, self._at)
            except OffsetsMoved as moved:
                self.state = str(moved)
                self._seek(list(self._at))
                return False
            except Spoilt as spoilt:
                refused[spoilt.record] = spoilt.reason
                continue
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                if len(records) > 1:
                    middle = len(records) // 2
                    return self._project(records[:middle], refused) and self._project(records[middle:], refused)
                refused[records[0]] = _reason(error)
                continue
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self._lost(error)
                continue
            except psycopg.ProgrammingError as error:  # tables or rights as another release wants them: `baton setup`
                self._lost(error, _NOT_MADE_YET_S)
                continue
            self._at.update(folding.positions)
            self._aside.done()
            self._count(folding)
            self.state = "up"
            return True
        return False

    def _count(self, folding: Folding) -> None:
        """What operations watch, from the events that are committed now."""
        EVENTS.inc(len(folding.events))
        with _COUNTING:
            metrics.observe([taken.event for taken in folding.events], time.time_ns() // 1_000_000)

    def _connected(self) -> Projection:
        if self._projection is None or self._projection.connection.closed:
            connection: psycopg.Connection[Any] = psycopg.connect(
                self._postgres, connect_timeout=3, options=_LEFT_ALONE
            )
            self._projection = Projection(connection)
        return self._projection

    def _disconnect(self) -> None:
        if self._projection is not None:
            self._projection.connection.close()
            self._projection = None

    def _lost(self, error: psycopg.Error, wait_s: float = _AGAIN_S) -> None:
        logger.warning("postgres_unreachable", reason=_reason(error))
        self._disconnect()
        self._again(f"postgres: {_reason(error)}", wait_s)

    def _again(self, state: str, wait_s: float = _AGAIN_S) -> None:
        self.state = state
        self._stop.wait(wait_s)

    def _positions(self, places: Sequence[Place]) -> dict[Place, Position]:
        """Where they stand, once Postgres answers."""
        while not self._stop.is_set():
            try:
                with self._asking() as projection:
                    projection.forget()
                    return positions(projection.connection, places)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self._lost(error)
            except psycopg.ProgrammingError as error:
                self._lost(error, _NOT_MADE_YET_S)
        return {}

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._at = self._positions([(part.topic, part.partition) for part in partitions])
        consumer.assign(
            [TopicPartition(topic, number, position.next_offset) for (topic, number), position in self._at.items()]
        )
        self.state = "up"
        logger.info("assigned", partitions=len(partitions))

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._at = {}
        if self._projection is not None:
            self._projection.forget()
        logger.info("revoked", partitions=len(partitions))

    def _seek(self, places: Sequence[Place]) -> None:
        self._at = self._positions(places)
        for (topic, number), position in self._at.items():
            self._consumer.seek(TopicPartition(topic, number, position.next_offset))


def _reason(error: psycopg.Error) -> str:
    """What a server says first; the rest of it may quote rows."""
    return error.diag.message_primary or str(error)
