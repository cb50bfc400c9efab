"""Which part of a log is read, and the topics of one partition opened for it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple

from dispatch.contract import topics
from dispatch.replay.source import KafkaLog, TopicReader
from dispatch.replay.verify import Asked, Sources
from dispatch.replay.walking import Step, walk

_EVENTS = {"delivery": topics.DELIVERY_EVENTS, "driver": topics.DRIVER_EVENTS}
_NOWHERE: Mapping[str, int] = MappingProxyType({})


class Range(NamedTuple):
    """What is to be read. Times are UTC milliseconds of the records; 0: open."""

    partitions: tuple[int, ...]
    from_ms: int = 0
    to_ms: int = 0
    aggregate_id: str = ""


class Opened(NamedTuple):
    """One partition."""

    sources: Sources
    asked: Asked
    start: int
    """Of its decisions."""
    end: int


@contextmanager
def opened(log: KafkaLog, asked: Range, partition: int, places: Mapping[str, int] = _NOWHERE) -> Iterator[Opened]:
    """The three topics of a partition, from these offsets or from where the range begins."""
    start, end = _offsets(log, asked, partition)
    wanted = Asked(asked.from_ms, asked.to_ms or time.time_ns() // 1_000_000, _keys(log, asked, partition, start, end))
    readers: dict[str, TopicReader] = {}
    try:
        first = readers["decisions"] = log.reader(topics.DECISIONS, partition, places.get("decisions", start))
        readers |= {kind: log.reader(topic, partition, places.get(kind, 0)) for kind, topic in _EVENTS.items()}
        last = min(end, first.end) if end >= 0 else first.end
        decisions = first.upto(last)
        sources = Sources(lambda: next(decisions, None), readers["delivery"], readers["driver"])
        yield Opened(sources, wanted, start, last)
    finally:
        for reader in readers.values():
            reader.close()


def steps(log: KafkaLog, asked: Range, passed_over: Callable[[str], None]) -> Iterator[Step]:
    """Every decision of the range, partition by partition."""
    for partition in asked.partitions:
        with opened(log, asked, partition) as here:
            yield from walk(here.sources, here.asked, passed_over)


def _offsets(log: KafkaLog, asked: Range, partition: int) -> tuple[int, int]:
    """First decision, and the one after the last; -1: as many as there are."""
    start = log.offset_at(topics.DECISIONS, partition, asked.from_ms) if asked.from_ms else 0
    return start, log.offset_at(topics.DECISIONS, partition, asked.to_ms) if asked.to_ms else -1


def _keys(log: KafkaLog, asked: Range, partition: int, start: int, end: int) -> frozenset[bytes] | None:
    """The aggregates of a range that begins late: of no others the events from before are folded."""
    if asked.aggregate_id:
        return frozenset([asked.aggregate_id.encode()])
    if not asked.from_ms:
        return None
    reader = log.reader(topics.DECISIONS, partition, start)
    try:
        last = min(end, reader.end) if end >= 0 else reader.end
        return frozenset(record.key or b"" for record in reader.upto(last))
    finally:
        reader.close()
