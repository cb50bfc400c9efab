"""Verifying a log in Kafka partition by partition, with where it got to kept in a file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dispatch.replay import checkpoint
from dispatch.replay.checkpoint import Checkpoint
from dispatch.replay.policies import Policies
from dispatch.replay.ranges import Range, opened
from dispatch.replay.report import Report
from dispatch.replay.source import KafkaLog
from dispatch.replay.verify import Verifier

KEPT_EVERY_S = 30.0
_TELL_EVERY = 512

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
        _verify_partition(log, asked, partition, _Kept(policies, report, done, file), told, here)
        done.append(partition)
        try:
            told(partition, 1.0, report)
        except Interrupted:
            if len(done) < len(asked.partitions):
                checkpoint.keep(file, asked, done, report)
                raise
    file.unlink(missing_ok=True)
    return report


class _Kept(NamedTuple):
    policies: Policies
    report: Report
    done: list[int]
    file: Path


class _Pace(NamedTuple):
    partition: int
    start: int
    end: int
    told: Told

    def tell(self, verifier: Verifier) -> None:
        """How far it is."""
        share = (verifier.next_offset - self.start) / max(1, self.end - self.start)
        self.told(self.partition, min(1.0, max(0.0, share)), verifier.report)


def _verify_partition(
    log: KafkaLog, asked: Range, partition: int, kept: _Kept, told: Told, resume: Checkpoint | None
) -> None:
    with opened(log, asked, partition, resume.offsets if resume else {}) as here:
        verifier = Verifier(kept.policies, here.sources, here.asked, kept.report)
        if resume:
            checkpoint.restore(verifier, resume)
        pace = _Pace(partition, here.start, here.end, told)
        _run(verifier, pace, lambda: checkpoint.keep(kept.file, asked, kept.done, kept.report, (partition, verifier)))


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
