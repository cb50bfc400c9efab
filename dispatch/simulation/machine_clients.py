"""A process's way to the simulated world: what the host's `Clients` are in it."""

from pathlib import Path
from typing import Any, Protocol, cast

from confluent_kafka import Consumer, Producer

from dispatch.log.journal import JournalFile
from dispatch.log.lag import Lags
from dispatch.simulation.broker import Broker
from dispatch.simulation.consumer import SimulatedConsumer
from dispatch.simulation.loop import SECOND_US
from dispatch.simulation.machine import Machine
from dispatch.simulation.producer import SimulatedProducer


class _Silent(Lags):
    """How far behind a consumer is: for metrics, and no decision rests on it."""

    def note(self, name: str, consumer: Consumer) -> None:
        """Nobody asks."""

    def forget(self, consumer: Consumer) -> None:
        """Nothing was noted."""


LAGS = _Silent()


class Disk(Protocol):
    """The slot's machine, whose files outlive the process."""

    files: dict[int, bytes]


class KeptFile:
    """The journal."""

    def __init__(self, machine: Machine, disk: Disk, slot: int) -> None:
        self._machine, self._disk, self._slot = machine, disk, slot

    def read(self) -> bytes:
        """What the last process left."""
        return self._disk.files.get(self._slot, b"")

    def write(self, data: bytes) -> None:
        """What is behind stays, as in a file; who is dead writes nothing."""
        if not self._machine.is_dead:
            self._disk.files[self._slot] = data + self.read()[len(data) :]

    def close(self) -> None:
        """It stays."""


class MachineClients:
    """Simulated clients of one process, all of which are known, so that what happens to it happens to them."""

    lags: Lags = LAGS

    def __init__(self, machine: Machine, broker: Broker, disk: Disk, slot: int) -> None:
        self._machine, self._broker, self._disk, self._slot = machine, broker, disk, slot
        self.consumers: list[SimulatedConsumer] = []
        self.producers: list[SimulatedProducer] = []

    def consumer(self, settings: dict[str, Any]) -> Consumer:
        """A simulated one."""
        made = SimulatedConsumer(self._machine, self._broker, settings)
        self.consumers.append(made)
        return cast(Consumer, made)

    def producer(self, settings: dict[str, Any]) -> Producer:
        """A simulated one."""
        made = SimulatedProducer(self._machine, self._broker, settings)
        self.producers.append(made)
        return cast(Producer, made)

    def journal(self, path: Path | None) -> JournalFile | None:
        """The slot's."""
        return KeptFile(self._machine, self._disk, self._slot) if path is not None else None

    def monotonic(self) -> float:
        """Since the beginning."""
        return self._machine.loop.now_us / SECOND_US

    def sleep(self, seconds: float) -> None:
        """Lets virtual time pass."""
        self._machine.sleep(round(seconds * SECOND_US))
