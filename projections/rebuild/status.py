"""How far the projector is in each topic, and where the log ends."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition

from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.reading import watermarks
from projections.lane import FOLLOWED
from projections.rebuild.acts import Where


@dataclass(frozen=True, slots=True)
class Standing:
    """A topic: sums over its partitions, and how long ago the last batch of one of them was written."""

    topic: str
    partitions: int
    folded: int
    end: int
    behind: int
    seconds_ago: float | None

    def told(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def standing(where: Where) -> list[Standing]:
    """Of all topics that are followed. Raises psycopg.Error, KafkaException."""
    with psycopg.connect(where.dsn, connect_timeout=3, autocommit=True) as connection:
        rows = connection.execute("SELECT topic, partition, next_offset, read_at FROM projection_offsets").fetchall()
    known: dict[tuple[str, int], tuple[int, datetime | None]] = {(row[0], row[1]): (row[2], row[3]) for row in rows}
    consumer = Consumer({**kafka_client(where.brokers, "rebuild-status"), "group.id": UNCOMMITTED})
    try:
        there = consumer.list_topics(timeout=10).topics
        found = []
        for name in sorted(where.namespace + topic.name for topic in FOLLOWED):
            numbers = sorted(there[name].partitions) if name in there else []
            found.append(_of_topic(consumer, name, numbers, known))
    finally:
        consumer.close()
    return found


def _of_topic(
    consumer: Consumer, name: str, numbers: list[int], known: dict[tuple[str, int], tuple[int, datetime | None]]
) -> Standing:
    folded = end = behind = 0
    last: datetime | None = None
    for number in numbers:
        low, high = watermarks(consumer, TopicPartition(name, number))
        at, read_at = known.get((name, number), (0, None))
        folded, end = folded + at, end + high
        behind += max(high - max(at, low), 0)
        if read_at is not None and (last is None or read_at > last):
            last = read_at
    ago = (datetime.now(UTC) - last).total_seconds() if last is not None else None
    return Standing(name, len(numbers), folded, end, behind, ago)
