"""One run: a plan is lived through, first with everything that goes wrong, then in calm; and judged."""

import hashlib
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
import structlog

from dispatch.checker import Report, check_records
from dispatch.contract import topics
from dispatch.contract.topics import partitions_of
from dispatch.core.policy import Policy
from dispatch.inputs.rules import Rules
from dispatch.log.application import Record
from dispatch.log.worker import Application
from dispatch.processors.service import application
from dispatch.simulation.broker import Broker
from dispatch.simulation.drivers import Driver
from dispatch.simulation.faults import Fault
from dispatch.simulation.index import Index
from dispatch.simulation.judge import Again, folds
from dispatch.simulation.loop import MS_US, SECOND_US, Loop
from dispatch.simulation.partition import COMMITTED
from dispatch.simulation.plan import Options, Plan, plan
from dispatch.simulation.process import Process, Supervisor
from dispatch.simulation.progress import Progress
from dispatch.simulation.sellers import Admin, Seller
from dispatch.simulation.story import Story
from dispatch.simulation.town import Town

START_MS = 1_790_000_000_000
GROUP = "dispatch"
MOST = 30
"""So much of what is wrong is told in a story."""
AGAIN_EVERY = 4
"""Of so many seeds one is decided again as a whole: it costs as much as all other judgement."""
_LOOKS_US = SECOND_US
_READ = (topics.ORDERS_INBOUND, topics.DELIVERY_COMMANDS, topics.DRIVER_COMMANDS)
_STALLED = tuple(topic.name for topic in _READ)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed."""

    plan: Plan
    log: list[Record]
    report: Report
    problems: list[str]
    """What is wrong besides the checker's violations; empty: nothing."""
    told: Story
    faults: dict[str, int] = field(default_factory=dict)
    """Those that struck, by kind."""
    virtual_ms: int = 0
    policies: Mapping[int, Policy] = field(default_factory=dict)
    """Those that were in force, by version."""

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return self.report.ok and not self.problems

    @property
    def decisions(self) -> int:
        """How many were made."""
        return self.report.counts.get("decisions", 0)

    @property
    def digest(self) -> str:
        """Of the whole log, byte by byte."""
        found = hashlib.blake2b(digest_size=16)
        for record in self.log:
            found.update(repr(record).encode())
        return found.hexdigest()

    def wrong(self) -> list[str]:
        """All that broke, a sentence each; the checker's first, each with rule and place."""
        broken = [f"rule {one.rule} at {one.place}: {one.sentence}" for one in self.report.violations]
        return broken + self.problems

    def story(self) -> str:
        """What happened, in the order of virtual time, and what broke."""
        wrong = self.wrong() or ["everything held"]
        more = [f"and {len(wrong) - MOST} more"] if len(wrong) > MOST else []
        return "\n".join([self.told.text(), "", *wrong[:MOST], *more])


def run(seed: int, options: Options | None = None) -> Outcome:
    """Lives through the seed. The same seed, options and commit give the same log, byte by byte."""
    return live(plan(seed, options or Options()))


def live(lived: Plan) -> Outcome:
    """Lives through a plan."""
    return City(lived).run()


class City:
    """Everything of one run."""

    def __init__(self, lived: Plan) -> None:
        self.plan = lived
        self.loop = Loop()
        counts = {topic.name: partitions_of(topic, keyed=lived.partitions, replies=1) for topic in topics.CATALOGUE}
        self.broker = Broker(self.loop, Random(f"{lived.seed} broker"), counts, START_MS)
        self.story = Story(self.loop)
        self.town = Town(lived, self.broker, self.story)
        self.index = Index(self.town, lived.seed)
        self.progress = Progress(self.town)
        self.supervisor = Supervisor(str(lived.seed), self.broker, self.story, self._application, lived.batch_limit)
        self.supervisor.skews_ms = dict(lived.skews_ms)
        self.policies = {1: msgspec.structs.replace(lived.policy, version=1)}
        """By version, all that were ever in force."""
        self._rules: list[tuple[Process, Rules]] = []
        self._chance = Random(f"{lived.seed} city")
        for number in lived.orders:
            Seller(self.town, number)
        for number in lived.drivers:
            Driver(self.town, number)
        for number in lived.admins:
            Admin(self.town, number)

    def run(self) -> Outcome:
        """Safety, then liveness, then judgement."""
        with _logging_into(self.story):
            for slot in range(self.plan.workers):
                self.loop.after(slot * 50 * MS_US, self.supervisor.begin, slot)
            for fault in self.plan.faults:
                self.loop.after(fault.at_ms * MS_US, self._strike, fault)
            self.loop.run(self.plan.safety_ms * MS_US)
            self._calm_down()
            until_us = (self.plan.safety_ms + self.plan.liveness_ms) * MS_US
            while (unended := self._unended()) and self.loop.now_us < until_us:
                self.loop.run(self.loop.now_us + _LOOKS_US)
            lived_ms = self.loop.now_ms
            if unended:
                self.supervisor.problem(f"not over {self.plan.liveness_ms // 1000} s after the last fault: {unended}")
            log = self.broker.log()
            for process in self.supervisor.all():
                process.kill(-1)
        again = Again(self.policies) if self.plan.seed % AGAIN_EVERY == 0 else None
        report = check_records(log, redecide=again)
        problems = self.supervisor.problems + folds(log)
        struck = self.supervisor.struck_by_kind
        return Outcome(self.plan, log, report, problems, self.story, struck, lived_ms, self.policies)

    def _application(self, process: Process) -> Application:
        rules = Rules(self.policies[len(self.policies)], self.plan.flags)
        self._rules = [*(kept for kept in self._rules if not kept[0].is_over), (process, rules)]
        return application(rules, "", self.index.search_of(process), process.name)

    def _calm_down(self) -> None:
        for process in self.supervisor.all():
            process.waiting.clear()
        self.broker.away_until_us = 0
        self.broker.transactions.marks_take_us = 2 * MS_US
        self.index.go_down(0)
        self.index.refill()
        for slot in range(self.plan.workers):
            if not self.supervisor.processes.get(slot):
                self.supervisor.begin(slot)
        self.town.calm_down()

    def _unended(self) -> str:
        """What is still under way; empty: nothing."""
        if self.broker.transactions.open:
            return f"transactions of {', '.join(self.broker.transactions.open)} are open"
        offsets = self.broker.group(GROUP).offsets
        for topic in _READ:
            for partition in self.broker.topics[topic.name]:
                last = next((entry for entry in reversed(partition.entries) if entry.state == COMMITTED), None)
                if last is not None and offsets.get((topic.name, partition.number), 0) <= last.offset:
                    return f"{topic.name} {partition.number} is not read to its end"
        return f"deliveries {', '.join(left)}" if (left := self.progress.open()) else ""

    def _strike(self, fault: Fault) -> None:
        """What waits for a step is handed to the process; the rest happens now."""
        process = self.supervisor.newest(fault.slot)
        if fault.step:
            if process is not None:
                process.waiting.append(fault)
                if fault.kind == "torn_abort":
                    process.waiting.append(
                        fault._replace(kind="refused", step="flush" if fault.number % 2 else "commit")
                    )
            return
        now_us = self.loop.now_us
        match fault.kind:
            case "outage":
                self.broker.away_until_us = now_us + fault.ms * MS_US
                self.loop.after(fault.ms * MS_US, self._wake_all)
            case "slow_marks":
                self.broker.transactions.marks_take_us = fault.ms * MS_US
            case "index_down":
                self.index.go_down(fault.ms)
            case "index_loses":
                self.index.lose(1 + fault.number % 5)
            case "index_wiped":
                self.index.wipe()
            case "noise":
                self._noise(fault)
            case "compacted":
                for name in (topics.DELIVERY_STATE.name, topics.DRIVER_STATE.name, topics.CONTACTS.name):
                    for partition in self.broker.topics[name]:
                        partition.compact()
            case "new_policy":
                self._new_policy()
            case "clock":
                self.supervisor.skews_ms[fault.slot] = fault.ms
            case "join":
                self.supervisor.begin(self.plan.workers)
                self.loop.after(fault.ms * MS_US, self._leave, self.plan.workers, -1)
            case "leave":
                self._leave(fault.slot, fault.ms)
            case "cut" if process is not None:
                process.cut(fault.ms)
            case "stall" if process is not None:
                process.stall(_STALLED[fault.number % 3], now_us + fault.ms * MS_US)
        self.supervisor.struck(fault, process.name if process is not None else "world")

    def _leave(self, slot: int, back_after_ms: int) -> None:
        """A process ends in order; the supervisor starts its slot again, unless it is not wanted any more."""
        process = self.supervisor.newest(slot)
        if process is not None:
            process.is_stopping, process.back_after_ms = True, back_after_ms
            process.wake(0)

    def _noise(self, fault: Fault) -> None:
        """What nobody can read, or what is not for whom it is keyed."""
        topic = _STALLED[fault.number % 3]
        value = (b"", b"\x00\x00\x00\x00\x01junk", b"not a record")[fault.number // 3 % 3]
        self.broker.send(topic, b"noise", value, self.broker.now_ms)

    def _new_policy(self) -> None:
        """Each process hears of it in its own time."""
        chance, before = self._chance, self.policies[len(self.policies)]
        offer = msgspec.structs.replace(
            before.offer,
            on_expiry=chance.choice(("auto_assign", "next_driver", "auto_assign_after_n")),
            timeout_s=before.offer.timeout_s * chance.uniform(0.5, 1.5),
        )
        policy = msgspec.structs.replace(before, version=before.version + 1, offer=offer)
        self.policies[policy.version] = policy
        for _, rules in self._rules:
            self.loop.after(chance.randrange(2 * SECOND_US), self._takes, rules, policy)

    def _takes(self, rules: Rules, policy: Policy) -> None:
        if rules.policy.version < policy.version:
            rules.policy = policy

    def _wake_all(self) -> None:
        for process in self.supervisor.all():
            process.wake(0)


@contextmanager
def _logging_into(story: Story) -> Iterator[None]:
    """What the host logs becomes part of the story."""
    before = structlog.get_config()

    def told(_logger: Any, level: str, line: MutableMapping[str, Any]) -> str:
        event = line.pop("event")
        story.tell("host", f"{level} {event} {' '.join(f'{name}={value}' for name, value in line.items())}")
        raise structlog.DropEvent

    structlog.configure(processors=[told], wrapper_class=None, logger_factory=None, cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
