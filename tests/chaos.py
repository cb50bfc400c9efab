"""`make chaos`: orders at a steady rate on real servers, faults at random; then the log and the tables are judged.

BATON_CHAOS_MINUTES (10), or BATON_CHAOS_ORDERS: until so many orders were sent, in evenings of BATON_CHAOS_EVENING
(40,000), each with servers of its own and judged at its end; BATON_CHAOS_LEDGER: a file that gets a line of each, and
whose orders, where everything held, count (to go on another day); BATON_CHAOS_RATE (orders a second, 5; none is sent
while 300 or five seconds' worth of them are open), BATON_CHAOS_DRIVERS (40, or five for each order a second),
BATON_CHAOS_BROKERS (1; 3: replication 3, two in sync), BATON_CHAOS_WORKERS (2; 3 with three brokers),
BATON_CHAOS_FAULTS (parts of the names of kinds, parted by commas; clocks only when named), BATON_CHAOS_AWAY_S (60: how
long Postgres is stopped), BATON_CHAOS_EVERY_S (10: seconds between two faults, more or less; the first comes at once),
BATON_CHAOS_BACK_S (90: how long deciding may take to come back), BATON_CHAOS_SEED (from the clock). Exit code 1 when a
rule broke, an order was lost, or deciding did not come back after a fault.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import psycopg
import redis

sys.path.insert(0, str(Path(__file__).parent / "gateways"))
sys.path.insert(0, str(Path(__file__).parent / "pipeline"))
from couriers import Couriers, Door, Pulse, Traffic
from crew import Crew
from evenings import Asked, Judgement, Ledger, Outcome, held, table
from faults import Fault, Faults
from outside import Ears, Seller
from running import now_ms
from tables import audit_rows, differences, events_of

from dispatch.checker import check_log
from dispatch.checker.report import RULES
from dispatch.contract import topics
from dispatch.log.reading import read_all

RATE = float(os.environ.get("BATON_CHAOS_RATE", "5"))
DRIVERS = [
    f"driver-{number:02}" for number in range(int(os.environ.get("BATON_CHAOS_DRIVERS", max(40, round(5 * RATE)))))
]
TOLD = max(1, round(RATE / 5))
"""Every so manieth order is of the seller who is told by webhooks: some five a second."""
OPEN = max(300, round(5 * RATE))
"""While more orders than this are not delivered, none is sent: half of what the drivers have room for."""
EVERY_S = float(os.environ.get("BATON_CHAOS_EVERY_S", "10"))
MORE_OR_LESS = (0.6, 1.4)
BACK_S = float(os.environ.get("BATON_CHAOS_BACK_S", "90"))
"""After this long without a decision in every partition, a fault counts as not survived."""
SETTLE_S = 180.0
LISTENERS = 5
"""Drivers who listen to their sockets."""


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
        self._say(f"{name} (after {len(self._couriers.completed):,} delivered)")
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
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:
        checking = apart.submit(check_log, settings.kafka, settings.namespace)
        wrong = wrongs(crew, spoilt, refused, outsiders)
        report = checking.result()

    def looked_again() -> bool:
        nonlocal report
        report = report if report.ok else crew.dispatch.check()
        return report.ok

    wait(crew, looked_again, 30)
    return Judgement(report, len(set(sent) - completed), len(sent), wrong)


def wrongs(crew: Crew, spoilt: int, refused: list[str], outsiders: tuple[Seller, Ears]) -> list[str]:
    """What tables, index, dead letters and those outside do not have as the log has it, in sentences."""
    settings = crew.dispatch.settings
    events = len(events_of(settings))  # drivers who listen go on to be seen: the tables may know more

    rows, before = 0, -1

    def caught_up() -> bool:
        nonlocal rows
        try:
            rows = audit_rows(settings.postgres)
        except psycopg.OperationalError:
            return False
        return rows >= events

    while not (caught := wait(crew, caught_up, 120)) and rows > before:  # as long as they come nearer
        before = rows
    wrong = [] if caught else [f"the tables stand still at {rows} of {events} events"]
    if not wait(crew, lambda: _index_full(crew), 20):
        wrong.append("the geo index does not know every driver")
    letters = sum(1 for _ in read_all(settings.kafka, [settings.namespace + topics.DEAD_LETTERS.name]))
    if letters != spoilt:
        wrong.append(f"{letters} records were set aside, {spoilt} were spoilt")
    wrong += [f"the gateway refused an order: {said}" for said in refused[:3]]
    told, unheard = -1, missing(crew, outsiders)
    while unheard and len(outsiders[0].heard) > told:  # as long as more is told
        told = len(outsiders[0].heard)
        wait(crew, lambda: False, 30)
        unheard = missing(crew, outsiders)
    wrong += unheard
    return [*wrong, *differences(settings)]


def missing(crew: Crew, outsiders: tuple[Seller, Ears]) -> list[str]:
    """What those outside did not hear; keeps the crew running, for it takes a moment to look."""
    crew.keep()
    return [said for who in outsiders for said in who.missing()[:3]]


def _index_full(crew: Crew) -> bool:
    key = f"{crew.dispatch.namespace}drivers:status"
    try:
        with closing(redis.Redis(port=crew.servers["valkey"].port, socket_timeout=1)) as client:
            return bool(client.get(key + ":complete") == b"1" and client.hlen(key) == len(DRIVERS))
    except redis.ConnectionError:
        return False


def evening(asked: Asked, say: Callable[[str], None]) -> tuple[dict[str, Outcome], Judgement] | None:
    """One, from the servers' start to the judgement; None: it did not get under way."""
    length = f"until {asked.orders} orders were sent" if asked.orders else f"for {asked.minutes:g} minutes"
    say(f"chaos {length}, {RATE:g} orders a second, {asked.brokers} brokers, {asked.workers} workers,"
        f" {len(DRIVERS)} drivers, {len(RULES)} rules, BATON_CHAOS_SEED={asked.seed}")  # fmt: skip
    crew, passed = Crew(say, brokers=asked.brokers, workers=asked.workers), False
    try:
        with ExitStack() as stack:
            for name in DRIVERS:
                crew.dispatch.sign_on(name, capacity=2)
            seller = stack.enter_context(closing(Seller(crew.dispatch)))
            if not wait(crew, lambda: seller.registers(f"http://127.0.0.1:{crew.gateway_port}"), SETTLE_S):
                say(f"no gateway answered within {SETTLE_S:g} s")
                return None
            linked = f"http://127.0.0.1:{crew.link_of['gateway'].port}"
            ears = stack.enter_context(closing(Ears(crew.dispatch, linked, DRIVERS[:LISTENERS])))
            couriers = stack.enter_context(closing(Couriers(crew.dispatch, refuse=0.1, seed=asked.seed)))
            pulse = stack.enter_context(closing(Pulse(crew.dispatch)))

            def too_many(sent: int) -> bool:
                return sent - len(couriers.completed) > OPEN

            with closing(Traffic(crew.dispatch, DRIVERS, RATE, told=TOLD, held=too_many)) as traffic:
                traffic.door = door = Door(crew.gateway_port, max(1, round(RATE / 5)))
                faults = Faults(crew, traffic, seller, random.Random(asked.seed), asked.away_s)
                run = Run(crew, couriers, chosen(faults, asked.faults), asked.seed, say)
                if not wait(crew, lambda: len(couriers.completed) >= RATE, SETTLE_S):
                    say(f"nothing was delivered within {SETTLE_S:g} s")
                    return None
                began, before = time.monotonic(), traffic.count
                ends = began + asked.minutes * 60
                run.disturb(pulse, lambda: traffic.count >= asked.orders if asked.orders else time.monotonic() > ends)
                sent_a_second = (traffic.count - before) / (time.monotonic() - began)
            say(f"no more orders, {sent_a_second:.1f} a second were sent; all may finish")
            judgement = judge(
                crew, traffic.sent, couriers.completed, faults.spoilt, door.refused, (seller, ears)
            )  # fmt: skip
            say(f"the seller was told {len(seller.heard)} things, {LISTENERS} drivers of {ears.count} offers")
            say(f"judged; restarts: {dict(crew.restarts)}")
        passed = held(run.outcomes, judgement)
        return run.outcomes, judgement
    finally:
        crew.close(keep_logs=not passed)


def main() -> int:
    """Exit code 1 when anything broke."""
    said, began = os.environ.get, time.monotonic()
    brokers, orders = int(said("BATON_CHAOS_BROKERS", "1")), int(said("BATON_CHAOS_ORDERS", "0"))
    workers = int(said("BATON_CHAOS_WORKERS", "3" if brokers > 1 else "2"))
    size = int(said("BATON_CHAOS_EVENING", "40000"))
    seed, ledger = int(said("BATON_CHAOS_SEED") or time.time_ns() % 1_000_000), Ledger(said("BATON_CHAOS_LEDGER", ""))

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    if orders and ledger.held >= orders:
        say(f"BATON_CHAOS_ORDERS asks for {orders:,} in all, and the ledger has them. {ledger.text()}")
    while not orders or ledger.held < orders:
        asked = Asked(
            seed, min(orders - ledger.held, size) if orders else 0, float(said("BATON_CHAOS_MINUTES", "10")), brokers,
            workers, said("BATON_CHAOS_FAULTS", ""), float(said("BATON_CHAOS_AWAY_S", "60")),
        )  # fmt: skip
        started, found = time.monotonic(), evening(asked, say)
        if found is None:
            return 1
        print(table(*found))
        ledger.add(asked, *found, time.monotonic() - started)
        passed = held(*found)
        print(f"Everything held (seed {seed})." if passed else f"BROKEN (seed {seed}).")
        print(ledger.text(), flush=True)
        if not passed or not orders:
            return 0 if passed else 1
        seed += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
