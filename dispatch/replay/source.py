"""The log in Kafka as replay reads it: one partition of a topic at a time, what is committed, to what is there now."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dispatch.contract import topics
from dispatch.contract.topics import Topic
from dispatch.log.application import Record
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.errors import Misconfigured
from dispatch.log.reach import murmur2
from dispatch.log.reading import at_hand, record_of, watermarks
from dispatch.replay.policies import Policies, published_in

_AT_ONCE = 2_000
_MOMENT_S, _WAIT_S = 0.02, 0.05
"""So long the next message is waited for."""
_OPEN_S = 30.0
"""So long an open transaction is waited for; its process ends it after 20 s."""
_READ: dict[str, Any] = {
    "group.id": UNCOMMITTED,
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": 50,
    "queued.max.messages.kbytes": 16_384,
    "log_level": 0,
}


class TopicReader:
    """Records of one partition in order. Calling it gives the next, or None at the end; later there may be more."""

    def __init__(self, log: "KafkaLog", name: str, partition: int, start: int = 0) -> None:
        """Raises KafkaException when Kafka does not answer."""
        self._log, self._place = log, (name, partition)
        self._consumer = log.consumer()
        self.low, self.end = watermarks(self._consumer, TopicPartition(name, partition))
        self.start = self.next_offset = max(start, self.low)
        self._buffer: deque[Record] = deque()
        self._at_end = False
        self._consumer.assign([TopicPartition(name, partition, self.start)])

    def __call__(self) -> Record | None:
        waited_until = 0.0
        while not self._buffer:
            self._fill()
            if not self._buffer and self._at_end:
                if self.next_offset >= self._log.high(*self._place):
                    return None
                waited_until = waited_until or time.monotonic() + _OPEN_S
                if time.monotonic() > waited_until:
                    return None
        return self._buffer.popleft()

    def now(self) -> Record | None:
        """The next record if it is here, or comes in a moment; for topics that grow."""
        if not self._buffer:
            self._fill(_MOMENT_S)
        return self._buffer.popleft() if self._buffer else None

    @property
    def behind(self) -> int:
        """Records that are there and were not given, as far as Kafka has said: no question is asked for it."""
        _, high = self._consumer.get_watermark_offsets(TopicPartition(*self._place), cached=True)
        return max(0, high - self.next_offset) + len(self._buffer)

    def upto(self, end: int) -> Iterator[Record]:
        """The records before this offset."""
        while (record := self()) is not None and record.offset < end:
            yield record

    def close(self) -> None:
        """Closes the connection."""
        self._consumer.close()

    def _fill(self, wait_s: float = _WAIT_S) -> None:
        for message in at_hand(self._consumer, _AT_ONCE, wait_s):
            error = message.error()
            if error is None:
                self._at_end = False
                self.next_offset = (message.offset() or 0) + 1
                self._buffer.append(record_of(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._at_end, self.next_offset = True, max(self.next_offset, message.offset() or 0)
            elif error.fatal() or error.code() == KafkaError.OFFSET_OUT_OF_RANGE:
                raise KafkaException(error)


class KafkaLog:
    """One namespace of one Kafka."""

    def __init__(self, brokers: str, namespace: str) -> None:
        self._brokers, self._namespace = brokers, namespace
        self._asking = Consumer({**kafka_client(brokers, "replay"), "isolation.level": "read_uncommitted", **_READ})

    def consumer(self) -> Consumer:
        """A new one, of committed records."""
        return Consumer({**kafka_client(self._brokers, "replay"), "isolation.level": "read_committed", **_READ})

    def close(self) -> None:
        """Closes the connection."""
        self._asking.close()

    def partitions(self) -> int:
        """Of decisions, and of every topic of an aggregate. Raises Misconfigured and KafkaException."""
        name = self.name(topics.DECISIONS)
        known = self._asking.list_topics(name, timeout=10).topics[name]
        if known.error is not None or not known.partitions:
            raise Misconfigured(f"Kafka at {self._brokers} has no topic {name}; `baton setup` creates it")
        return len(known.partitions)

    def partition_of(self, aggregate_id: str) -> int:
        """Where all records of an aggregate are."""
        return murmur2(aggregate_id.encode()) % self.partitions()

    def name(self, topic: Topic) -> str:
        """The topic's name in Kafka."""
        return self._namespace + topic.name

    def has(self, topic: Topic) -> bool:
        """Whether the topic is there."""
        return self.name(topic) in self._asking.list_topics(timeout=10).topics

    def reader(self, topic: Topic, partition: int, start: int = 0) -> TopicReader:
        """From this offset on."""
        return TopicReader(self, self.name(topic), partition, start)

    def offset_at(self, topic: Topic, partition: int, at_ms: int) -> int:
        """The first offset whose record is stamped then or later; the end where there is none."""
        (found,) = self._asking.offsets_for_times([TopicPartition(self.name(topic), partition, at_ms)], timeout=30)
        return found.offset if found.offset >= 0 else self.high(self.name(topic), partition)

    def high(self, name: str, partition: int) -> int:
        """The next offset, of records that are not committed too."""
        return watermarks(self._asking, TopicPartition(name, partition))[1]

    def whole(self, topic: Topic, partition: int = 0) -> Iterator[Record]:
        """All that is there now of a partition."""
        reader = self.reader(topic, partition)
        try:
            yield from reader.upto(reader.end)
        finally:
            reader.close()

    def policies(self) -> Policies:
        """Every policy that was ever in force."""
        known = self._asking.list_topics(timeout=10).topics
        wanted = [topic for topic in (topics.RULES_HISTORY, topics.POLICIES) if self.name(topic) in known]
        return Policies(published_in(record for topic in wanted for record in self.whole(topic)))
