"""The stream of operations: escalations, tickets, zones, scores, statuses, and drivers on the map once a second.

A message's id tells how far each partition was read, so that every gateway can go on from it: what was missed is read
from the log again. Places carry no id.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import DriverLocation, DriverScored, Notice, ZoneHealth
from dispatch.log import logs
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from gateways.problems import Problem
from gateways.reads import Reads
from gateways.tracking import words
from gateways.tracking.feed import FOR_OPERATIONS, HEARD, Ends, Heard
from gateways.tracking.streams import HEARTBEAT, Waiting, closed, message
from projections import queries_tracking as queries

HEARTBEAT_S = 9.0
PLACES_S = 1.0
"""No driver is told of more often."""
_PLACES_AT_ONCE = 1_000
_ZONES_KNOWN = 50_000
_BEHIND = 10_000
"""Records that may wait to be worded."""
_AGAIN, _AGAIN_S = 5_000, 10.0
"""Records read again for one reader, and how long that may take."""
_PART = re.compile(r"\d{1,18}(?:\.\d{1,18}){0,1023}")
logger = logs.get("gateways.tracking.desk")


@dataclass(eq=False, slots=True)
class Reader:
    """One stream of operations: what it wants, and what waits for it. `zones`: empty for all."""

    zones: frozenset[str]
    places: bool
    waiting: Waiting = field(default_factory=Waiting)
    told: Ends = field(default_factory=dict)
    """How far it was told elsewhere: another gateway may be ahead of this one."""

    def wants(self, zone: str | None, heard: Heard) -> bool:
        """Whether it is to hear of this zone; what is of no zone is for all."""
        if heard.offset < self.told.get((heard.topic, heard.partition), 0):
            return False
        return not self.zones or zone is None or zone in self.zones


def told(ends: Ends) -> str:
    """An id from positions: each topic's offsets by partition, parted by dots, topics by dashes."""
    parts: list[list[str]] = [[] for _ in HEARD]
    for (topic, _), offset in sorted(ends.items()):
        parts[topic].append(str(offset))
    return "-".join(".".join(part) for part in parts)


def positions(text: str) -> Ends | None:
    """The positions that an id names; None for what is no id."""
    parts = text.split("-")
    if len(parts) != len(HEARD) or not all(_PART.fullmatch(part) for part in parts):
        return None
    return {
        (topic, number): int(offset)
        for topic, part in enumerate(parts)
        for number, offset in enumerate(part.split("."))
    }


class Operations:
    """Words records for all readers at once, in the order they came."""

    def __init__(self, reads: Reads, brokers: str, namespace: str) -> None:
        self._reads, self._brokers = reads, brokers
        self._names = [namespace + topic.name for topic in HEARD]
        self._readers: set[Reader] = set()
        self._queue: asyncio.Queue[tuple[list[Heard], Ends]] = asyncio.Queue(_BEHIND)
        self._ends: Ends = {}
        """How far readers were told."""
        self._zones: OrderedDict[str, str] = OrderedDict()
        self._places: dict[str, DriverLocation] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """On the event loop."""
        self._tasks = [asyncio.create_task(self._word()), asyncio.create_task(self._gather())]

    async def stop(self) -> None:
        """Ends the tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def listens(self) -> bool:
        """Whether somebody reads here. From any thread."""
        return bool(self._readers)

    def wants_places(self) -> bool:
        """Whether somebody looks at the map. From any thread."""
        return any(reader.places for reader in tuple(self._readers))

    def take(self, heard: list[Heard], ends: Ends) -> None:
        """Records in order; without readers only how far the log is."""
        if not self._readers and self._queue.empty():
            self._ends.update(ends)
            return
        try:
            self._queue.put_nowait((heard, ends))
        except asyncio.QueueFull:
            for reader in self._readers:
                reader.waiting.end("gateway_too_slow")

    def take_places(self, places: list[DriverLocation]) -> None:
        """The last of each driver until the next second."""
        if self.wants_places():
            self._places.update((place.driver_id, place) for place in places)

    @property
    def knows_the_log(self) -> bool:
        """Whether it is known where the log stands."""
        return bool(self._ends)

    async def messages(self, reader: Reader, last: str, still: Callable[[], Awaitable[str]]) -> AsyncIterator[bytes]:
        """All for one reader, in wire format, beginning after the id `last`."""
        upto = dict(self._ends)
        self._readers.add(reader)
        try:
            yield message("connected", {"zones": sorted(reader.zones), "places": reader.places}, told(upto))
            if last:
                for chunk in await self._again(reader, last, upto):
                    yield chunk
            while not reader.waiting.over:
                chunks = await reader.waiting.some(HEARTBEAT_S)
                for chunk in chunks or (HEARTBEAT,):
                    yield chunk
                if reason := await still():
                    reader.waiting.end(reason)
            yield closed(reader.waiting.over)
        finally:
            self._readers.discard(reader)

    async def _word(self) -> None:
        while True:
            heard, ends = await self._queue.get()
            zones = await self._zones_of(heard)
            for one in heard:
                self._ends[one.topic, one.partition] = one.offset + 1
                for zone, name, data in _said(one, zones):
                    chunk = message(name, data, told(self._ends))
                    for reader in self._readers:
                        if reader.wants(zone, one):
                            reader.waiting.put(chunk)
            self._ends.update(ends)

    async def _gather(self) -> None:
        while True:
            await asyncio.sleep(PLACES_S)
            places, self._places = list(self._places.values()), {}
            for first in range(0, len(places), _PLACES_AT_ONCE):
                chunk = message(
                    "driver_location_updated", {"drivers": _worded(places[first : first + _PLACES_AT_ONCE])}
                )
                for reader in self._readers:
                    if reader.places:
                        reader.waiting.put(chunk)

    async def _zones_of(self, heard: list[Heard]) -> dict[str, str]:
        """The zone of each delivery named; from the read model where the log did not say it since the start."""
        wanted: set[str] = set()
        for one in heard:
            delivery_id = getattr(one.record, "delivery_id", "")
            order = getattr(one.record, "order", None)
            zone = order.zone if order is not None else getattr(one.record, "zone", "")
            if delivery_id and zone:
                self._zones[delivery_id] = zone
            elif delivery_id and delivery_id not in self._zones:
                wanted.add(delivery_id)
        if wanted:
            try:
                self._zones.update(await self._reads.ask(queries.zones_of, list(wanted)))
            except Problem as problem:
                logger.warning("postgres_unreachable", reason=problem.detail)
        found = {one.record.delivery_id: self._zones[one.record.delivery_id] for one in heard
                 if getattr(one.record, "delivery_id", "") in self._zones}  # fmt: skip
        while len(self._zones) > _ZONES_KNOWN:
            self._zones.popitem(last=False)
        return found

    async def _again(self, reader: Reader, last: str, upto: Ends) -> list[bytes]:
        """What happened after an id and before the stream began; a word of its own where that cannot be told."""
        since = positions(last)
        if since is None or set(since) != set(upto):
            return [message("resync", {"reason": "unknown_id"})]
        reader.told = since
        try:
            heard = await asyncio.to_thread(self._read_again, since, upto)
        except KafkaException as error:
            logger.warning("kafka_unreachable", reason=str(error))
            return [message("resync", {"reason": "unavailable"})]
        if heard is None:
            return [message("resync", {"reason": "too_far_behind"})]
        zones, at, chunks = await self._zones_of(heard), dict(since), []
        for one in heard:
            at[one.topic, one.partition] = one.offset + 1
            said = [(name, data) for zone, name, data in _said(one, zones) if reader.wants(zone, one)]
            chunks += [message(name, data, told(at)) for name, data in said]
        return chunks

    def _read_again(self, since: Ends, upto: Ends) -> list[Heard] | None:
        """The records between two positions; None: too many, or gone from the log. Raises KafkaException."""
        behind = {place for place, offset in upto.items() if since[place] < offset}
        if not behind:
            return []
        consumer = Consumer(
            {**kafka_client(self._brokers, "tracking"), "group.id": UNCOMMITTED,
             "enable.auto.commit": False, "enable.partition.eof": True, "isolation.level": "read_committed",
             "auto.offset.reset": "error"}
        )  # fmt: skip
        until = time.monotonic() + _AGAIN_S
        heard: list[Heard] = []
        try:
            consumer.assign([TopicPartition(self._names[topic], number, since[topic, number])
                             for topic, number in behind])  # fmt: skip
            while behind:
                if time.monotonic() > until or len(heard) > _AGAIN:
                    return None
                for found in consumer.consume(500, 0.2):
                    place = (self._names.index(found.topic() or ""), found.partition() or 0)
                    error, offset = found.error(), found.offset() or 0
                    if error is not None and error.name() != "_PARTITION_EOF":
                        return None
                    if error is not None or offset + 1 >= upto[place]:
                        behind.discard(place)
                    if error is None and offset < upto[place]:
                        heard += _decoded(place, offset, found.value())
        finally:
            consumer.close()
        return heard


def _decoded(place: tuple[int, int], offset: int, value: bytes | None) -> Iterator[Heard]:
    try:
        record = codec.decode(value)
    except ContractError:
        return  # told of when it was read first
    if type(record) in FOR_OPERATIONS:
        yield Heard(*place, offset, record)


def _said(heard: Heard, zones: dict[str, str]) -> Iterator[tuple[str | None, str, dict[str, object]]]:
    """Zone, name and data of each message that a record comes to."""
    match heard.record:
        case ZoneHealth() as health:
            data = msgspec.to_builtins(health)
            data["at"] = words.iso(data.pop("at_ms"))
            since_ms = data.pop("understaffed_since_ms")
            data["understaffed_since"] = words.iso(since_ms) if since_ms else None
            yield health.zone, "zone_health_updated", data
        case DriverScored() as scored:
            data = msgspec.to_builtins(scored)
            data["at"] = words.iso(data.pop("at_ms"))
            yield None, "driver_performance_updated", data
        case Notice(kind="support_ticket", audience="support") as notice:
            zone = zones.get(notice.delivery_id)
            yield zone, "support_ticket_created", {
                "delivery_id": notice.delivery_id, "notice_id": notice.notice_id, "level": notice.level,
                "why": notice.details.get("why", ""), "at": words.iso(notice.at_ms), "zone": zone,
            }  # fmt: skip
        case Notice():
            return
        case event:
            zone = zones.get(event.delivery_id)
            for name, data in words.for_operations(type(event).__name__, msgspec.to_builtins(event), zone):
                yield zone, name, data


def _worded(places: list[DriverLocation]) -> list[dict[str, object]]:
    return [
        {"driver_id": place.driver_id, "lat": place.lat, "lng": place.lng, "accuracy_m": place.accuracy_m or None,
         "at": words.iso(place.at_ms)}
        for place in places
    ]  # fmt: skip
