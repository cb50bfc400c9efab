"""The process `webhooks`: one thread takes events in and tells what was done with endpoints, one sends."""

import threading
import time
from typing import Any

import psycopg
from confluent_kafka import Consumer, Producer
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import DeadLetter, Notice, WebhookEndpointChanged
from dispatch.log import logs
from dispatch.log.application import Record
from dispatch.log.connecting import kafka_client
from dispatch.log.errors import Misconfigured
from dispatch.log.health import HealthServer, Serve
from dispatch.log.lag import LAGS
from dispatch.webhooks.intake import Intake
from dispatch.webhooks.ledger import cause
from dispatch.webhooks.sealing import seal_of
from dispatch.webhooks.sender import Reached, Sender
from dispatch.webhooks.targets import Resolve, resolved

_CHANGES_S = 0.5
_UNTOLD = (
    "SELECT change_no, change_id::text, endpoint_id::text, seller_id, act, at, actor_type, actor_id, reason, host"
    " FROM webhook_changes WHERE told_at IS NULL ORDER BY change_no LIMIT 100 FOR UPDATE"
)
logger = logs.get("dispatch.webhooks.service")


class Webhooks:
    """Intake and sender."""

    def __init__(self, settings: Settings, reached: Reached = lambda _step: None, resolve: Resolve = resolved) -> None:
        self._namespace, self._reached = settings.namespace, reached
        self._producer = Producer({**kafka_client(settings.kafka, "webhooks"), "enable.idempotence": True})
        self._consumer = Consumer(
            {
                **kafka_client(settings.kafka, "webhooks"),
                "group.id": f"{settings.namespace}webhooks",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 6_000,
                "max.poll.interval.ms": 600_000,
                "fetch.min.bytes": 50_000,  # gathered for a moment: a record at a time costs ten times as much
                "fetch.wait.max.ms": 200,
                "reconnect.backoff.max.ms": 1_000,
            }
        )
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            settings.postgres, min_size=1, max_size=2, open=False, timeout=5, kwargs={"connect_timeout": 3}
        )
        self._intake = Intake(self._consumer, settings.namespace + topics.DELIVERY_EVENTS.name)
        try:
            self._sender = Sender(settings, seal_of(settings), reached, resolve)
        except OSError as error:
            raise Misconfigured(f"the key that seals webhook secrets cannot be kept: {error.strerror}") from error
        self._changes_told, self._changes_state = 0.0, "up"

    def parts(self) -> dict[str, str]:
        """For /ready."""
        return {"intake": self._intake.state, "changes": self._changes_state, "sender": self._sender.state}

    def run(self, stop: threading.Event) -> None:
        """Until stopped."""
        self._pool.open()
        self._intake.open()
        sending = threading.Thread(target=self._sender.run, args=(stop,), name="sending")
        sending.start()
        try:
            while not stop.is_set():
                LAGS.note("webhooks", self._consumer)
                records = self._intake.poll()
                if records and self._taken(records, stop):
                    self._reached("taken")
                    self._intake.commit(records)
                if time.monotonic() - self._changes_told > _CHANGES_S:
                    self._changes_told = time.monotonic()
                    self._tell_changes()
        finally:
            stop.set()
            sending.join()
            LAGS.forget(self._consumer)
            self._consumer.close()
            self._producer.flush(5)
            self._pool.close()

    def _taken(self, records: list[Record], stop: threading.Event) -> bool:
        """Writes, as often as it takes; False when stopped before."""
        while not stop.is_set():
            try:
                with self._pool.connection() as connection:
                    told = self._intake.take(connection, records, self._set_aside)
            except (psycopg.Error, PoolTimeout) as error:
                self._intake.state = _lost(error)
                stop.wait(0.5)
            else:
                if told:
                    self._sender.wake()
                self._producer.flush(10)
                return True
        return False

    def _tell_changes(self) -> None:
        """Puts what was done with endpoints into the log; operations hear of those that were given up.

        What was told and not marked is told again with the same ids.
        """
        try:
            with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
                rows = cursor.execute(_UNTOLD).fetchall()
                for row in rows:
                    self._tell(row)
                if rows and self._producer.flush(10) == 0:
                    cursor.execute(
                        "UPDATE webhook_changes SET told_at = now() WHERE change_no = ANY(%s)",
                        ([row["change_no"] for row in rows],),
                    )
        except (psycopg.Error, PoolTimeout) as error:
            self._changes_state = _lost(error)
        else:
            self._changes_state = "up"

    def _tell(self, row: dict[str, Any]) -> None:
        at_ms = round(row["at"].timestamp() * 1000)
        change = WebhookEndpointChanged(
            change_id=row["change_id"], endpoint_id=row["endpoint_id"], seller_id=row["seller_id"], act=row["act"],
            at_ms=at_ms, actor_type=row["actor_type"], actor_id=row["actor_id"], reason=row["reason"], host=row["host"],
        )  # fmt: skip
        topic = self._namespace + topics.WEBHOOK_CHANGES.name
        self._producer.produce(topic, codec.encode(change), row["endpoint_id"].encode())
        if row["act"] == "disabled" and row["actor_type"] == "system":
            notice = Notice(
                notice_id=identity.command_id(row["change_id"], "notice operations webhook_disabled"),
                audience="operations", kind="webhook_disabled", at_ms=at_ms,
                details={"seller": row["seller_id"], "host": row["host"], "why": row["reason"]},
            )  # fmt: skip
            self._producer.produce(self._namespace + topics.NOTICES.name, codec.encode(notice), b"operations")

    def _set_aside(self, record: Record, error: ContractError) -> None:
        logger.error("poison", topic=record.topic, partition=record.partition, offset=record.offset,
                     reason=error.reason)  # fmt: skip
        letter = DeadLetter(
            source_topic=record.topic, partition=record.partition, offset=record.offset, key=record.key,
            value=record.value[:262_144] if record.value is not None else None, value_bytes=len(record.value or b""),
            error=type(error).__name__, reason=error.reason[:1000], place=error.place[:200],
            at_ms=time.time_ns() // 1_000_000, worker="webhooks",
        )  # fmt: skip
        topic = self._namespace + topics.DEAD_LETTERS.name
        self._producer.produce(topic, codec.encode(letter), record.topic.encode())


def _lost(error: psycopg.Error | PoolTimeout) -> str:
    reason = cause(error) if isinstance(error, psycopg.Error) else "no connection"
    logger.warning("postgres_unreachable", reason=reason)
    return f"postgres: {reason}"


def run(
    settings: Settings,
    stop: threading.Event,
    reached: Reached = lambda _step: None,
    resolve: Resolve = resolved,
    health: Serve = HealthServer,
) -> None:
    """The process."""
    webhooks = Webhooks(settings, reached, resolve)
    page = health(settings.health_port, webhooks.parts)
    logger.info("started", process="webhooks")
    try:
        webhooks.run(stop)
    finally:
        page.stop()
