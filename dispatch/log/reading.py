"""Reading whole topics, up to what is there now."""

import time
from collections.abc import Iterator, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from dispatch.log.application import Record
from dispatch.log.connecting import UNCOMMITTED, kafka_client

_TRIES = 20


def read_all(brokers: str, topics: Sequence[str], *, committed: bool = True) -> Iterator[Record]:
    """Every record of the topics from the beginning up to the present end, in no order between partitions.

    All ends are asked for before anything is read: what is written meanwhile is left out everywhere.
    """
    consumer = Consumer(
        {
            **kafka_client(brokers, "reader"),
            "group.id": UNCOMMITTED,
            "enable.auto.commit": False,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        known = consumer.list_topics(timeout=30).topics
        places = [TopicPartition(topic, number, 0) for topic in topics for number in known[topic].partitions]
        ends: dict[tuple[str, int], int] = {}
        for place in places:
            low, high = watermarks(consumer, place)
            if high > low:
                ends[place.topic, place.partition] = high
        left = set(ends)
        consumer.assign([place for place in places if (place.topic, place.partition) in left])
        while left:
            for message in at_hand(consumer, 5_000, 0.1):
                error, read = message.error(), (message.topic() or "", message.partition() or 0)
                if error is None:
                    record = record_of(message)
                    if record.offset < ends[read]:
                        yield record
                    if record.offset + 1 >= ends[read]:
                        left.discard(read)
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(read)
                elif error.fatal():
                    raise KafkaException(error)
    finally:
        consumer.close()


def at_hand(consumer: Consumer, most: int, wait_s: float) -> list[Message]:
    """What is there, waiting for the first message alone: `consume` waits on for all that it was asked for."""
    first = consumer.poll(wait_s)
    return [] if first is None else [first, *consumer.consume(most - 1, 0)]


def watermarks(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First and next offset. A partition just created or moved has no leader for a moment: asked again."""
    for _ in range(_TRIES - 1):
        try:
            low, high = consumer.get_watermark_offsets(place, timeout=30)
            return low, high
        except KafkaException:
            time.sleep(0.2)
    low, high = consumer.get_watermark_offsets(place, timeout=30)
    return low, high


def record_of(message: Message) -> Record:
    """A consumed message as the host sees it."""
    stamp_ms = message.timestamp()[1]
    return Record(
        message.topic() or "", message.partition() or 0, message.offset() or 0, stamp_ms, message.key(), message.value()
    )
