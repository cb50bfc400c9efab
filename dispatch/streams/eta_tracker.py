"""The process `eta`: learns from finished deliveries how arrivals spread, and reckons those under way anew.

What was learned goes to the compacted topic `eta.model`, a record a zone, hour or store that changed, in one
transaction with the offsets it was learned from: a restart goes on there, and nothing is learned twice. What moved by
more than `eta.tell_after_s` is told to the delivery, which decides.
"""

import threading
import time
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_commands import UpdateEta
from dispatch.contract.records.shared import Eta, Route
from dispatch.contract.records.system import DriverLocation, ModelPublished
from dispatch.core.eta import Leg, leg
from dispatch.core.policy import Policy
from dispatch.core.presence import Place, Track, judged, refused
from dispatch.core.travel import distance_m
from dispatch.inputs.arrivals import MODEL, POSITIONS, Arrivals, Cells, take_until_end
from dispatch.inputs.rules import Rules, RulesFollower
from dispatch.inputs.travel import Roads, open_roads
from dispatch.log import logs
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.health import HealthServer, Serve
from dispatch.log.lag import LAGS
from dispatch.log.reading import watermarks
from dispatch.metrics.arrivals import LEARNED, RECKONED, SENT, STALE, UNDER_WAY
from dispatch.metrics.reading import ERRORS
from dispatch.streams.eta_courses import UNUSED, Course, Courses

PUBLISH_EVERY_S = 5.0
GATHERED_BYTES, GATHERED_MS = 200_000, 100
"""The broker answers when so much is there, or so long has passed: an arrival that is told a tenth of a second later is
still told minutes ahead."""
STALE_MS = 30_000
_COUNT_EVERY_S = 1.0
_BELIEVED = ("taken", "confirmed")
_PASSED_OVER = codec.marks(UNUSED)
_FORGOTTEN_MS = 48 * 3_600_000
logger = logs.get("dispatch.streams.eta")


class EtaTracker:
    """One process. `turn` reads what is there; `publish` writes what was learned."""

    def __init__(self, settings: Settings, rules: Rules, roads: Roads) -> None:
        self._namespace, self._rules, self._roads = settings.namespace, rules, roads
        self.courses = Courses(Arrivals())
        self._tracks: dict[str, Track] = {}
        self._reckoned_ms: dict[str, int] = {}
        self._changed: dict[str, tuple[str, int]] = {}
        """By delivery why and when its arrivals changed last, among the events just read: reckoned once, after them."""
        self._behind: dict[tuple[str, int], int] = {}
        self._next: dict[str, int] = {}
        """Partition of delivery.events -> the next offset."""
        self._learned: dict[str, int] = {}
        """Up to here the model has learned."""
        self._dirty = False
        self._published = self._counted = time.monotonic()
        self._state = "starting"
        self._events = self._namespace + topics.DELIVERY_EVENTS.name
        common: dict[str, Any] = {**kafka_client(settings.kafka, "eta"), "enable.idempotence": True, "linger.ms": 1}
        self._producer = Producer({**common, "partitioner": "murmur2_random"})
        self._writer = Producer({**common, "transactional.id": f"{self._namespace}eta"})
        self._consumer = Consumer(
            {
                **kafka_client(settings.kafka, "eta"),
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
        return {"eta": self._state}

    def open(self) -> None:
        """Reads the model, then assigns every partition where it left off. Raises KafkaException."""
        self._writer.init_transactions(30)
        begin = self._read_model()
        known = self._consumer.list_topics(timeout=10).topics
        places = []
        for topic, whole in ((topics.DELIVERY_EVENTS, True), (topics.DRIVER_PLACES, False)):
            name = self._namespace + topic.name
            for number in known[name].partitions:
                place = TopicPartition(name, number)
                low, high = watermarks(self._consumer, place)
                place.offset = max(low, begin.get(str(number), low)) if whole else high
                if whole:
                    self._next[str(number)] = place.offset
                    if high > place.offset:
                        self._behind[name, number] = high
                places.append(place)
        self._consumer.assign(places)
        self._state = "reading delivery events" if self._behind else "up"

    def turn(self) -> None:
        """One round: reads, folds, sends, and now and then publishes."""
        LAGS.note("eta", self._consumer)
        first = self._consumer.poll(0.1)
        if first is not None:
            for message in (first, *self._consumer.consume(2_000, 0)):
                self._note(message)
            self._reckon_changed()
        self._producer.poll(0)
        if time.monotonic() - self._counted > _COUNT_EVERY_S:
            self._count(time.time_ns() // 1_000_000)
        if time.monotonic() - self._published > PUBLISH_EVERY_S:
            self.publish()

    def _count(self, now_ms: int) -> None:
        """How many arrivals are tracked, and how many were last reckoned too long ago."""
        self._counted = time.monotonic()
        held = [course for course in self.courses.under_way.values() if course.tracked and course.stage]
        reckoned_ms = [max(self._reckoned_ms.get(course.delivery_id, 0), course.assigned_ms) for course in held]
        UNDER_WAY.set(len(held))
        STALE.set(sum(now_ms - at_ms > STALE_MS for at_ms in reckoned_ms))

    def publish(self) -> None:
        """Writes the scopes that changed, with the offsets, in one transaction. Raises KafkaException."""
        self._published = time.monotonic()
        self.courses.forget_before(time.time_ns() // 1_000_000 - _FORGOTTEN_MS)
        if not self._dirty:
            return
        model = self.courses.arrivals.model
        gone = model.too_many()
        for scope in gone:
            model.forget(scope)
        scopes = sorted(self.courses.changed - set(gone))
        self._state = "publishing"
        self._writer.begin_transaction()
        for scope in scopes:
            self._write(Cells(scope, model.dump(scope)))
        for scope in gone:
            self._writer.produce(self._namespace + topics.ETA_MODEL.name, None, scope.encode())
        begin = dict(self._next)
        for course in self.courses.under_way.values():
            number, offset = course.place
            begin[number] = min(begin[number], offset)
        self._write(Cells(POSITIONS, positions=dict(self._next), begin=begin))
        self._writer.flush(10)
        self._writer.commit_transaction(30)
        self.courses.changed.clear()
        self._learned = dict(self._next)
        self._dirty, self._state = False, "up"
        logger.info("arrivals_learned", deliveries=model.version, scopes=len(scopes))

    def close(self) -> None:
        """Publishes, sends what is queued, closes."""
        if self._state == "up":
            self.publish()
        LAGS.forget(self._consumer)
        self._producer.flush(5)
        self._consumer.close()

    def _read_model(self) -> dict[str, int]:
        """Where to begin, by partition; empty: nothing was learned yet."""
        place = TopicPartition(self._namespace + topics.ETA_MODEL.name, 0, 0)
        end = watermarks(self._consumer, place)[1]
        self._consumer.assign([place])
        documents = take_until_end(self._consumer, self.courses.arrivals, end)
        begin: dict[str, int] = {}
        for document in documents:
            if document.scope == POSITIONS:
                self._learned, begin = dict(document.positions), dict(document.begin)
        return begin

    def _write(self, cells: Cells) -> None:
        record = ModelPublished(
            model=MODEL,
            version=self.courses.arrivals.model.version,
            at_ms=time.time_ns() // 1_000_000,
            actor_id="eta",
            document=msgspec.json.encode(cells).decode(),
        )
        self._writer.produce(self._namespace + topics.ETA_MODEL.name, codec.encode(record), cells.scope.encode())

    def _note(self, message: Message) -> None:
        place = (message.topic() or "", message.partition() or 0)
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                ERRORS.labels("kafka").inc()
                logger.warning("kafka_error", reason=error.str())
            elif place in self._behind:
                del self._behind[place]
                self._state = "reading delivery events" if self._behind else "up"
            return
        of_delivery = place[0] == self._events
        if not of_delivery and (message.key() or b"").decode(errors="replace") not in self.courses.by_driver:
            return
        value = message.value()
        if of_delivery and value is not None and value[:5] in _PASSED_OVER:
            self._advance(str(place[1]), message.offset() or 0)
            return
        try:
            record = codec.decode_checked(value)
        except ContractError as wrong:
            ERRORS.labels("unreadable").inc()
            logger.error("poison", topic=place[0], partition=place[1], offset=message.offset(), reason=wrong.reason)
            record = None
        if of_delivery:
            self._event(record, str(place[1]), message.offset() or 0)
        elif isinstance(record, DriverLocation) and not self._behind:
            self._ping(record)

    def _advance(self, number: str, offset: int) -> bool:
        """Whether this is news to the model."""
        self._next[number] = offset + 1
        learns = offset >= self._learned.get(number, 0)
        self._dirty = self._dirty or learns
        return learns

    def _event(self, event: Any, number: str, offset: int) -> None:
        if type(event) not in events.AUDIT_WORDS:
            self._next[number] = offset + 1
            return
        learns = self._advance(number, offset)
        before = self.courses.arrivals.model.version
        course = self.courses.take(event, self._rules.policy, (number, offset), learns=learns)
        if self.courses.arrivals.model.version != before:
            LEARNED.inc()
        if course is not None and not self._behind:
            why = "prep_time_changed" if isinstance(event, events.PrepTimeChanged) else "status_changed"
            self._changed[course.delivery_id] = why, event.at_ms

    def _reckon_changed(self) -> None:
        """Those whose events were just read and whose driver is still on the way."""
        for name, (why, at_ms) in self._changed.items():
            course = self.courses.under_way.get(name)
            if course is not None and course.stage:
                self._reckon(course, why, at_ms)
        self._changed.clear()

    def _ping(self, ping: DriverLocation) -> None:
        now_ms, policy = time.time_ns() // 1_000_000, self._rules.policy
        place = Place(ping.lat, ping.lng, ping.at_ms, ping.accuracy_m)
        held = self.courses.by_driver.get(ping.driver_id, set())
        if not held or refused(place, now_ms, policy.presence):
            return
        courses = [self.courses.under_way[name] for name in sorted(held)]
        track = self._tracks.get(ping.driver_id)
        if track is None:
            self._tracks[ping.driver_id] = Track(ping.lat, ping.lng, ping.at_ms, ping.at_ms)
        else:
            self._tracks[ping.driver_id], outcome = judged(track, place, courses[0].vehicle, now_ms, policy.presence)
            if outcome not in _BELIEVED:
                return
        for course in courses:
            if now_ms - self._reckoned_ms.get(course.delivery_id, 0) >= policy.eta.reckon_every_s * 1000:
                self._reckon(course, "driver_moved", now_ms)
        if len(self._tracks) > 2 * len(self.courses.by_driver) + 1_000:
            self._tracks = {name: kept for name, kept in self._tracks.items() if name in self.courses.by_driver}
            self._reckoned_ms = {name: at for name, at in self._reckoned_ms.items() if name in self.courses.under_way}

    def _reckon(self, course: Course, why: str, at_ms: int) -> None:
        policy = self._rules.policy
        self._reckoned_ms[course.delivery_id] = at_ms
        if not course.tracked:
            return
        way = self._way(course, policy, at_ms)
        RECKONED.labels(why).inc()
        if self.courses.to_tell(course, policy, at_ms, way):
            self._tell(course, self.courses.reckon(course, policy, at_ms, way), why, at_ms)

    def _way(self, course: Course, policy: Policy, at_ms: int) -> Leg | None:
        """What lies before the driver, from where they were last seen since this way began; None: not known."""
        track, order = self._tracks.get(course.driver_id), course.order
        began_ms = max((note.at_ms for note in course.notes), default=0)
        if track is None or track.at_ms < began_ms or course.stage not in ("assigned", "picked_up"):
            return None
        to = (order.pickup_lat, order.pickup_lng)
        if course.stage == "picked_up":
            to = (order.dropoff_lat, order.dropoff_lng)
        road = self._roads.one((track.lat, track.lng), to)
        straight_m = distance_m(track.lat, track.lng, *to)
        route = None
        if road is not None:
            route = Route(distance_m=round(road.distance_m), travel_s=round(road.car_s), source=road.source)
        return leg(straight_m, course.vehicle, policy, at_ms, route)

    def _tell(self, course: Course, eta: Eta, why: str, at_ms: int) -> None:
        course.told = eta
        command = UpdateEta(
            command_id=identity.command_id(course.offer_id, f"eta {why} {at_ms}"),
            delivery_id=course.delivery_id,
            at_ms=at_ms,
            actor_type="system",
            actor_id="eta",
            correlation_id=course.delivery_id,
            offer_id=course.offer_id,
            driver_id=course.driver_id,
            eta=eta,
            why=why,
        )
        topic = self._namespace + topics.DELIVERY_COMMANDS.name
        self._producer.produce(topic, codec.encode(command), course.delivery_id.encode())
        SENT.inc()


def run(settings: Settings, stop: threading.Event, health: Serve = HealthServer) -> None:
    """The process. Raises KafkaException when another has taken its place."""
    rules = Rules()
    follower = RulesFollower(settings.kafka, settings.namespace, rules)
    follower.start()
    roads = open_roads(settings)
    tracker = EtaTracker(settings, rules, roads)
    page = health(settings.health_port, tracker.parts)
    logger.info("started", process="eta")
    try:
        _opened(tracker, stop)
        while not stop.is_set():
            tracker.turn()
    finally:
        tracker.close()
        page.stop()
        follower.stop()
        roads.close()


def _opened(tracker: EtaTracker, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            tracker.open()
            return
        except KafkaException as error:
            logger.warning("kafka_unreachable", reason=str(error))
            stop.wait(0.5)
