"""One reader of the log a gateway, from now on: hands events, places, zones, notices and scores to those who listen.

Nobody's records are decoded but those that somebody here listens to; places are not even fetched when nobody does.
"""

import asyncio
import threading
from collections import defaultdict
from typing import Any, NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.system import DriverLocation, DriverScored, Notice, ZoneHealth
from dispatch.contract.topics import Topic
from dispatch.log import logs
from dispatch.log.reading import watermarks
from gateways.tail import tail
from gateways.tracking.streams import Waiting

HEARD: tuple[Topic, ...] = (topics.DELIVERY_EVENTS, topics.ZONE_HEALTH, topics.NOTICES, topics.DRIVER_SCORES)
"""In the order of a position's parts."""
Ends = dict[tuple[int, int], int]
"""By place in HEARD and partition the next offset."""
FOR_OPERATIONS = (
    events.UnassignedEscalated, events.DeliveryCreated, events.AssignmentStarted, events.DriverOfferSent,
    events.DriverRejected, events.OfferExpired, events.OfferWithdrawn, events.DriverAssigned,
    events.AssignmentReassigned, events.PickupStarted, events.ArrivedAtPickup, events.PickupCompleted,
    events.DeliveryStarted, events.ArrivedAtDropoff, events.DeliveryCompleted, events.DeliveryFailed,
    events.DeliveryReturned, events.DeliveryCancelled, ZoneHealth, DriverScored, Notice,
)  # fmt: skip
_SUBJECTS = frozenset(codec.subject(kind) for kind in FOR_OPERATIONS)
_GATHERED_BYTES, _GATHERED_MS = 20_000, 100
"""Waited for, so long at most: a record at a time costs ten times as much."""
logger = logs.get("gateways.tracking.feed")


class Heard(NamedTuple):
    """A record from the log, and where it stood."""

    topic: int
    partition: int
    offset: int
    record: Any


class Desk(Protocol):
    """Who hears what operations hear."""

    def listens(self) -> bool:
        """Whether somebody is there. From any thread."""
        ...

    def wants_places(self) -> bool:
        """Whether somebody looks at the map. From any thread."""
        ...

    def take(self, heard: list[Heard], ends: Ends) -> None:
        """Records in order, and how far the log was read with them."""
        ...

    def take_places(self, places: list[DriverLocation]) -> None:
        """Where drivers are."""
        ...


class Feed:
    """Between `start` and `stop`."""

    def __init__(self, brokers: str, namespace: str, desk: Desk) -> None:
        self._brokers, self._desk = brokers, desk
        self._names = [namespace + topic.name for topic in HEARD]
        self._places = namespace + topics.DRIVER_PLACES.name
        self._deliveries: defaultdict[str, set[Waiting]] = defaultdict(set)
        self._drivers: defaultdict[str, set[Waiting]] = defaultdict(set)
        self._fetched: list[TopicPartition] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self.state = "starting"

    def start(self) -> None:
        """Begins reading. Called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        self._thread.join(5)

    def follow(self, delivery_id: str, waiting: Waiting) -> None:
        """Hands it the events of a delivery from now on."""
        self._deliveries[delivery_id].add(waiting)

    def follow_driver(self, driver_id: str, waiting: Waiting) -> None:
        """Hands it a driver's places from now on."""
        self._drivers[driver_id].add(waiting)

    def leave(self, delivery_id: str, waiting: Waiting) -> None:
        """No more events of that delivery."""
        _left(self._deliveries, delivery_id, waiting)

    def leave_driver(self, driver_id: str, waiting: Waiting) -> None:
        """No more places of that driver."""
        _left(self._drivers, driver_id, waiting)

    def _run(self) -> None:
        tail(
            self._brokers, self._stopping, self._begin, self._hand_over,
            told=self._tell, between=self._fetch_wanted,
            fetch_min_bytes=_GATHERED_BYTES, fetch_wait_max_ms=_GATHERED_MS,
        )  # fmt: skip

    def _tell(self, state: str) -> None:
        self.state = state

    def _begin(self, consumer: Consumer) -> None:
        ends: Ends = {}
        places = []
        known = consumer.list_topics(timeout=5).topics
        for topic, name in enumerate(self._names):
            for number in known[name].partitions:
                place = TopicPartition(name, number)
                place.offset = ends[topic, number] = watermarks(consumer, place)[1]
                places.append(place)
        consumer.assign(places)
        self.state = "up"
        self._loop.call_soon_threadsafe(self._desk.take, [], ends)

    def _fetch_wanted(self, consumer: Consumer) -> None:
        wanted = bool(self._drivers) or self._desk.wants_places()
        if wanted != bool(self._fetched):
            self._fetched = self._fetch_places(consumer, self._fetched, wanted=wanted)

    def _fetch_places(self, consumer: Consumer, fetched: list[TopicPartition], *, wanted: bool) -> list[TopicPartition]:
        """Begins to fetch drivers' places at their present end, or stops to."""
        try:
            if not wanted:
                consumer.incremental_unassign(fetched)
                return []
            numbers = consumer.list_topics(self._places, timeout=5).topics[self._places].partitions
            places = [TopicPartition(self._places, number) for number in numbers]
            for place in places:
                place.offset = watermarks(consumer, place)[1]
            consumer.incremental_assign(places)
        except KafkaException as error:
            self.state = f"Kafka: {error}"
            return fetched
        return places

    def _hand_over(self, messages: list[Message]) -> None:
        heard: list[Heard] = []
        places: list[DriverLocation] = []
        ends: Ends = {}
        for message in messages:
            error, name = message.error(), message.topic() or ""
            if error is not None:
                self.state = error.str()
                continue
            self.state = "up"
            partition, offset = message.partition() or 0, message.offset() or 0
            topic = -1 if name == self._places else self._names.index(name)
            if topic >= 0:
                ends[topic, partition] = offset + 1
            if not self._wanted(topic, message.key(), message.value()):
                continue
            try:
                record = codec.decode(message.value())
            except ContractError as wrong:
                logger.error("poison", topic=name, partition=partition, offset=offset, reason=str(wrong))
                continue
            if isinstance(record, DriverLocation):
                places.append(record)
            else:
                heard.append(Heard(topic, partition, offset, record))
        if heard or places or ends:
            self._loop.call_soon_threadsafe(self._take, heard, places, ends)

    def _wanted(self, topic: int, key: bytes | None, value: bytes | None) -> bool:
        """Whether somebody listens to it, told from its key and head."""
        name = (key or b"").decode(errors="replace")
        if topic < 0:
            return name in self._drivers or self._desk.wants_places()
        if topic == 0 and name in self._deliveries:
            return True
        return self._desk.listens() and codec.subject_in(value) in _SUBJECTS

    def _take(self, heard: list[Heard], places: list[DriverLocation], ends: Ends) -> None:
        for one in heard:
            if one.topic == 0:
                for waiting in tuple(self._deliveries.get(one.record.delivery_id, ())):
                    waiting.put(one.record)
        for place in places:
            for waiting in tuple(self._drivers.get(place.driver_id, ())):
                waiting.put_place(place)
        self._desk.take([one for one in heard if type(one.record) in FOR_OPERATIONS], ends)
        if places:
            self._desk.take_places(places)


def _left(listeners: dict[str, set[Waiting]], name: str, waiting: Waiting) -> None:
    left = listeners.get(name)
    if left is not None:
        left.discard(waiting)
        if not left:
            del listeners[name]
