"""What the host reaches the world by: Kafka's clients, the machine's clock, waiting, the journal's file.

`KAFKA` is the real one, of confluent_kafka. A simulation gives its own, and the host runs on it unchanged.
"""

import time
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import Consumer, Producer

from dispatch.log.journal import FileOfJournal, JournalFile
from dispatch.log.lag import LAGS, Lags


class Stop(Protocol):
    """Tells when to end, as threading.Event does."""

    def is_set(self) -> bool:
        """Whether it is time."""

    def wait(self, timeout: float | None = None) -> bool:
        """Waits so many seconds, or until it is time."""


class Clients(Protocol):
    """One process's way to the world."""

    lags: Lags

    def consumer(self, settings: dict[str, Any]) -> Consumer:
        """A consumer with these settings of librdkafka."""

    def producer(self, settings: dict[str, Any]) -> Producer:
        """A producer with these settings of librdkafka."""

    def journal(self, path: Path | None) -> JournalFile | None:
        """The file at this path; None: nothing is kept."""

    def monotonic(self) -> float:
        """Seconds since some moment; never runs backwards."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class KafkaClients:
    """confluent_kafka and this machine."""

    lags = LAGS

    def consumer(self, settings: dict[str, Any]) -> Consumer:
        """A consumer, not yet subscribed."""
        return Consumer(settings)

    def producer(self, settings: dict[str, Any]) -> Producer:
        """A producer."""
        return Producer(settings)

    def journal(self, path: Path | None) -> JournalFile | None:
        """The file, made if it is not there."""
        return FileOfJournal(path) if path is not None else None

    def monotonic(self) -> float:
        """The machine's own."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Lets the thread rest."""
        time.sleep(seconds)


KAFKA = KafkaClients()
