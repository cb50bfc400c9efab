"""Publishes how the zones are doing, tells operations of alerts, and asks drivers to come to a zone.

A thread of the streams process with a consumer of its own. Driver events are read whole, delivery events as far back as
an order may be old, so that a restart counts what was counted before; of places the last two minutes, of zone.health
the last one, for the alerts.
"""

import threading
import time
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Consumed

from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_events, driver_events
from dispatch.contract.records.system import (
    BroadcastRequested,
    DriverLocation,
    Notice,
    ZoneDriversRequested,
    ZoneHealth,
)
from dispatch.core.travel import distance_m
from dispatch.inputs.rules import Rules
from dispatch.inputs.zones import ZoneBoard
from dispatch.log import logs
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.lag import LAGS
from dispatch.log.reading import watermarks
from dispatch.metrics.streams import ZONES_FAILED
from dispatch.streams.zone_figures import ZoneFigures
from dispatch.streams.zone_health import FOLDED, Change, ZonesLive

EVERY_S, AGAIN_S = 1.0, 3.0
"""Counted so often; published when changed, and unchanged after so long."""
PLACES_MS = 120_000
"""Pings are read from so far back: while they come, a driver's events tell the place once a minute."""
FRESH_MS = 60_000
"""An older request for drivers is not carried out any more: it only counts for the limit."""
ON_SHIFT = ("AVAILABLE", "BUSY", "ON_BREAK")
"""Whom a broadcast reaches."""
SETTLED_MS = 1_000
"""What is asked for is carried out after so long: topics keep no order between them."""
_AGAIN_AFTER_S = 2.0
_PASSED_OVER = codec.marks({*delivery_events.AUDIT_WORDS, *driver_events.AUDIT_WORDS} - {*FOLDED})
"""Of events that are not folded: not even decoded."""
_Asked = TypeVar("_Asked", ZoneDriversRequested, BroadcastRequested)
logger = logs.get("dispatch.streams.zone_feed")


class ZoneFeed:
    """One thread: `start`, `stop`."""

    def __init__(self, settings: Settings, rules: Rules, board: ZoneBoard) -> None:
        self._settings, self._rules, self._board = settings, rules, board
        self._live, self._figures = ZonesLive(), ZoneFigures()
        self._places: dict[bytes, Consumed] = {}
        """By driver the last ping that is not counted yet."""
        self._behind: set[tuple[str, int]] = set()
        self._published: dict[str, ZoneHealth] = {}
        self._requested: dict[str, int] = {}
        self._broadcasts: list[BroadcastRequested] = []
        self._asked: list[ZoneDriversRequested] = []
        self._counted = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zone-feed", daemon=True)
        self._producer = Producer(
            {**kafka_client(settings.kafka, "zone-feed"), "enable.idempotence": True, "linger.ms": 5,
             "partitioner": "murmur2_random"}
        )  # fmt: skip

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, and sends what is queued."""
        self._stop.set()
        self._thread.join()
        self._producer.flush(5)

    def _run(self) -> None:
        """Whatever fails, all is read anew a moment later: nothing is kept that cannot be rebuilt."""
        while not self._stop.is_set():
            self._live, self._published, self._places = ZonesLive(), {}, {}
            self._broadcasts, self._asked, self._requested = [], [], {}
            consumer = self._consumer()
            try:
                self._open(consumer)
                while not self._stop.is_set():
                    self._turn(consumer)
            except Exception as error:  # noqa: BLE001 - told and counted; all is read anew
                ZONES_FAILED.inc()
                logger.warning("zone_health_failing", reason=repr(error))
                self._stop.wait(_AGAIN_AFTER_S)
            finally:
                LAGS.forget(consumer)
                consumer.close()

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                **kafka_client(self._settings.kafka, "zone-feed"),
                "group.id": UNCOMMITTED,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.min.bytes": 100_000,
                "fetch.wait.max.ms": 250,
                "reconnect.backoff.max.ms": 1_000,
            }
        )

    def _open(self, consumer: Consumer) -> None:
        known = consumer.list_topics(timeout=10).topics
        now_ms = time.time_ns() // 1_000_000
        oldest_ms = now_ms - round(self._rules.policy.order.stale_after_s * 1000)
        wanted = (
            (topics.DRIVER_EVENTS, 0), (topics.DELIVERY_EVENTS, oldest_ms), (topics.ZONE_HEALTH, now_ms - FRESH_MS),
            (topics.ZONE_REQUESTS, 0), (topics.DRIVER_PLACES, now_ms - PLACES_MS),
        )  # fmt: skip
        places, self._behind = [], set()
        for topic, since_ms in wanted:
            name = self._settings.namespace + topic.name
            for number in known[name].partitions:
                place = TopicPartition(name, number)
                low, high = watermarks(consumer, place)
                place.offset = low
                if since_ms:
                    (found,) = consumer.offsets_for_times([TopicPartition(name, number, since_ms)], timeout=10)
                    place.offset = found.offset if found.offset >= 0 else high
                if place.offset < high:
                    self._behind.add((name, number))
                places.append(place)
        consumer.assign(places)

    def _turn(self, consumer: Consumer) -> None:
        LAGS.note("zone_health", consumer)
        pings = self._places
        locations = self._settings.namespace + topics.DRIVER_PLACES.name
        for message in consumer.consume(2_000, 0.25):
            if (error := message.error()) is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    self._behind.discard((message.topic() or "", message.partition() or 0))
                elif error.fatal():
                    raise KafkaException(error)
            elif message.topic() == locations:
                pings[message.key() or b""] = message  # of a burst of pings the last is enough
            elif (message.value() or b"")[:5] not in _PASSED_OVER:
                self._note(message)
        if not self._behind:  # a place is of use once its driver is known
            for message in pings.values():
                self._note(message)
            pings.clear()
        self._producer.poll(0)
        if not self._behind and time.monotonic() - self._counted >= EVERY_S:
            self._counted = time.monotonic()
            self._publish(time.time_ns() // 1_000_000)
            self._carry_out(time.time_ns() // 1_000_000)

    def _note(self, message: Consumed) -> None:
        try:
            record = codec.decode_checked(message.value())
        except ContractError as wrong:
            logger.error("poison", topic=message.topic(), partition=message.partition(), offset=message.offset(),
                         reason=wrong.reason)  # fmt: skip
            return
        if isinstance(record, DriverLocation):
            self._live.moved(record.driver_id, record.lat, record.lng, record.at_ms)
        elif type(record) in driver_events.AUDIT_WORDS:
            self._live.driver_event(record)
        elif type(record) in delivery_events.AUDIT_WORDS:
            self._live.delivery_event(record)
        elif isinstance(record, ZoneHealth) and not self._published:
            self._live.recall(record)
        elif isinstance(record, ZoneDriversRequested):
            self._asked.append(record)
        elif isinstance(record, BroadcastRequested):
            self._broadcasts.append(record)

    def _publish(self, now_ms: int) -> None:
        policy = self._rules.policy.zones
        healths, changes = self._live.healths(self._board.table, policy, now_ms)
        self._figures.show(healths)
        for change in changes:  # before the record that says so: a crash in between tells it twice rather than never
            self._send(topics.NOTICES, change.health.zone, alert_notice(change))
        for health in healths:
            before = self._published.get(health.zone)
            if before is None or now_ms - before.at_ms >= AGAIN_S * 1000 or _says_else(before, health):
                self._published[health.zone] = health
                self._send(topics.ZONE_HEALTH, health.zone, health)

    def _asked_for(self, request: ZoneDriversRequested) -> None:
        """Drivers near by are asked once in a while; a request that comes too early is passed over."""
        policy = self._rules.policy.zones
        if request.at_ms - self._requested.get(request.zone, 0) < policy.request_every_s * 1000:
            return
        self._requested[request.zone] = request.at_ms
        zone = self._board.table.zones.get(request.zone)
        if zone is None or time.time_ns() // 1_000_000 - request.at_ms > FRESH_MS:
            return
        middle = zone.shape.representative_point()
        near = sorted(
            (far_m, driver.driver_id)
            for driver in self._live.drivers.values()
            if driver.availability == "AVAILABLE" and driver.zones.get(request.zone) != "UNAVAILABLE"
            and (far_m := distance_m(middle.y, middle.x, driver.lat, driver.lng)) <= policy.request_radius_m
        )  # fmt: skip
        for _, driver_id in near[: policy.request_most]:
            notice = Notice(
                notice_id=identity.command_id(request.request_id, f"come {driver_id}"),
                audience="driver",
                kind="zone_request",
                driver_id=driver_id,
                at_ms=request.at_ms,
                details={"zone": zone.name, "zone_id": request.zone, "note": request.note},
            )
            self._send(topics.NOTICES, driver_id, notice)

    def _carry_out(self, now_ms: int) -> None:
        """What was asked for a moment ago: by then what drivers did before it was read, too, and the zone is known."""
        asked, self._asked = self._due(self._asked, now_ms)
        for request in asked:
            self._asked_for(request)
        broadcasts, self._broadcasts = self._due(self._broadcasts, now_ms)
        for broadcast in broadcasts:
            if now_ms - broadcast.at_ms <= FRESH_MS:
                self._tell_all(broadcast)

    def _due(self, requests: list[_Asked], now_ms: int) -> tuple[list[_Asked], list[_Asked]]:
        """What is to be carried out, and what waits."""
        due, waiting = list[_Asked](), list[_Asked]()
        for request in requests:
            there = not request.zone or request.zone in self._board.table.zones
            (waiting if now_ms - request.at_ms < (SETTLED_MS if there else FRESH_MS) else due).append(request)
        return due, waiting

    def _tell_all(self, request: BroadcastRequested) -> None:
        """Every driver on their shift is told, or those in the zone. The ids of the notices follow from the request."""
        table = self._board.table
        for driver in list(self._live.drivers.values()):
            if driver.availability not in ON_SHIFT:
                continue
            if request.zone and table.at(driver.lat, driver.lng) != request.zone:
                continue
            notice = Notice(
                notice_id=identity.command_id(request.broadcast_id, f"broadcast {driver.driver_id}"),
                audience="driver",
                kind="broadcast",
                driver_id=driver.driver_id,
                at_ms=request.at_ms,
                details={"broadcast_id": request.broadcast_id, "zone_id": request.zone, "text": request.text},
            )
            self._send(topics.NOTICES, driver.driver_id, notice)

    def _send(self, topic: topics.Topic, key: str, record: Any) -> None:
        self._producer.produce(self._settings.namespace + topic.name, codec.encode(record), key.encode())


def alert_notice(change: Change) -> Notice:
    """What operations are told; the same alert makes the same notice, whoever tells it."""
    health = change.health
    kind = "zone_understaffed" if change.began else "zone_staffed"
    return Notice(
        notice_id=identity.derived(health.zone, kind, str(health.at_ms)),
        audience="operations",
        kind=kind,
        at_ms=health.at_ms,
        details={
            "zone": health.zone,
            "online": str(health.drivers_online),
            "minimum": str(health.min_drivers_online),
            "open_searches": str(health.open_searches),
        },
    )


def _says_else(before: ZoneHealth, now: ZoneHealth) -> bool:
    """Whether more changed than the time and what only grows older."""
    return any(
        getattr(before, name) != getattr(now, name)
        for name in before.__struct_fields__
        if name not in ("at_ms", "oldest_search_s")
    )
