"""The host's settings, with the reason of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.envelope import WRITTEN

_SESSION_MS = 6_000
"""A worker that is gone for longer loses its partitions; one that is back before keeps them without a rebalance."""
_TRANSACTION_MS = 5_000
"""Below the session: an abandoned transaction ends before the partitions move."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """One worker. The slot is its identity: a process that restarts in it takes up where the last one was."""

    brokers: str
    group: str
    slot: int = 0
    batch_limit: int = 2_000
    """Commands in one transaction; with some 80 us each, it stays open for less than 200 ms."""
    batch_bytes: int = 8_000_000
    """Bytes of commands after which a transaction takes no more: large ones must not keep it open for long."""
    idle_s: float = 0.1
    """So long a turn waits for a record when there is none; whoever stops the worker waits as long."""
    journal: Path | None = None
    """File that remembers the batch in hand, to find a record that kills the process. None: not remembered."""
    state_format: int = WRITTEN
    """Of the states written: the older until all workers read the newer, so that an update can go back."""

    @property
    def identity(self) -> str:
        """group.instance.id, and what transactional.id begins with."""
        return f"{self.group}-{self.slot}"

    def consumer(self) -> dict[str, Any]:
        """Classic protocol and range, so that partition n of every topic goes to the same worker."""
        return {
            **kafka_client(self.brokers, self.identity),
            "group.id": self.group,
            "group.instance.id": self.identity,
            "partition.assignment.strategy": "range",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "session.timeout.ms": _SESSION_MS,
            "heartbeat.interval.ms": _SESSION_MS // 6,
            "fetch.wait.max.ms": 100,
            "fetch.error.backoff.ms": 100,
            "queued.min.messages": 5_000,
            "reconnect.backoff.max.ms": 1_000,
        }

    def producers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Two that take turns. The partitioner is Java's, so that any client finds the same partition for a key."""
        settings = {
            **kafka_client(self.brokers, self.identity),
            "transaction.timeout.ms": _TRANSACTION_MS,
            "partitioner": "murmur2_random",
            "linger.ms": 1,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 262_144,
            "message.max.bytes": 4_194_304,
            "reconnect.backoff.max.ms": 1_000,
        }
        return (
            settings | {"transactional.id": f"{self.identity}.a"},
            settings | {"transactional.id": f"{self.identity}.b"},
        )

    def reader(self) -> dict[str, Any]:
        """For restoring: assigned, never committed."""
        return {
            **kafka_client(self.brokers, self.identity),
            "group.id": UNCOMMITTED,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "queued.min.messages": 100_000,
        }

    def asker(self) -> dict[str, Any]:
        """For watermarks: read_uncommitted, or the client answers with the last stable offset in place of the end."""
        return self.reader() | {"isolation.level": "read_uncommitted"}
