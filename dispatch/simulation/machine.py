"""One process as its clients see it: it can wait, it can be cut off, and at any call something may happen."""

from collections.abc import Callable
from random import Random
from typing import Protocol, TypeVar

from confluent_kafka import KafkaError, KafkaException

from dispatch.simulation.broker import Broker
from dispatch.simulation.errors import AskAgain, fail
from dispatch.simulation.loop import MS_US, Loop

_ASKED_AGAIN_US = 20 * MS_US
_CUT_US = 100 * MS_US
T = TypeVar("T")

LOST_REQUEST, LOST_ANSWER, LATE_REQUEST, REFUSED = "lost_request", "lost_answer", "late_request", "refused"
TORN_ABORT = "torn_abort"


class Machine(Protocol):
    """What a client needs of the process that it is part of."""

    loop: Loop
    chance: Random

    @property
    def is_dead(self) -> bool:
        """Whether it was killed: what still runs only unwinds."""

    @property
    def is_cut(self) -> bool:
        """Whether the network leads nowhere."""

    def sleep(self, wait_us: int) -> None:
        """Lets time pass; the process may be killed meanwhile."""

    def wait(self, wait_us: int) -> None:
        """The same, until woken."""

    def wake(self, wait_us: int) -> None:
        """Ends a `wait` after so long."""

    def point(self, step: str) -> tuple[str, int] | None:
        """A step is reached: the process may die or freeze here. What happens to the request sent, and ms."""

    def clock_ms(self) -> int:
        """The machine's own clock, UTC ms, which may be wrong."""


def latency_us(machine: Machine) -> int:
    """Of a message, one way: around a millisecond."""
    share = machine.chance.random()
    return 200 + int(share * share * 2_000)


def asked(machine: Machine, broker: Broker, step: str, timeout_s: float, answer: Callable[[], T]) -> T:
    """A request and its answer. Raises what the broker answers, and _TIMED_OUT when nothing comes in time."""
    if machine.is_dead:
        fail(KafkaError._DESTROY, "the process is dead")
    until_us = machine.loop.now_us + round(timeout_s * 1_000_000)
    wrong = machine.point(step)
    if wrong is not None:
        kind, ms = wrong
        if kind == REFUSED:
            fail(KafkaError._INCONSISTENT, f"{step}: refused", abort=True)
        if kind == LATE_REQUEST:
            machine.loop.after(ms * MS_US, _late, answer)
        if kind in (LOST_ANSWER, TORN_ABORT):
            machine.sleep(latency_us(machine))
            broker.transactions.tears_next = kind == TORN_ABORT
            _late(answer)
            broker.transactions.tears_next = False
        _times_out(machine, until_us, step)
    while True:
        machine.sleep(latency_us(machine))
        if not (broker.is_away or machine.is_cut):
            try:
                found = answer()
            except AskAgain:
                if machine.loop.now_us + _ASKED_AGAIN_US > until_us:
                    _times_out(machine, until_us, step)
                machine.sleep(_ASKED_AGAIN_US)
                continue
            machine.sleep(latency_us(machine))
            return found
        if machine.loop.now_us + _CUT_US > until_us:
            _times_out(machine, until_us, step)
        machine.sleep(_CUT_US)


def _times_out(machine: Machine, until_us: int, step: str) -> None:
    machine.sleep(until_us - machine.loop.now_us)
    fail(KafkaError._TIMED_OUT, f"{step}: no answer in time", retriable=True)


def _late(answer: Callable[[], object]) -> None:
    """What arrives and is answered to nobody."""
    try:
        answer()
    except (AskAgain, KafkaException):
        return
