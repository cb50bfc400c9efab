"""`make chaos`: orders at a steady rate on real servers, faults at random; then the log and the tables are judged.

BATON_CHAOS_MINUTES (10), BATON_CHAOS_SEED (from the clock), BATON_CHAOS_RATE (orders a second, 5). Exit code 1 when a
rule broke, an order was lost, or deciding did not come back after a fault.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis

sys.path.insert(0, str(Path(__file__).parent / "pipeline"))
from couriers import Couriers, Pulse, Traffic
from crew import Crew
from running import now_ms
from tables import audit_rows, differences, events_of

from dispatch.checker import Report
from dispatch.checker.report import RULES

DRIVERS = [f"driver-{number:02}" for number in range(40)]
EVERY_S = (6.0, 14.0)
"""Between two faults."""
BACK_S = 90.0
"""After this long without a decision in every partition, a fault counts as not survived."""
SETTLE_S = 180.0
AWAY_S = 60.0


@dataclass
class Outcome:
    """What a kind of fault led to."""

    times: int = 0
    recoveries: list[float] = field(default_factory=list)
    lost: int = 0


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


def faults(crew: Crew, chance: random.Random) -> dict[str, Callable[[], None]]:
    """Every kind of fault by its name."""

    def a_worker() -> tuple[str, int]:
        return "worker", chance.choice([slot for slot in (0, 1) if ("worker", slot) not in crew.frozen] or [0])

    def wipe() -> None:
        with closing(redis.Redis(port=crew.servers["valkey"].port, socket_timeout=1)) as client:
            if crew.servers["valkey"].pid:
                client.flushall()

    return {
        "worker SIGKILL": lambda: crew.kill(a_worker()),
        "worker SIGSTOP 9 s": lambda: crew.freeze(a_worker(), 9),
        "broker SIGKILL": lambda: crew.take_away("kafka", 0.5),
        "Valkey FLUSHALL": wipe,
        "Valkey SIGKILL, 5 s away": lambda: crew.take_away("valkey", 5),
        f"Postgres stopped {AWAY_S:g} s": lambda: crew.take_away("postgres", AWAY_S, stop=True),
        "streams SIGKILL": lambda: crew.kill(("streams", 0)),
        "projector SIGKILL": lambda: crew.kill(("projector", 0)),
    }


def deck(names: list[str], chance: random.Random) -> Iterator[str]:
    """Every kind once, in a random order, again and again."""
    while True:
        yield from chance.sample(names, len(names))


class Run:
    """One evening of faults."""

    def __init__(self, crew: Crew, seed: int, say: Callable[[str], None]) -> None:
        self._crew, self._say = crew, say
        self._chance = random.Random(seed)
        self._faults = faults(crew, self._chance)
        self._deck = deck(list(self._faults), self._chance)
        self._open: list[tuple[str, int]] = []
        self.outcomes = {name: Outcome() for name in self._faults}

    def disturb(self, pulse: Pulse, seconds: float) -> None:
        """Faults until the time is over, then waits until deciding came back after the last."""
        ends = time.monotonic() + seconds
        due = time.monotonic() + self._chance.uniform(*EVERY_S)
        while time.monotonic() < ends or self._open:
            time.sleep(0.05)
            self._crew.keep()
            self._note(pulse)
            if due < time.monotonic() < ends:
                due = time.monotonic() + self._chance.uniform(*EVERY_S)
                self._strike(next(self._deck))

    def _strike(self, name: str) -> None:
        self.outcomes[name].times += 1
        self._open.append((name, now_ms()))
        self._faults[name]()
        self._say(name)

    def _note(self, pulse: Pulse) -> None:
        for name, since_ms in list(self._open):
            back_s = pulse.back_after_s(since_ms, self._crew.dispatch.settings.partitions)
            if back_s is not None:
                self.outcomes[name].recoveries.append(back_s)
                self._say(f"  {name}: every partition decided again after {back_s:.2f} s")
            elif now_ms() - since_ms > BACK_S * 1000:
                self.outcomes[name].lost += 1
                self._say(f"no decisions for {BACK_S:g} s after: {name}")
            else:
                continue
            self._open.remove((name, since_ms))


def wait(crew: Crew, true: Callable[[], bool], limit_s: float) -> bool:
    """Keeps the crew running until it is true; False: it was not within the limit."""
    ends = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > ends:
            return False
        crew.keep()
        time.sleep(0.1)
    return True


def judge(crew: Crew, sent: list[str], completed: set[str]) -> Judgement:
    """Lets all finish, then looks at the log and at the tables."""
    wait(crew, lambda: crew.all_back, 2 * AWAY_S)
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
    lines = ["", f"{'fault':<28}{'times':>6}{'slowest recovery':>18}  what held"]
    for name, outcome in outcomes.items():
        slowest = f"{max(outcome.recoveries):.2f} s" if outcome.recoveries else "-"
        held = f"NOT BACK {outcome.lost} times" if outcome.lost else "deciding came back" if outcome.times else "-"
        lines.append(f"{name:<28}{outcome.times:>6}{slowest:>18}  {held}")
    lines.append("Recovery: until every partition had a decision, made after the fault, committed; faults may overlap.")
    lines += ["", f"Orders: {judgement.sent} sent, {judgement.undelivered} not delivered"]
    lines.append(f"The log: {judgement.report.text()}")
    lines.append(f"Tables and index against the log: {'; '.join(judgement.wrong) or 'equal, audit chain unbroken'}")
    return "\n".join(lines)


def main() -> int:
    """Exit code 1 when anything broke."""
    minutes = float(os.environ.get("BATON_CHAOS_MINUTES", "10"))
    seed = int(os.environ.get("BATON_CHAOS_SEED") or time.time_ns() % 1_000_000)
    rate = float(os.environ.get("BATON_CHAOS_RATE", "5"))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    say(f"chaos for {minutes:g} minutes, {rate:g} orders a second, {len(RULES)} rules, BATON_CHAOS_SEED={seed}")
    crew, passed = Crew(say), False
    try:
        with ExitStack() as stack:
            for name in DRIVERS:
                crew.dispatch.sign_on(name, capacity=2)
            couriers = stack.enter_context(closing(Couriers(crew.dispatch, refuse=0.1, seed=seed)))
            pulse = stack.enter_context(closing(Pulse(crew.dispatch)))
            run = Run(crew, seed, say)
            with closing(Traffic(crew.dispatch, DRIVERS, rate)) as traffic:
                if not wait(crew, lambda: len(couriers.completed) >= rate, 60):
                    say("nothing was delivered within 60 s")
                    return 1
                run.disturb(pulse, minutes * 60)
            say("no more orders; all may finish")
            judgement = judge(crew, traffic.sent, couriers.completed)
            say(f"judged; restarts: {dict(crew.restarts)}")
        print(table(run.outcomes, judgement))
        passed = judgement.ok and not any(outcome.lost for outcome in run.outcomes.values())
        print(f"Everything held (seed {seed})." if passed else f"BROKEN (seed {seed}).")
        return 0 if passed else 1
    finally:
        crew.close(keep_logs=not passed)


if __name__ == "__main__":
    sys.exit(main())
