"""A Kafka of one process's memory: topics, the coordinators of transactions and groups, and who reaches them."""

from collections.abc import Callable, Mapping
from random import Random

from confluent_kafka import KafkaError

from dispatch.log.application import Record
from dispatch.log.reach import murmur2
from dispatch.simulation.errors import fail
from dispatch.simulation.group import Group
from dispatch.simulation.loop import Loop
from dispatch.simulation.partition import COMMITTED, Partition
from dispatch.simulation.transactions import Transactions

Heard = Callable[[Record], None]


class Broker:
    """All partitions by topic and number. `away_until_us`: nobody is answered before."""

    def __init__(self, loop: Loop, chance: Random, topics: Mapping[str, int], start_ms: int = 0) -> None:
        self.loop, self.chance, self.start_ms = loop, chance, start_ms
        self.topics = {name: [Partition(name, number) for number in range(count)] for name, count in topics.items()}
        self.transactions = Transactions(loop, chance, lambda: self.now_ms)
        self.groups: dict[str, Group] = {}
        self.away_until_us = 0

    @property
    def now_ms(self) -> int:
        """The brokers' clock, UTC ms."""
        return self.start_ms + self.loop.now_ms

    @property
    def is_away(self) -> bool:
        """Whether nobody is answered."""
        return self.loop.now_us < self.away_until_us

    def group(self, name: str) -> Group:
        """The group of this name, made when first asked for."""
        if name not in self.groups:
            self.groups[name] = Group(name, self.loop, lambda topic: len(self.topics[topic]))
        return self.groups[name]

    def partition(self, topic: str, number: int) -> Partition:
        """Raises what a client is answered when it is not there."""
        if topic not in self.topics or not 0 <= number < len(self.topics[topic]):
            fail(KafkaError._UNKNOWN_PARTITION, f"{topic} {number} is not there")
        return self.topics[topic][number]

    def partition_of(self, topic: str, key: bytes) -> Partition:
        """Where a record of this key goes."""
        found = self.topics[topic]
        return found[murmur2(key) % len(found)]

    def send(self, topic: str, key: bytes, value: bytes | None, stamp_ms: int) -> None:
        """A record of a plain producer arrives."""
        self.partition_of(topic, key).append(key, value, stamp_ms)

    def follow(self, topic: str, heard: Heard) -> None:
        """Calls with every record of a topic as soon as a reader of committed records may see it."""
        for partition in self.topics[topic]:
            partition.watchers.append(_Follower(partition, heard).look)

    def log(self) -> list[Record]:
        """All committed records, each partition in order."""
        return [
            Record(name, partition.number, entry.offset, entry.stamp_ms, entry.key, entry.value)
            for name in sorted(self.topics)
            for partition in self.topics[name]
            for entry in partition.committed()
        ]


class _Follower:
    """Where a reader of one partition stands."""

    def __init__(self, partition: Partition, heard: Heard) -> None:
        self._partition, self._heard, self._next = partition, heard, 0

    def look(self) -> None:
        """Tells what can be seen by now."""
        partition, end = self._partition, self._partition.stable
        while self._next < end:
            entry = partition.entries[self._next]
            self._next += 1
            if entry.state == COMMITTED:
                self._heard(
                    Record(partition.topic, partition.number, entry.offset, entry.stamp_ms, entry.key, entry.value)
                )
