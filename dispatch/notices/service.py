"""The notifier process: one thread takes notices in, one sends them."""

import threading
import time

import httpx
import psycopg
from confluent_kafka import Consumer, Producer
from psycopg_pool import ConnectionPool
from standardwebhooks import Webhook

from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import DeadLetter, Notice
from dispatch.contract.tracking import new_link
from dispatch.inputs.rules import Rules, RulesFollower
from dispatch.log import logs
from dispatch.log.application import Record
from dispatch.log.connecting import kafka_client
from dispatch.log.errors import Misconfigured
from dispatch.log.health import HealthServer, Serve
from dispatch.log.lag import LAGS
from dispatch.notices.channels import TIMEOUT_S, Channel, channels
from dispatch.notices.intake import Intake
from dispatch.notices.sender import Pool, Reached, Sender
from dispatch.notices.templates import LANGUAGES

logger = logs.get("dispatch.notices.service")


def channels_of(settings: Settings, client: httpx.Client) -> dict[str, list[Channel]]:
    """By audience. Raises Misconfigured for an address, a secret or a language that is none."""
    if settings.language not in LANGUAGES:
        raise Misconfigured(f"BATON_LANGUAGE is {settings.language!r}; there are texts in {', '.join(LANGUAGES)}")
    if settings.webhook_secret:
        try:
            Webhook(settings.webhook_secret)
        except ValueError as error:
            raise Misconfigured("BATON_WEBHOOK_SECRET is not base64, with or without whsec_ before it") from error
    found = {}
    for audience in ("customer", "driver", "operations", "support"):
        urls = getattr(settings, f"notify_{audience}")
        found[audience] = channels(urls, settings.webhook_secret, client, f"BATON_NOTIFY_{audience.upper()}")
    return found


class Notifier:
    """Intake and sender over one pool of connections."""

    def __init__(self, settings: Settings, rules: Rules, reached: Reached = lambda _step: None) -> None:
        self._client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)
        by_audience = channels_of(settings, self._client)
        names = {audience: [one.name for one in found] for audience, found in by_audience.items()}
        self._namespace, self._reached = settings.namespace, reached
        self._tracking = (settings.tracking_url, settings.tracking_after_s)
        self._producer = Producer(
            {**kafka_client(settings.kafka, "notices"), "enable.idempotence": True, "partitioner": "murmur2_random"}
        )
        self._consumer = Consumer(
            {
                **kafka_client(settings.kafka, "notices"),
                "group.id": f"{settings.namespace}notifier",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 6_000,
                "max.poll.interval.ms": 600_000,
                "fetch.min.bytes": 50_000,
                "fetch.wait.max.ms": 200,
                "reconnect.backoff.max.ms": 1_000,
            }
        )
        self._pool: Pool = ConnectionPool(
            settings.postgres, min_size=1, max_size=6, open=False, timeout=5, kwargs={"connect_timeout": 3}
        )
        self._intake = Intake(self._consumer, settings.namespace, rules, names)
        by_name = {one.name: one for found in by_audience.values() for one in found}
        self._sender = Sender(self._pool, rules, by_name, settings.language, self._dead, reached, self._link)

    def parts(self) -> dict[str, str]:
        """For /ready."""
        return {"intake": self._intake.state, "sender": self._sender.state}

    def run(self, stop: threading.Event) -> None:
        """Until stopped."""
        self._pool.open()
        self._intake.open()
        sending = threading.Thread(target=self._sender.run, args=(stop,), name="sending")
        sending.start()
        try:
            while not stop.is_set():
                LAGS.note("notifier", self._consumer)
                records = self._intake.poll()
                if records and self._taken(records, stop):
                    self._reached("taken")
                    self._intake.commit(records)
        finally:
            stop.set()
            sending.join()
            LAGS.forget(self._consumer)
            self._consumer.close()
            self._producer.flush(5)
            self._pool.close()
            self._client.close()

    def _taken(self, records: list[Record], stop: threading.Event) -> bool:
        """Writes, as often as it takes; False when stopped before."""
        while not stop.is_set():
            try:
                with self._pool.connection() as connection:
                    self._intake.take(connection, records, self._set_aside)
            except psycopg.Error as error:
                reason = error.diag.message_primary or type(error).__name__
                self._intake.state = f"postgres: {reason}"
                logger.warning("postgres_unreachable", reason=reason)
                stop.wait(0.5)
            else:
                self._producer.flush(10)
                return True
        return False

    def _set_aside(self, record: Record, error: ContractError) -> None:
        logger.error("poison", topic=record.topic, partition=record.partition, offset=record.offset,
                     reason=error.reason)  # fmt: skip
        place = (record.topic, record.partition, record.offset)
        self._letter(place, record.key, record.value, (type(error).__name__, error.reason, error.place))

    def _dead(self, notice: Notice, cause: str) -> None:
        key = (notice.driver_id or notice.delivery_id).encode()
        place = (self._namespace + topics.NOTICES.name, -1, -1)
        self._letter(place, key, codec.encode(notice), ("NoticeDead", f"{notice.notice_id}: {cause}", "channel"))
        self._producer.flush(10)

    def _link(self, delivery_id: str) -> str:
        """A new tracking link, in the log before it is told; empty: customers have no address to follow at."""
        base, after_s = self._tracking
        if not base:
            return ""
        token, link = new_link(delivery_id, "notifier", time.time_ns() // 1_000_000, after_s)
        name = self._namespace + topics.TRACKING_LINKS.name
        self._producer.produce(name, codec.encode(link), link.token_hash.encode())
        return base + token if self._producer.flush(5) == 0 else ""

    def _letter(
        self, source: tuple[str, int, int], key: bytes | None, value: bytes | None, wrong: tuple[str, str, str]
    ) -> None:
        topic, partition, offset = source
        letter = DeadLetter(
            source_topic=topic, partition=partition, offset=offset, key=key,
            value=value[:262_144] if value is not None else None, value_bytes=len(value or b""),
            error=wrong[0], reason=wrong[1][:1000], place=wrong[2][:200], at_ms=time.time_ns() // 1_000_000,
            worker="notifier",
        )  # fmt: skip
        self._producer.produce(self._namespace + topics.DEAD_LETTERS.name, codec.encode(letter), topic.encode())


def run(
    settings: Settings,
    stop: threading.Event,
    reached: Reached = lambda _step: None,
    health: Serve = HealthServer,
) -> None:
    """The process."""
    rules = Rules()
    notifier = Notifier(settings, rules, reached)
    follower = RulesFollower(settings.kafka, settings.namespace, rules)
    follower.start()
    page = health(settings.health_port, notifier.parts)
    logger.info("started", process="notifier")
    try:
        notifier.run(stop)
    finally:
        page.stop()
        follower.stop()
