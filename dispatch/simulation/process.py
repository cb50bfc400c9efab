"""Worker processes: the real host with the real application, each a task of the loop, and who restarts them.

The probe of the host and every call of a client is a point at which a fault that waits for it may strike.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random

from confluent_kafka import KafkaException
from greenlet import GreenletExit

from dispatch.log.errors import Fenced
from dispatch.log.settings import HostSettings
from dispatch.log.worker import Application, Worker
from dispatch.processors.service import HANGS_AFTER_S
from dispatch.simulation.broker import Broker
from dispatch.simulation.faults import Fault
from dispatch.simulation.loop import MS_US, SECOND_US, Task
from dispatch.simulation.machine_clients import MachineClients
from dispatch.simulation.story import Story


class _Stop:
    """The process's order to end."""

    def __init__(self, process: "Process") -> None:
        self._process = process

    def is_set(self) -> bool:
        """Whether the supervisor asked for it."""
        return self._process.is_stopping or self._process.is_dead

    def wait(self, timeout: float | None = None) -> bool:
        """Lets time pass."""
        self._process.sleep(round((timeout or 0) * 1_000_000))
        return self.is_set()


class Process:
    """One process of a slot; a `Machine` to its clients."""

    def __init__(self, supervisor: "Supervisor", slot: int, number: int) -> None:
        self.supervisor, self.slot, self.number = supervisor, slot, number
        self.name = f"worker-{slot}" + (f"'{number}" if number else "")
        self.loop, self.broker = supervisor.broker.loop, supervisor.broker
        self.chance = Random(f"{supervisor.seed} process {slot} {number}")
        self.is_dead = self.is_stopping = self.is_cut = False
        self.back_after_ms = 1_000
        """When it ends by itself; -1: it is not wanted any more."""
        self.waiting: list[Fault] = []
        self.clients = MachineClients(self, self.broker, supervisor, slot)
        self._task = Task(self.loop, self._run)
        self.worker: Worker | None = None

    # Machine

    def sleep(self, wait_us: int) -> None:
        """Lets time pass."""
        if not self.is_dead:
            self._task.sleep(wait_us)

    def wait(self, wait_us: int) -> None:
        """Lets time pass until woken."""
        if not self.is_dead:
            self._task.wait(wait_us)

    def wake(self, wait_us: int) -> None:
        """What waits goes on."""
        self._task.wake(wait_us)

    def clock_ms(self) -> int:
        """The machine's clock."""
        return self.broker.now_ms + self.supervisor.skews_ms.get(self.slot, 0)

    def point(self, step: str) -> tuple[str, int] | None:
        """Lets the faults strike that waited for this step."""
        if not self.waiting or self.is_dead:
            return None
        fault = next((fault for fault in self.waiting if fault.step == step), None)
        if fault is None:
            return None
        self.waiting.remove(fault)
        self.supervisor.struck(fault, self.name)
        if fault.kind == "crash":
            self.die(fault.ms)
            raise GreenletExit
        if fault.kind in ("freeze", "twin"):
            self.freeze(fault.ms, twin=fault.kind == "twin")
            self.sleep(0)
            return None
        return fault.kind, fault.ms

    def probe(self, step: str) -> None:
        """The host's own points."""
        if self.waiting:
            self.point(step)

    # what happens to it

    def start(self) -> None:
        """Begins."""
        self._task.start()

    @property
    def is_over(self) -> bool:
        """Whether it ended or was killed."""
        return self.is_dead or self._task.is_over

    def kill(self, restart_ms: int) -> None:
        """SIGKILL, wherever it stands."""
        if not self.is_over:
            self.die(restart_ms)
            self._task.kill()

    def die(self, restart_ms: int) -> None:
        """It is gone: some of what was queued may have left, no heartbeat leaves any more."""
        for producer in self.clients.producers:
            producer.send_queued(share=0.0)
        self.is_dead = True
        for consumer in self.clients.consumers:
            consumer.fell_silent()
        self.supervisor.ended(self, restart_ms)

    def freeze(self, ms: int, *, twin: bool = False) -> None:
        """SIGSTOP for so long; meanwhile somebody may start another one in its slot."""
        if self.is_over:
            return
        self._task.frozen_until_us = self.loop.now_us + ms * MS_US
        for consumer in self.clients.consumers:
            consumer.fell_silent()
        self.loop.after(ms * MS_US, self._thaw)
        if twin:
            self.loop.after(min(ms, 1_000) * MS_US, self.supervisor.begin, self.slot)

    def cut(self, ms: int) -> None:
        """No packet comes through for so long."""
        self.is_cut = True
        for consumer in self.clients.consumers:
            consumer.fell_silent()
        self.loop.after(ms * MS_US, self._mended)

    def stall(self, topic: str, until_us: int) -> None:
        """Nothing of this topic is fetched until then."""
        for consumer in self.clients.consumers:
            consumer.stalled_us[topic] = until_us
        self.loop.after(until_us - self.loop.now_us, self.wake, 0)

    def _thaw(self) -> None:
        if self.is_over or self.loop.now_us < self._task.frozen_until_us:
            return
        self._heard()
        self.loop.after(self.chance.randrange(SECOND_US), self._watch)

    def _mended(self) -> None:
        self.is_cut = False
        if not self.is_over and self.loop.now_us >= self._task.frozen_until_us:
            self._heard()

    def _heard(self) -> None:
        if not self.is_cut:
            for consumer in self.clients.consumers:
                consumer.is_heard_again()
            self.wake(0)

    def _watch(self) -> None:
        """The watchdog of dispatch/processors/service.py."""
        if self.worker is not None and not self.is_over and self.worker.open_for_s() > HANGS_AFTER_S:
            self.supervisor.story.tell(self.name, "is ended by its watchdog: a transaction hung")
            self.kill(1_000)

    def _run(self) -> None:
        supervisor = self.supervisor
        try:
            self.worker = Worker(
                supervisor.settings(self.slot),
                supervisor.build(self),
                probe=self.probe,
                clock_ms=self.clock_ms,
                clients=self.clients,
            )
            self.worker.run(_Stop(self))
        except Fenced as error:
            supervisor.story.tell(self.name, f"ends: {error}")
        except (KafkaException, Exception) as error:  # noqa: BLE001 - whatever it dies of is what was looked for
            if not self.is_dead:
                supervisor.problem(f"{self.name} died of {type(error).__name__}: {error}")
        if not self.is_dead:
            self.is_dead = True
            for consumer in self.clients.consumers:
                consumer.fell_silent()
            supervisor.ended(self, self.back_after_ms)


class Supervisor:
    """Starts processes, and starts them again."""

    def __init__(
        self, seed: str, broker: Broker, story: Story, build: Callable[[Process], Application], batch_limit: int
    ) -> None:
        self.seed, self.broker, self.story, self.build = seed, broker, story, build
        self.files: dict[int, bytes] = {}
        self.skews_ms: dict[int, int] = {}
        self.processes: dict[int, list[Process]] = {}
        """By slot those that are not over, the newest last."""
        self.problems: list[str] = []
        self.struck_by_kind: dict[str, int] = {}
        self._batch_limit = batch_limit
        self._numbers: dict[int, int] = {}

    def settings(self, slot: int) -> HostSettings:
        """Of one slot. It waits long for a record: nothing that happens goes unnoticed by the loop."""
        return HostSettings(
            "simulated", "dispatch", slot, batch_limit=self._batch_limit, idle_s=60.0, journal=Path("journal")
        )

    def begin(self, slot: int) -> Process:
        """One more process in the slot."""
        number = self._numbers.get(slot, -1) + 1
        self._numbers[slot] = number
        process = Process(self, slot, number)
        self.processes.setdefault(slot, []).append(process)
        self.story.tell(process.name, "starts")
        process.start()
        return process

    def newest(self, slot: int) -> Process | None:
        """The one that faults strike."""
        running = self.processes.get(slot)
        return running[-1] if running else None

    def all(self) -> list[Process]:
        """Every process that is not over."""
        return [process for slot in sorted(self.processes) for process in self.processes[slot]]

    def ended(self, process: Process, restart_ms: int) -> None:
        """One is gone; -1: it is not missed."""
        self.processes[process.slot].remove(process)
        if restart_ms >= 0:
            self.broker.loop.after(restart_ms * MS_US, self._again, process.slot)

    def struck(self, fault: Fault, name: str) -> None:
        """A fault had its moment."""
        self.struck_by_kind[fault.kind] = self.struck_by_kind.get(fault.kind, 0) + 1
        self.story.tell(name, f"FAULT {fault}")

    def problem(self, sentence: str) -> None:
        """What must not be."""
        self.problems.append(sentence)
        self.story.tell("problem", sentence)

    def _again(self, slot: int) -> None:
        if not self.processes.get(slot):
            self.begin(slot)
