"""Keeps the geo index true to the log, and tells the aggregates what only a stream can see.

Driver events are read from the beginning at every start: the index is complete whatever was lost, and a wiped server is
filled again. Pings and delivery events are read from the present on. Everything sent is idempotent.
"""

import threading
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Consumed
from prometheus_client import Counter

from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_commands, delivery_events, driver_commands, driver_events
from dispatch.contract.records.system import DeadLetter, DriverLocation
from dispatch.core.travel import distance_m
from dispatch.inputs.candidates.port import IndexedDriver, IndexUnavailable
from dispatch.inputs.candidates.valkey import ValkeyIndex
from dispatch.inputs.rules import Rules, RulesFollower
from dispatch.log import logs
from dispatch.log.health import HealthServer
from dispatch.log.reading import watermarks
from dispatch.streams.approach import Approach, moved
from dispatch.streams.fleet import Fleet
from dispatch.streams.waiting import Waiting

PINGS = Counter("baton_pings_total", "Pings of drivers by what became of them.", ["outcome"])
OLDEST_MS = 600_000
AHEAD_MS = 60_000
GATHERED_BYTES, GATHERED_MS = 100_000, 40
"""The broker answers when so much is there, or so long has passed, not for every partition of every transaction."""
_CHECK_EVERY_S = 1.0
logger = logs.get("dispatch.streams.geo_feed")


class GeoFeed:
    """One process. `turn` reads what is there and passes it on."""

    def __init__(self, settings: Settings, rules: Rules, index: ValkeyIndex) -> None:
        self._namespace, self._rules, self._index = settings.namespace, rules, index
        self._fleet, self._waiting = Fleet(), Waiting()
        self._approaches: dict[str, dict[str, Approach]] = {}
        self._told_alive: dict[str, int] = {}
        self._changed: dict[str, IndexedDriver] = {}
        self._moved: dict[str, tuple[float, float]] = {}
        self._behind: dict[tuple[str, int], int] = {}
        self._state = "starting"
        self._index_state = "starting"
        self._checked = 0.0
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka,
                "enable.idempotence": True,
                "linger.ms": 1,
                "partitioner": "murmur2_random",
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka,
                "group.id": "streams-are-never-committed",
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
        return {"streams": self._state, "index": self._index_state}

    def open(self) -> None:
        """Assigns every partition. Raises KafkaException when Kafka does not answer."""
        known = self._consumer.list_topics(timeout=10).topics
        places = []
        for topic, whole in (
            (topics.DRIVER_EVENTS, True),
            (topics.DRIVER_LOCATIONS, False),
            (topics.DELIVERY_EVENTS, False),
        ):
            name = self._namespace + topic.name
            for number in known[name].partitions:
                place = TopicPartition(name, number)
                low, high = watermarks(self._consumer, place)
                place.offset = low if whole else high
                if whole and high > low:
                    self._behind[name, number] = high
                places.append(place)
        self._consumer.assign(places)
        self._state = "reading driver events" if self._behind else "up"

    def turn(self) -> None:
        """One round: read, fold, write the index, send."""
        first = self._consumer.poll(0.1)
        if first is not None:
            for message in (first, *self._consumer.consume(2_000, 0)):
                self._note(message)
        self._producer.poll(0)
        if not self._behind:
            self._write_index()

    def close(self) -> None:
        """Sends what is queued and closes."""
        self._producer.flush(5)
        self._consumer.close()

    def _note(self, message: Consumed) -> None:
        place = (message.topic() or "", message.partition() or 0)
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                self._state = error.str()
                logger.warning("kafka_error", reason=error.str())
            elif place in self._behind:
                del self._behind[place]
                self._state = "reading driver events" if self._behind else "up"
            return
        try:
            record = codec.decode_checked(message.value())
        except ContractError as wrong:
            self._set_aside(message, wrong)
            return
        self._take(record)

    def _take(self, record: Any) -> None:
        if isinstance(record, DriverLocation):
            self._ping(record)
        elif hasattr(record, "delivery_id") and type(record) in delivery_events.AUDIT_WORDS:
            self._waiting.take(record)
            if isinstance(record, delivery_events.ArrivedAtPickup | delivery_events.PickupCompleted):
                self._approaches.get(record.driver_id, {}).pop(record.offer_id, None)
        elif type(record) in driver_events.AUDIT_WORDS:
            self._driver(record)

    def _driver(self, event: Any) -> None:
        if isinstance(event, driver_events.DriverSeen):
            self._seen(event)
            return
        changed = self._fleet.take(event)
        if changed is None:
            return
        self._changed[changed.driver_id] = changed
        held = self._approaches.setdefault(event.driver_id, {})
        match event:
            case driver_events.DriverReserved():
                held[event.offer_id] = Approach(event.delivery_id, event.offer_id, event.pickup_lat, event.pickup_lng)
            case driver_events.DriverReservationReleased():
                held.pop(event.offer_id, None)
        fresh = time.time() * 1000 - event.at_ms < 10_000
        if changed.free and fresh and not isinstance(event, driver_events.DriverReserved):
            for delivery_id in self._waiting.woken_by(changed.lat, changed.lng):
                self._wake(delivery_id, event)

    def _seen(self, event: driver_events.DriverSeen) -> None:
        """In the past, where the driver was then; in the present the pings themselves know better."""
        if not self._behind or event.lat is None or event.lng is None:
            return
        if self._fleet.move(event.driver_id, event.lat, event.lng):
            self._moved[event.driver_id] = (event.lat, event.lng)

    def _ping(self, ping: DriverLocation) -> None:
        now_ms = time.time_ns() // 1_000_000
        if ping.at_ms > now_ms + AHEAD_MS or ping.at_ms < now_ms - OLDEST_MS or (ping.lat, ping.lng) == (0, 0):
            PINGS.labels("refused").inc()
            return
        if not self._fleet.move(ping.driver_id, ping.lat, ping.lng):
            PINGS.labels("unknown_driver").inc()
            return
        PINGS.labels("taken").inc()
        self._moved[ping.driver_id] = (ping.lat, ping.lng)
        every_ms = self._rules.policy.availability.seen_every_s * 1000
        absent = self._fleet.drivers[ping.driver_id].availability == "OFFLINE"
        if absent or now_ms - self._told_alive.get(ping.driver_id, 0) >= every_ms:
            self._told_alive[ping.driver_id] = now_ms
            self._alive(ping)
        self._judge(ping)

    def _judge(self, ping: DriverLocation) -> None:
        held = self._approaches.get(ping.driver_id, {})
        for offer_id, approach in list(held.items()):
            far_m = distance_m(ping.lat, ping.lng, approach.pickup_lat, approach.pickup_lng)
            held[offer_id], astray = moved(approach, far_m, ping.at_ms, self._rules.policy.reassignment)
            if astray:
                del held[offer_id]
                self._reassign(approach, ping, astray)

    def _alive(self, ping: DriverLocation) -> None:
        command = driver_commands.SeenAlive(
            command_id=identity.command_id(ping.driver_id, f"seen {ping.at_ms}"),
            driver_id=ping.driver_id,
            at_ms=ping.at_ms,
            actor_type="driver",
            actor_id=ping.driver_id,
            correlation_id=ping.driver_id,
            lat=ping.lat,
            lng=ping.lng,
            seen_at_ms=ping.at_ms,
        )
        self._send(topics.DRIVER_COMMANDS, ping.driver_id, command)

    def _wake(self, delivery_id: str, event: Any) -> None:
        command = delivery_commands.SearchAgain(
            command_id=identity.command_id(event.event_id, f"wake {delivery_id}"),
            delivery_id=delivery_id,
            at_ms=event.at_ms,
            actor_type="system",
            actor_id="wake-up",
            correlation_id=delivery_id,
            driver_id=event.driver_id,
        )
        self._send(topics.DELIVERY_COMMANDS, delivery_id, command)

    def _reassign(self, approach: Approach, ping: DriverLocation, why: str) -> None:
        command = delivery_commands.ReassignDelivery(
            command_id=identity.command_id(approach.offer_id, f"astray {ping.at_ms}"),
            delivery_id=approach.delivery_id,
            at_ms=ping.at_ms,
            actor_type="system",
            actor_id="approach",
            correlation_id=approach.delivery_id,
            offer_id=approach.offer_id,
            reason="driver_distance_too_far",
            note=why,
        )
        self._send(topics.DELIVERY_COMMANDS, approach.delivery_id, command)

    def _send(self, topic: topics.Topic, key: str, command: Any) -> None:
        self._producer.produce(self._namespace + topic.name, codec.encode(command), key.encode())

    def _write_index(self) -> None:
        """What changed since the last round; everything, when the server lost it."""
        try:
            if time.monotonic() - self._checked > _CHECK_EVERY_S:
                self._checked = time.monotonic()
                if not self._index.marked():
                    self._refill()
            changed, places = list(self._changed.values()), self._moved
            if changed:
                self._index.put(changed)
            if places:
                self._index.move([(name, lat, lng) for name, (lat, lng) in places.items()])
            self._changed, self._moved = {}, {}
            self._index_state = "up"
        except IndexUnavailable as error:
            if self._index_state == "up":
                logger.warning("index_unreachable", reason=str(error))
            self._index_state = str(error)
            self._checked = 0.0

    def _refill(self) -> None:
        began = time.monotonic()
        self._index.begin()
        drivers = list(self._fleet.drivers.values())
        for at in range(0, len(drivers), 1_000):
            self._index.put(drivers[at : at + 1_000])
        self._index.mark()
        logger.info("index_rebuilt", drivers=len(drivers), seconds=round(time.monotonic() - began, 3))

    def _set_aside(self, message: Consumed, wrong: ContractError) -> None:
        value = message.value()
        letter = DeadLetter(
            source_topic=message.topic() or "",
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            key=message.key(),
            value=value[:262_144] if value is not None else None,
            value_bytes=len(value or b""),
            error=type(wrong).__name__,
            reason=wrong.reason[:1000],
            place=wrong.place[:200],
            at_ms=time.time_ns() // 1_000_000,
            worker="streams",
        )
        logger.error("poison", topic=message.topic(), partition=message.partition(), offset=message.offset(),
                     reason=wrong.reason)  # fmt: skip
        self._send(topics.DEAD_LETTERS, message.topic() or "", letter)


def run(settings: Settings, stop: threading.Event) -> None:
    """The streams process."""
    rules = Rules()
    follower = RulesFollower(settings.kafka, settings.namespace, rules)
    follower.start()
    index = ValkeyIndex(settings.valkey, settings.namespace, timeout_ms=1_000)
    feed = GeoFeed(settings, rules, index)
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
        health.stop()
        follower.stop()
        index.close()
