"""Reads what drivers are told from the log, from some minutes back: so a new gateway can go on for others.

Every gateway reads every partition; only what is for drivers is kept, and only what somebody here wants is decoded.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from dispatch.contract import codec, registry
from dispatch.contract.errors import ContractError
from dispatch.contract.records.driver_events import DriverAvailabilityChanged, DriverBreakExtended, DriverBreakNoticed
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated, OfferEnded
from dispatch.contract.records.system import Notice
from dispatch.log import logs
from dispatch.log.reading import watermarks
from gateways.sockets.positions import HEARD
from gateways.sockets.recent import Heard
from gateways.tail import tail

BACK_S = 600
"""Read from so long ago at the start; and at least BACK_RECORDS of each partition, for quiet ones."""
BACK_RECORDS = 500
NOTICES_TOLD = (b"zone_request", b"broadcast")
"""Kinds of notices that sockets tell; an Avro string stands in the bytes as it is."""
_WATCHED = (
    OfferCreated, OfferEnded, DeliveryAssigned, AssignmentEnded, DriverAvailabilityChanged, DriverBreakExtended,
    DriverBreakNoticed, Notice,
)  # fmt: skip
_KINDS = {row.id: codec.RECORD_TYPES.get(row.subject) for row in registry.registered()}
"""By schema id, of every version ever released."""
_HEAD = 5
"""Bytes before the body: a zero, and the schema id."""
logger = logs.get("gateways.sockets.feed")
Ends = dict[tuple[int, int], int]


class Feed:
    """Hands what it reads to `take` on the event loop: records for drivers, and how far each partition was read."""

    def __init__(
        self, brokers: str, namespace: str, *, listens: Callable[[str], bool],
        begin: Callable[[Ends, int], None], take: Callable[[list[Heard], Ends], None],
    ) -> None:  # fmt: skip
        self._brokers, self._names = brokers, [namespace + topic.name for topic in HEARD]
        self._listens, self._begin, self._take = listens, begin, take
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="offers", daemon=True)
        self._behind: set[tuple[int, int]] = set()
        self._loop: asyncio.AbstractEventLoop
        self.caught_up = asyncio.Event()
        self.state = "starting"

    def start(self) -> None:
        """Begins reading. Called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        tail(self._brokers, self._stopping, self._assign, self._hand_over, told=self._tell, enable_partition_eof=True)

    def _tell(self, state: str) -> None:
        self.state = state

    def _assign(self, consumer: Consumer) -> None:
        """From BACK_S ago on. What came before is in the read models."""
        known = consumer.list_topics(timeout=5).topics
        since_ms = (time.time_ns() // 1_000_000) - BACK_S * 1000
        starts: Ends = {}
        places, behind = [], set()
        for topic, name in enumerate(self._names):
            for number in known[name].partitions:
                place = TopicPartition(name, number)
                low, high = watermarks(consumer, place)
                (found,) = consumer.offsets_for_times([TopicPartition(name, number, since_ms)], timeout=10)
                by_time = found.offset if found.offset >= 0 else high
                place.offset = max(low, min(by_time, high - BACK_RECORDS))
                starts[topic, number] = place.offset
                if place.offset < high:
                    behind.add((topic, number))
                places.append(place)
        self._behind = behind
        self._loop.call_soon_threadsafe(self._begin, starts, len(known[self._names[0]].partitions))
        consumer.assign(places)
        self._settle()

    def _settle(self) -> None:
        if not self._behind and not self.caught_up.is_set():
            self.state = "up"
            self._loop.call_soon_threadsafe(self.caught_up.set)

    def _hand_over(self, messages: list[Message]) -> None:
        heard, ends = [], {}
        for message in messages:
            error = message.error()
            topic, partition = self._names.index(message.topic() or self._names[0]), message.partition() or 0
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    self._behind.discard((topic, partition))
                    ends[topic, partition] = (message.offset() or 0) - 1  # of the log, marks of transactions included
                else:
                    self.state = error.str()
                continue
            if self.caught_up.is_set():
                self.state = "up"
            offset = message.offset()
            assert offset is not None
            ends[topic, partition] = offset
            found = self._of_driver(message, topic, partition, offset)
            if found is not None:
                heard.append(found)
        if ends:
            self._loop.call_soon_threadsafe(self._take, heard, ends)
        self._settle()

    def _of_driver(self, message: Message, topic: int, partition: int, offset: int) -> Heard | None:
        key, value = message.key() or b"", message.value() or b""
        try:
            if not for_drivers(value):
                return None
            found = Heard(topic, partition, offset, key.decode(), value)
            live = self.caught_up.is_set()
            if live and (self._listens(found.driver_id) or kind_of(value) is OfferCreated):
                found.record = codec.decode(value)  # an offer: an answer may name one told through another gateway
        except (ContractError, UnicodeDecodeError) as wrong:
            logger.error("poison", topic=message.topic(), partition=partition, offset=offset, reason=str(wrong))
            return None
        return found


def kind_of(value: bytes) -> Any:
    """The record's class, by the schema id before it; None for what is not known."""
    head = value[:_HEAD]
    return _KINDS.get(int.from_bytes(head[1:], "big")) if len(head) == _HEAD and head[0] == 0 else None


def for_drivers(value: bytes) -> bool:
    """Whether drivers are told of it, from its head alone. Raises ContractError for what is no record of ours."""
    kind = kind_of(value)
    if kind is None:
        codec.decode(value)
    if kind is Notice:
        return any(name in value for name in NOTICES_TOLD)
    return kind in _WATCHED
