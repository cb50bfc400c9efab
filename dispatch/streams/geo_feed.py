"""The streams process: reads driver events, pings and delivery events, and hands them to who folds and judges them.

Driver events are read from the beginning at every start, before anything else: the index is complete whatever was lost,
and a wiped server is filled again. Pings and delivery events are read from a while back, so that what came while nobody
read is not lost. Everything sent is idempotent. Whatever cannot be handled is set aside and counted; the rest goes on.
"""

import threading
import time
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Consumed

from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_commands, delivery_events, driver_events
from dispatch.contract.records.system import DeadLetter, DriverHeartbeat, DriverLocation
from dispatch.inputs.candidates.valkey import ValkeyIndex
from dispatch.inputs.follower import start_all
from dispatch.inputs.rules import Rules, RulesFollower
from dispatch.inputs.zones import ZoneBoard, ZoneFollower
from dispatch.log import logs
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.health import HealthServer
from dispatch.log.lag import LAGS
from dispatch.log.reading import watermarks
from dispatch.metrics.reading import ERRORS
from dispatch.streams.approach import Approaches
from dispatch.streams.fleet import Fleet
from dispatch.streams.index_feed import IndexFeed
from dispatch.streams.presence import COUNTED, Presence
from dispatch.streams.pricing import PriceFeed
from dispatch.streams.resting import Resting
from dispatch.streams.waiting import Waiting
from dispatch.streams.wakeups import WakeUp, WakeUps
from dispatch.streams.zone_feed import ZoneFeed

GATHERED_BYTES, GATHERED_MS = 100_000, 40
"""The broker answers when so much is there, or so long has passed, not for every partition of every transaction."""
AWAY_S = 30.0
"""So long this process may be away, and no ping is lost: what is older is in the driver events."""
DELIVERIES_BACK_S = 3_600.0
"""Deliveries that were created longer ago and wait at the start are not woken: they search by their own retries."""
_AT_ONCE = 2_000
_UNSENT_S = 10.0
_PASSED_OVER = codec.marks((
    delivery_events.DriverOfferSent, delivery_events.DriverAccepted, delivery_events.DriverAssigned,
    delivery_events.PickupStarted, delivery_events.DeliveryStarted, delivery_events.ArrivedAtDropoff,
    delivery_events.PrepTimeChanged, delivery_events.EtaChanged, delivery_events.DeliveryEconomicsEstimated,
    delivery_events.DeliveryEconomicsSettled,
))  # fmt: skip
"""Of delivery events that nothing here is folded from: not even decoded."""
logger = logs.get("dispatch.streams.geo_feed")


class GeoFeed:
    """One process. `turn` reads what is there and passes it on."""

    def __init__(self, settings: Settings, rules: Rules, index: ValkeyIndex) -> None:
        self._namespace, self._rules = settings.namespace, rules
        self._fleet, waiting = Fleet(), Waiting()
        self._waiting, self._approaches = waiting, Approaches()
        self._presence, self._index = Presence(self._fleet), IndexFeed(index, self._fleet)
        self._wake_ups, self._resting = WakeUps(waiting, self._fleet.drivers.get), Resting()
        self._behind: dict[tuple[str, int], int] = {}
        self._state, self._joined = "starting", False
        self._producer = Producer(
            {
                **kafka_client(settings.kafka, "streams"),
                "enable.idempotence": True,
                "linger.ms": 1,
                "partitioner": "murmur2_random",
                "on_delivery": self._delivered,
            }
        )
        self._consumer = Consumer(
            {
                **kafka_client(settings.kafka, "streams"),
                "group.id": UNCOMMITTED,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.min.bytes": GATHERED_BYTES,
                "fetch.wait.max.ms": GATHERED_MS,
                "reconnect.backoff.max.ms": 1_000,
            }
        )

    def parts(self) -> dict[str, str]:
        """For /ready."""
        return {"streams": self._state, "index": self._index.state}

    def open(self) -> None:
        """Begins with the driver events. Raises KafkaException when Kafka does not answer."""
        places = []
        for place, low, high in self._places(topics.DRIVER_EVENTS):
            place.offset = low
            if high > low:
                self._behind[place.topic, place.partition] = high
            places.append(place)
        self._consumer.assign(places)
        self._state = "reading driver events"

    def turn(self) -> None:
        """One round: read, fold, write the index, then wake whoever will find the driver there."""
        LAGS.note("streams", self._consumer)
        if not self._behind and not self._joined:
            self._join()
        first = self._consumer.poll(0.1)
        if first is not None:
            for message in (first, *self._consumer.consume(_AT_ONCE, 0)):
                self._note(message)
        self._producer.poll(0)
        if not self._behind:
            self._index.write()
            for wake_up in self._wake_ups.due(_now_ms(), self._rules.policy.wake_up):
                self._wake(wake_up)
            self._send_all(*self._resting.due(self._rules.flags, _now_ms()))

    def close(self) -> None:
        """Sends what is queued and closes."""
        LAGS.forget(self._consumer)
        self._producer.flush(5)
        self._consumer.close()

    def _join(self) -> None:
        """With every driver known: pings and delivery events, from a while back. Asked again when Kafka is away."""
        back_s = self._rules.policy.availability.seen_every_s + AWAY_S
        try:
            places = self._from(topics.DRIVER_LOCATIONS, back_s) + self._from(topics.DELIVERY_EVENTS, DELIVERIES_BACK_S)
            self._consumer.incremental_assign(places)
        except KafkaException as error:
            self._failed(error.args[0].str())
            return
        self._joined, self._state = True, "up"

    def _places(self, topic: topics.Topic) -> list[tuple[TopicPartition, int, int]]:
        """Every partition with its first and next offset."""
        name = self._namespace + topic.name
        numbers = self._consumer.list_topics(name, timeout=10).topics[name].partitions
        places = [TopicPartition(name, number) for number in numbers]
        return [(place, *watermarks(self._consumer, place)) for place in places]

    def _from(self, topic: topics.Topic, back_s: float) -> list[TopicPartition]:
        ends = {place.partition: high for place, _, high in self._places(topic)}
        since_ms = _now_ms() - round(back_s * 1000)
        name = self._namespace + topic.name
        asked = [TopicPartition(name, number, since_ms) for number in ends]
        found = self._consumer.offsets_for_times(asked, timeout=10)
        return [
            TopicPartition(name, place.partition, place.offset if place.offset >= 0 else ends[place.partition])
            for place in found
        ]

    def _note(self, message: Consumed) -> None:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                self._failed(error.str())
            else:
                self._behind.pop((message.topic() or "", message.partition() or 0), None)
                self._state = "up" if self._joined else self._state
            return
        if self._joined:
            self._state = "up"
        value = message.value()
        if value is not None and value[:5] in _PASSED_OVER:
            return
        try:
            self._take(codec.decode_checked(value), message.timestamp()[1])
        except ContractError as wrong:
            if message.topic() == self._namespace + topics.DRIVER_LOCATIONS.name:
                COUNTED["unreadable"].inc()
            self._set_aside(message, "unreadable", type(wrong).__name__, wrong.reason, wrong.place)
        except Exception as error:  # noqa: BLE001 - whatever a step raises makes its record poison
            self._set_aside(message, "record", type(error).__name__, f"a step of streams raised: {error!r}", "")

    def _take(self, record: Any, heard_ms: int) -> None:
        if isinstance(record, DriverLocation):
            self._ping(record, heard_ms)
        elif isinstance(record, DriverHeartbeat):
            self._send_all(self._presence.heartbeat(record, heard_ms, _now_ms(), self._rules.policy))
        elif type(record) in driver_events.AUDIT_WORDS:
            self._driver(record)
        elif type(record) in delivery_events.AUDIT_WORDS:
            self._approaches.take(record)
            if self._waiting.take(record):
                self._wake_ups.searched_in_vain(record.delivery_id, record.at_ms)

    def _driver(self, event: Any) -> None:
        self._resting.take(event)
        before = self._fleet.drivers.get(event.driver_id)
        changed = self._fleet.take(event)
        if self._presence.take(event, past=bool(self._behind)):
            moved = self._fleet.drivers[event.driver_id]
            self._index.moved(moved.driver_id, moved.lat, moved.lng)
        self._approaches.take(event)
        if changed is None:
            return
        self._index.changed(changed)
        if changed.free and not (before and before.free):
            self._wake_ups.freed(event.driver_id, event.event_id, event.at_ms, _now_ms(), self._rules.policy.wake_up)
        if early := self._presence.early(event):
            self._ping(*early)

    def _ping(self, ping: DriverLocation, heard_ms: int) -> None:
        policy = self._rules.policy
        believed, alive = self._presence.ping(ping, heard_ms, _now_ms(), policy)
        self._send_all(alive)
        if believed:
            self._index.moved(ping.driver_id, ping.lat, ping.lng)
            self._send(topics.DRIVER_PLACES, ping.driver_id, ping)
            self._send_all(*self._approaches.astray(ping, policy.reassignment))

    def _wake(self, wake_up: WakeUp) -> None:
        self._send_all(
            delivery_commands.SearchAgain(
                command_id=identity.command_id(wake_up.event_id, f"wake {wake_up.delivery_id}"),
                delivery_id=wake_up.delivery_id,
                at_ms=wake_up.at_ms,
                actor_type="system",
                actor_id="wake-up",
                correlation_id=wake_up.delivery_id,
                driver_id=wake_up.driver_id,
            )
        )

    def _send_all(self, *commands: Any) -> None:
        for command in commands:
            if command is None:
                continue
            delivery = isinstance(command, delivery_commands.DeliveryCommand)
            topic = topics.DELIVERY_COMMANDS if delivery else topics.DRIVER_COMMANDS
            self._send(topic, command.delivery_id if delivery else command.driver_id, command)

    def _send(self, topic: topics.Topic, key: str, record: msgspec.Struct) -> None:
        """Waits while the queue is full. What cannot be queued then is counted, and comes again of itself."""
        value, until = codec.encode(record), time.monotonic() + _UNSENT_S
        while True:
            try:
                self._producer.produce(self._namespace + topic.name, value, key.encode())
                return
            except BufferError as error:
                ERRORS.labels("queue_full").inc()
                if time.monotonic() > until:
                    logger.error("kafka_error", reason=f"not sent to {topic.name} within {_UNSENT_S:g} s: {error}")
                    return
                self._producer.poll(0.1)

    def _delivered(self, error: KafkaError | None, _message: Consumed) -> None:
        if error is not None:
            self._failed(error.str())

    def _failed(self, reason: str) -> None:
        ERRORS.labels("kafka").inc()
        self._state = reason
        logger.warning("kafka_error", reason=reason)

    def _set_aside(self, message: Consumed, kind: str, error: str, reason: str, place: str) -> None:
        ERRORS.labels(kind).inc()
        value = message.value()
        letter = DeadLetter(
            source_topic=message.topic() or "",
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            key=message.key(),
            value=value[:262_144] if value is not None else None,
            value_bytes=len(value or b""),
            error=error,
            reason=reason[:1000],
            place=place[:200],
            at_ms=_now_ms(),
            worker="streams",
        )
        logger.error("poison", topic=message.topic(), partition=message.partition(), offset=message.offset(),
                     reason=reason)  # fmt: skip
        self._send(topics.DEAD_LETTERS, message.topic() or "", letter)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def run(settings: Settings, stop: threading.Event) -> None:
    """The streams process."""
    rules, board = Rules(), ZoneBoard()
    follower = RulesFollower(settings.kafka, settings.namespace, rules)
    zones = ZoneFollower(settings.kafka, settings.namespace, board)
    start_all(follower, zones)
    index = ValkeyIndex(settings.valkey, settings.namespace, timeout_ms=1_000)
    feed = GeoFeed(settings, rules, index)
    zone_feed = ZoneFeed(settings, rules, board)
    zone_feed.start()
    price_feed = PriceFeed(settings, rules)
    price_feed.start()
    health = HealthServer(settings.health_port, feed.parts)
    logger.info("started", process="streams")
    try:
        while not stop.is_set():
            try:
                feed.open()
                break
            except KafkaException as error:
                logger.warning("kafka_unreachable", reason=str(error))
                stop.wait(0.5)
        while not stop.is_set():
            feed.turn()
    finally:
        feed.close()
        price_feed.stop()
        zone_feed.stop()
        zones.stop()
        health.stop()
        follower.stop()
        index.close()
