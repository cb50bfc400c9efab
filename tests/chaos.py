"""`make chaos`: orders at a steady rate on real servers, faults at random; then the log and the tables are judged.

BATON_CHAOS_MINUTES (10), or BATON_CHAOS_ORDERS: until so many orders were sent; BATON_CHAOS_RATE (orders a second, 5),
BATON_CHAOS_BROKERS (1; 3: replication 3, two in sync), BATON_CHAOS_WORKERS (2; 3 with three brokers),
BATON_CHAOS_FAULTS (parts of the names of kinds, parted by commas; clocks only when named), BATON_CHAOS_AWAY_S (60: how
long Postgres is stopped), BATON_CHAOS_EVERY_S (10: seconds between two faults, more or less; the first comes at once),
BATON_CHAOS_SEED (from the clock). Exit code 1 when a rule broke, an order was lost, or
deciding did not come back after a fault.
"""

import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis

sys.path.insert(0, str(Path(__file__).parent / "gateways"))
sys.path.insert(0, str(Path(__file__).parent / "pipeline"))
from couriers import Couriers, Door, Pulse, Traffic
from crew import Crew
from faults import Fault, Faults
from outside import Ears, Seller
from running import now_ms
from tables import audit_rows, differences, events_of

from dispatch.checker import Report
from dispatch.checker.report import RULES
from dispatch.contract import topics
from dispatch.log.reading import read_all

DRIVERS = [f"driver-{number:02}" for number in range(40)]
EVERY_S = float(os.environ.get("BATON_CHAOS_EVERY_S", "10"))
MORE_OR_LESS = (0.6, 1.4)
BACK_S = 90.0
"""After this long without a decision in every partition, a fault counts as not survived."""
SETTLE_S = 180.0
LISTENERS = 5
"""Drivers who listen to their sockets."""


@dataclass
class Outcome:
    """What a kind of fault led to."""

    times: int = 0
    recoveries: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)
    """Orders delivered a second until it was over."""
    lost: int = 0
    struck_ms: list[int] = field(default_factory=list)


@dataclass
class Judgement:
    """What held at the end."""

    report: Report
    undelivered: int
    sent: int
    wrong: list[str]

    @property
    def ok(self) -> bool:
        """Whether everything did."""
        return self.report.ok and not self.undelivered and not self.wrong


@dataclass(frozen=True)
class Open:
    """A fault of which deciding has not come back yet."""

    name: str
    since_ms: int
    delivered: int


def chosen(faults: Faults, wanted: str) -> dict[str, Fault]:
    """The kinds that are asked for. Raises SystemExit for a name of none."""
    kinds, found = faults.kinds(), dict[str, Fault]()
    if not wanted:
        return kinds
    for part in (part.strip() for part in wanted.split(",")):
        named = {name: fault for name, fault in (kinds | faults.of_clocks()).items() if part in name}
        if not named:
            raise SystemExit(f"no fault is named like {part!r}; there are: {', '.join(kinds | faults.of_clocks())}")
        found |= named
    return found


def deck(names: list[str], chance: random.Random) -> Iterator[str]:
    """Every kind once, in a random order, again and again."""
    while True:
        yield from chance.sample(names, len(names))


class Run:
    """One evening of faults."""

    def __init__(self, crew: Crew, couriers: Couriers, faults: dict[str, Fault], seed: int, say: Callable[[str], None]):
        self._crew, self._couriers, self._faults, self._say = crew, couriers, faults, say
        self._chance = random.Random(seed)
        self._deck = deck(list(self._faults), self._chance)
        self._open: list[Open] = []
        self.outcomes = {name: Outcome() for name in self._faults}

    def disturb(self, pulse: Pulse, over: Callable[[], bool]) -> None:
        """Faults until it is over, then waits until deciding came back after the last."""
        due = time.monotonic()
        while not over() or self._open:
            time.sleep(0.05)
            self._crew.keep()
            self._note(pulse)
            if due < time.monotonic() and not over():
                due = time.monotonic() + EVERY_S * self._chance.uniform(*MORE_OR_LESS)
                self._strike(next(self._deck))

    def _strike(self, name: str) -> None:
        outcome, since_ms = self.outcomes[name], now_ms()
        outcome.times += 1
        outcome.struck_ms.append(since_ms)
        self._open.append(Open(name, since_ms, len(self._couriers.completed)))
        self._say(name)
        self._faults[name]()

    def _note(self, pulse: Pulse) -> None:
        for fault in list(self._open):
            outcome = self.outcomes[fault.name]
            back_s = pulse.back_after_s(fault.since_ms, self._crew.dispatch.settings.partitions)
            passed_s = (now_ms() - fault.since_ms) / 1000
            if back_s is not None:
                outcome.recoveries.append(back_s)
                outcome.held.append((len(self._couriers.completed) - fault.delivered) / max(passed_s, 0.1))
                self._say(f"  {fault.name}: every partition decided again after {back_s:.2f} s")
            elif passed_s > BACK_S:
                outcome.lost += 1
                self._say(f"no decisions for {BACK_S:g} s after: {fault.name}")
            else:
                continue
            self._open.remove(fault)


def wait(crew: Crew, true: Callable[[], bool], limit_s: float) -> bool:
    """Keeps the crew running until it is true; False: it was not within the limit."""
    ends = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > ends:
            return False
        crew.keep()
        time.sleep(0.1)
    return True


def judge(
    crew: Crew, sent: list[str], completed: set[str], spoilt: int, refused: list[str], outsiders: tuple[Seller, Ears]
) -> Judgement:
    """Lets all finish, then looks at the log, at the tables, and at what those outside were told."""
    wait(crew, lambda: crew.all_back, SETTLE_S)
    settings = crew.dispatch.settings
    wait(crew, lambda: completed.issuperset(sent), SETTLE_S)
    wait(crew, lambda: crew.dispatch.check().ok, 30)

    def caught_up() -> bool:
        try:
            return audit_rows(settings.postgres) == len(events_of(settings))
        except psycopg.OperationalError:
            return False

    caught = wait(crew, caught_up, 60)
    wrong = [] if caught else ["the tables did not catch up with the log within 60 s"]
    if not wait(crew, lambda: _index_full(crew), 20):
        wrong.append("the geo index does not know every driver")
    letters = sum(1 for _ in read_all(settings.kafka, [settings.namespace + topics.DEAD_LETTERS.name]))
    if letters != spoilt:
        wrong.append(f"{letters} records were set aside, {spoilt} were spoilt")
    wrong += [f"the gateway refused an order: {said}" for said in refused[:3]]
    told = -1
    while len(outsiders[0].heard) > told and any(who.missing() for who in outsiders):  # as long as more is told
        told = len(outsiders[0].heard)
        wait(crew, lambda: not any(who.missing() for who in outsiders), 60)
    wrong += [said for who in outsiders for said in who.missing()[:3]]
    return Judgement(
        crew.dispatch.check(), len(set(sent) - completed), len(sent), [*wrong, *differences(settings)]
    )  # fmt: skip


def _index_full(crew: Crew) -> bool:
    key = f"{crew.dispatch.namespace}drivers:status"
    try:
        with closing(redis.Redis(port=crew.servers["valkey"].port, socket_timeout=1)) as client:
            return bool(client.get(key + ":complete") == b"1" and client.hlen(key) == len(DRIVERS))
    except redis.ConnectionError:
        return False


def table(outcomes: dict[str, Outcome], judgement: Judgement) -> str:
    """Faults and rules, for a person."""
    lines = ["", f"{'fault':<30}{'times':>6}{'orders/s':>10}{'back p50':>10}{'max':>9}  what the checker said"]
    broken = _broken_after(outcomes, judgement.report)
    for name, outcome in outcomes.items():
        if not outcome.times:
            lines.append(f"{name:<30}{0:>6}")
            continue
        held = f"{statistics.mean(outcome.held):.1f}" if outcome.held else "-"
        half = f"{statistics.median(outcome.recoveries):.2f} s" if outcome.recoveries else "-"
        most = f"{max(outcome.recoveries):.2f} s" if outcome.recoveries else "-"
        said = f"NOT BACK {outcome.lost} times" if outcome.lost else broken.get(name, "held")
        lines.append(f"{name:<30}{outcome.times:>6}{held:>10}{half:>10}{most:>9}  {said}")
    lines += [
        "orders/s: delivered, from the fault until deciding was back in every partition; back: until each partition",
        "had a decision, made after the fault, committed. Faults overlap; a broken rule stands with the fault before.",
        "",
        f"Orders: {judgement.sent} sent, {judgement.undelivered} not delivered",
        f"The log: {judgement.report.text()}",
        f"Tables, index, webhooks, sockets: {'; '.join(judgement.wrong) or 'as the log says, audit chain unbroken'}",
    ]
    return "\n".join(lines)


def _broken_after(outcomes: dict[str, Outcome], report: Report) -> dict[str, str]:
    """By the fault before it: which rules were broken."""
    struck = sorted((at_ms, name) for name, outcome in outcomes.items() for at_ms in outcome.struck_ms)
    found: dict[str, set[int]] = {}
    for violation in report.violations:
        before = [name for at_ms, name in struck if at_ms <= violation.at_ms]
        found.setdefault(before[-1] if before else "", set()).add(violation.rule)
    return {name: f"BROKE {', '.join(map(str, sorted(rules)))}" for name, rules in found.items()}


def main() -> int:
    """Exit code 1 when anything broke."""
    said = os.environ.get
    minutes, orders = float(said("BATON_CHAOS_MINUTES", "10")), int(said("BATON_CHAOS_ORDERS", "0"))
    seed = int(said("BATON_CHAOS_SEED") or time.time_ns() % 1_000_000)
    rate, brokers = float(said("BATON_CHAOS_RATE", "5")), int(said("BATON_CHAOS_BROKERS", "1"))
    workers = int(said("BATON_CHAOS_WORKERS", "3" if brokers > 1 else "2"))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    length = f"until {orders} orders were sent" if orders else f"for {minutes:g} minutes"
    say(f"chaos {length}, {rate:g} orders a second, {brokers} brokers, {workers} workers, {len(RULES)} rules,"
        f" BATON_CHAOS_SEED={seed}")  # fmt: skip
    crew, passed = Crew(say, brokers=brokers, workers=workers), False
    try:
        with ExitStack() as stack:
            for name in DRIVERS:
                crew.dispatch.sign_on(name, capacity=2)
            seller = stack.enter_context(closing(Seller(crew.dispatch)))
            if not wait(crew, lambda: seller.registers(f"http://127.0.0.1:{crew.gateway_port}"), SETTLE_S):
                say(f"no gateway answered within {SETTLE_S:g} s")
                return 1
            linked = f"http://127.0.0.1:{crew.link_of['gateway'].port}"
            ears = stack.enter_context(closing(Ears(crew.dispatch, linked, DRIVERS[:LISTENERS])))
            couriers = stack.enter_context(closing(Couriers(crew.dispatch, refuse=0.1, seed=seed)))
            pulse = stack.enter_context(closing(Pulse(crew.dispatch)))
            with closing(Traffic(crew.dispatch, DRIVERS, rate)) as traffic:
                traffic.door = door = Door(crew.gateway_port)
                faults = Faults(crew, traffic, seller, random.Random(seed), float(said("BATON_CHAOS_AWAY_S", "60")))
                run = Run(crew, couriers, chosen(faults, said("BATON_CHAOS_FAULTS", "")), seed, say)
                if not wait(crew, lambda: len(couriers.completed) >= rate, SETTLE_S):
                    say(f"nothing was delivered within {SETTLE_S:g} s")
                    return 1
                ends = time.monotonic() + minutes * 60
                run.disturb(pulse, lambda: len(traffic.sent) >= orders if orders else time.monotonic() > ends)
                sending_s = time.monotonic() - began
            say(f"no more orders, {len(traffic.sent) / sending_s:.1f} a second were sent; all may finish")
            judgement = judge(
                crew, traffic.sent, couriers.completed, faults.spoilt, door.refused, (seller, ears)
            )  # fmt: skip
            say(f"the seller was told {len(seller.heard)} things, {LISTENERS} drivers of {ears.count} offers")
            say(f"judged; restarts: {dict(crew.restarts)}")
        print(table(run.outcomes, judgement))
        passed = judgement.ok and not any(outcome.lost for outcome in run.outcomes.values())
        print(f"Everything held (seed {seed})." if passed else f"BROKEN (seed {seed}).")
        return 0 if passed else 1
    finally:
        crew.close(keep_logs=not passed)


if __name__ == "__main__":
    sys.exit(main())
