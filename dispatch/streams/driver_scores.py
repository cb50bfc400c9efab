"""Keeps every driver's score true to the log: counted from delivery and driver events, told on `driver.scores`.

The counts are sums, so the order between partitions does not matter, and the events are read from the beginning at
every start: whatever is killed or lost, the same log gives the same scores. What is already told is not told again.
Records of no account are passed over unread.
"""

import threading
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Consumed
from msgspec.structs import replace

from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.system import DriverScored
from dispatch.core.driver_score import Tally, scored
from dispatch.core.policy import DriverScorePolicy
from dispatch.inputs.rules import Rules, RulesFollower
from dispatch.log import logs
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.health import HealthServer, Serve
from dispatch.log.lag import LAGS
from dispatch.log.reading import read_all, watermarks
from dispatch.metrics.scores import SCORED, SKIPPED, TOLD

COUNTED = (
    de.DriverAccepted, de.DriverRejected, de.OfferExpired, de.DriverAssigned, de.DeliveryCompleted,
    de.AssignmentReassigned, de.DeliveryCancelled, de.DeliveryFailed, dr.DriverSignedOn,
)  # fmt: skip
_SUBJECTS = frozenset(codec.subject(kind) for kind in COUNTED)
_TELL_EVERY_S = 1.0
logger = logs.get("dispatch.streams.driver_scores")


class Tallies:
    """Drivers as counted. `take` folds one event; `changed` holds whose count moved since it was last emptied."""

    def __init__(self) -> None:
        self.drivers: dict[str, Tally] = {}
        self.changed: set[str] = set()
        self._told_eta_ms: dict[str, int] = {}

    def take(self, event: Any, late_after_ms: float) -> None:
        """Counts one event. What is not told of a driver changes nothing."""
        match event:
            case dr.DriverSignedOn():
                self._put(event, rating=event.rating)
            case de.DriverAccepted():
                self._add(event, "accepted")
            case de.DriverRejected():
                self._add(event, "refused")
            case de.OfferExpired():
                self._add(event, "expired")
            case de.DriverAssigned():
                self._told_eta_ms[event.delivery_id] = event.terms.delivery_eta_ms
            case de.AssignmentReassigned():
                self._told_eta_ms.pop(event.delivery_id, None)
                if event.reason != "admin_forced":
                    self._add(event, "given_up" if event.reason == "driver_cancelled" else "lost")
            case de.DeliveryCompleted():
                eta_ms = self._told_eta_ms.pop(event.delivery_id, None)
                in_time = eta_ms is not None and event.at_ms <= eta_ms + late_after_ms
                self._add(event, "completed", *(("on_time",) if in_time else ()))
            case de.DeliveryCancelled() | de.DeliveryFailed():
                self._told_eta_ms.pop(event.delivery_id, None)

    def _add(self, event: Any, *fields: str) -> None:
        tally = self.drivers.get(event.driver_id) or Tally(driver_id=event.driver_id)
        self._put(event, **{field: getattr(tally, field) + 1 for field in fields})

    def _put(self, event: Any, **fields: Any) -> None:
        tally = self.drivers.get(event.driver_id) or Tally(driver_id=event.driver_id)
        self.drivers[event.driver_id] = replace(tally, at_ms=max(tally.at_ms, event.at_ms), **fields)
        self.changed.add(event.driver_id)


class DriverScores:
    """One stream. `turn` reads what is there, counts it, and tells the scores that moved, once a second."""

    def __init__(self, settings: Settings, rules: Rules) -> None:
        self._settings, self._rules = settings, rules
        self._topic = settings.namespace + topics.DRIVER_SCORES.name
        self._tallies = Tallies()
        self._told: dict[str, DriverScored] = {}
        self._told_by: DriverScorePolicy | None = None
        self._behind: set[tuple[str, int]] = set()
        self._began = self._last = time.monotonic()
        self.state = "starting"
        self._producer = Producer(
            {**kafka_client(settings.kafka, "driver-scores"), "enable.idempotence": True, "linger.ms": 20}
        )
        self._consumer = Consumer(
            {
                **kafka_client(settings.kafka, "driver-scores"),
                "group.id": UNCOMMITTED,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.min.bytes": 100_000,
                "fetch.wait.max.ms": 200,
                "reconnect.backoff.max.ms": 1_000,
            }
        )

    def open(self) -> None:
        """Reads what was told, and begins with the first event. Raises KafkaException when Kafka does not answer."""
        known = self._consumer.list_topics(timeout=10).topics
        for record in read_all(self._settings.kafka, [self._topic]):
            self._note_told(record.value)
        places = []
        for topic in (topics.DELIVERY_EVENTS, topics.DRIVER_EVENTS):
            name = self._settings.namespace + topic.name
            for number in known[name].partitions:
                low, high = watermarks(self._consumer, TopicPartition(name, number))
                places.append(TopicPartition(name, number, low))
                if high > low:
                    self._behind.add((name, number))
        self._consumer.assign(places)
        self._began = time.monotonic()
        self.state = "counting" if self._behind else "up"

    def turn(self, wait_s: float = 0.2) -> None:
        """One round."""
        LAGS.note("scores", self._consumer)
        for message in self._consumer.consume(2_000, wait_s):
            self._note(message)
        self._producer.poll(0)
        if not self._behind and time.monotonic() - self._last >= _TELL_EVERY_S:
            self._last = time.monotonic()
            self.tell()

    def tell(self) -> int:
        """Publishes the scores that differ from what was told; how many."""
        policy, tallies = self._rules.policy.driver_score, self._tallies
        names = tallies.changed if policy == self._told_by else set(tallies.drivers)
        tallies.changed = set()
        self._told_by = policy
        count = 0
        for name in names:
            score = scored(tallies.drivers[name], policy)
            if score != self._told.get(name):
                self._told[name] = score
                self._producer.produce(self._topic, codec.encode(score), name.encode())
                count += 1
        SCORED.set(len(tallies.drivers))
        TOLD.inc(count)
        return count

    def close(self) -> None:
        """Sends what is queued and closes."""
        self._producer.flush(5)
        LAGS.forget(self._consumer)
        self._consumer.close()

    def _note(self, message: Consumed) -> None:
        place = (message.topic() or "", message.partition() or 0)
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                self.state = error.str()
                logger.warning("kafka_error", reason=error.str())
            else:
                self._caught_up(place)
            return
        value = message.value()
        if codec.subject_in(value) not in _SUBJECTS:
            return
        try:
            event = codec.decode(value)
        except ContractError as wrong:
            SKIPPED.inc()
            logger.error("poison", topic=place[0], partition=place[1], offset=message.offset(), reason=str(wrong))
            return
        self._tallies.take(event, self._rules.policy.driver_score.late_after_s * 1000)

    def _caught_up(self, place: tuple[str, int]) -> None:
        was = bool(self._behind)
        self._behind.discard(place)
        if not self._behind:
            self.state = "up"
            if was:
                seconds = round(time.monotonic() - self._began, 3)
                logger.info("driver_scores_told", drivers=self.tell(), seconds=seconds)

    def _note_told(self, value: bytes | None) -> None:
        if value is None:
            return
        try:
            record = codec.decode_checked(value)
        except ContractError as wrong:
            logger.error("poison", topic=self._topic, partition=0, offset=-1, reason=str(wrong))
            return
        if isinstance(record, DriverScored):
            self._told[record.driver_id] = record


def follow(stream: DriverScores, stop: threading.Event) -> None:
    """Runs a stream until stopped, beginning when Kafka answers."""
    try:
        while not stop.is_set():
            try:
                stream.open()
                break
            except KafkaException as error:
                logger.warning("kafka_unreachable", reason=str(error))
                stop.wait(0.5)
        while not stop.is_set():
            stream.turn()
    finally:
        stream.close()


def run(settings: Settings, stop: threading.Event, health: Serve = HealthServer) -> None:
    """The process that keeps the scores."""
    rules = Rules()
    follower = RulesFollower(settings.kafka, settings.namespace, rules)
    follower.start()
    stream = DriverScores(settings, rules)
    page = health(settings.health_port, lambda: {"scores": stream.state})
    logger.info("started", process="scores")
    try:
        follow(stream, stop)
    finally:
        page.stop()
        follower.stop()
