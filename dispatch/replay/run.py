"""Verifying a log in Kafka partition by partition, with where it got to kept in a file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dispatch.contract import topics
from dispatch.replay import checkpoint
from dispatch.replay.checkpoint import Checkpoint
from dispatch.replay.policies import Policies
from dispatch.replay.report import Report
from dispatch.replay.source import KafkaLog, TopicReader
from dispatch.replay.verify import Asked, Sources, Verifier

KEPT_EVERY_S = 30.0
_TELL_EVERY = 512
_EVENTS = {"delivery": topics.DELIVERY_EVENTS, "driver": topics.DRIVER_EVENTS}


class Range(NamedTuple):
    """What is to be verified. Times are UTC milliseconds of the records; 0: open."""

    partitions: tuple[int, ...]
    from_ms: int = 0
    to_ms: int = 0
    aggregate_id: str = ""


Told = Callable[[int, float, Report], None]
"""Called now and then: the partition, the share of it that is done, what was found so far. May raise Interrupted."""


class Interrupted(Exception):
    """Stop here: where it got to is kept in the checkpoint."""


def verify(log: KafkaLog, asked: Range, file: Path, told: Told, *, resume: Checkpoint | None = None) -> Report:
    """The report over all partitions asked for. Raises KafkaException, and Interrupted when a person stops it."""
    policies = log.policies()
    report = resume.report if resume else Report()
    done = list(resume.done) if resume else []
    for partition in asked.partitions:
        if partition in done:
            continue
        here = resume if resume and resume.partition == partition else None
        _verify_partition(log, asked, partition, (policies, report, done, file), told, here)
        done.append(partition)
        try:
            told(partition, 1.0, report)
        except Interrupted:
            if len(done) < len(asked.partitions):
                checkpoint.keep(file, asked, done, report)
                raise
    file.unlink(missing_ok=True)
    return report


def _verify_partition(
    log: KafkaLog,
    asked: Range,
    partition: int,
    kept: tuple[Policies, Report, list[int], Path],
    told: Told,
    resume: Checkpoint | None,
) -> None:
    policies, report, done, file = kept
    start, end = _offsets(log, asked, partition)
    wanted = Asked(asked.from_ms, asked.to_ms or time.time_ns() // 1_000_000, _keys(log, asked, partition, start, end))
    places = resume.offsets if resume else {"decisions": start}
    readers: dict[str, TopicReader] = {"decisions": log.reader(topics.DECISIONS, partition, places["decisions"])}
    try:
        readers |= {kind: log.reader(topic, partition, places.get(kind, 0)) for kind, topic in _EVENTS.items()}
        last = min(end, readers["decisions"].end) if end >= 0 else readers["decisions"].end
        decisions = readers["decisions"].upto(last)
        sources = Sources(lambda: next(decisions, None), readers["delivery"], readers["driver"])
        verifier = Verifier(policies, sources, wanted, report)
        if resume:
            checkpoint.restore(verifier, resume)
        _run(
            verifier,
            _Pace(partition, start, last, told),
            lambda: checkpoint.keep(file, asked, done, report, (partition, verifier)),
        )
    finally:
        for reader in readers.values():
            reader.close()


class _Pace(NamedTuple):
    partition: int
    start: int
    end: int
    told: Told

    def tell(self, verifier: Verifier) -> None:
        """How far it is."""
        share = (verifier.next_offset - self.start) / max(1, self.end - self.start)
        self.told(self.partition, min(1.0, max(0.0, share)), verifier.report)


def _run(verifier: Verifier, pace: _Pace, keep: Callable[[], None]) -> None:
    begun, before = time.monotonic(), verifier.report.seconds
    kept, count = begun, 0

    def each(now: Verifier) -> None:
        nonlocal kept, count
        count += 1
        if count % _TELL_EVERY == 0:
            now.report.seconds = before + time.monotonic() - begun
            pace.tell(now)
            if time.monotonic() - kept > KEPT_EVERY_S:
                keep()
                kept = time.monotonic()

    try:
        verifier.run(each)
    except Interrupted:
        verifier.report.seconds = before + time.monotonic() - begun
        keep()
        raise
    verifier.report.seconds = before + time.monotonic() - begun


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
