"""The worker process: both aggregates and the inbound door on the host."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dispatch.config import Settings
from dispatch.contract import topics
from dispatch.contract.records.system import DeadLetter as DeadLetterRecord
from dispatch.core.facts import SearchNeed, SearchResult
from dispatch.inputs.arrivals import Arrivals, ArrivalsFollower
from dispatch.inputs.candidates import open_index
from dispatch.inputs.follower import Follower, start_all
from dispatch.inputs.pins import Pins, pins_of
from dispatch.inputs.prices import OrderPrices, PriceBoard, PriceFollower
from dispatch.inputs.quotes import seal_of
from dispatch.inputs.rules import Rules, RulesFollower
from dispatch.inputs.standing import Standing, StandingFollower, with_standing
from dispatch.inputs.travel import open_roads, with_travel
from dispatch.inputs.zones import ZoneBoard, ZoneFollower
from dispatch.log import logs
from dispatch.log.application import DeadLetter, Lookup, Message
from dispatch.log.health import HealthServer
from dispatch.log.settings import HostSettings
from dispatch.log.worker import Application, Worker
from dispatch.processors.cores import aggregates
from dispatch.processors.inbound import InboundDoor
from dispatch.processors.routing import Router

HANGS_AFTER_S = 20.0
"""A transaction open for longer is not coming back; the broker has ended it after 5 s."""
KEPT_BYTES = 262_144
"""Of a dead letter's value."""
CRASH_AT = "BATON_CRASH_AT"
"""Fault tests: `step:n` kills the process the nth time the loop comes to that step."""


def application(
    rules: Rules,
    namespace: str,
    lookup: Lookup,
    worker: str = "worker",
    zones: ZoneBoard | None = None,
    prices: OrderPrices | None = None,
    pins: Pins | None = None,
) -> Application:
    """Everything that a worker decides."""
    router = Router(namespace)

    def dead_letter(letter: DeadLetter) -> Message:
        return router.message(dead_letter_record(letter, worker))

    return Application(
        aggregates(rules, namespace, zones, prices),
        (InboundDoor(namespace, pins),),
        lookup,
        dead_letter,
        router.topics_written(),
    )


def dead_letter_record(letter: DeadLetter, worker: str) -> DeadLetterRecord:
    """The record of what was set aside; of a large value the beginning, of one that names a customer nothing.

    A dead letter is kept longer than an order and no erasure reaches it; topic, partition and offset tell where it is.
    """
    record = letter.record
    kept = None if record.topic.endswith(topics.ORDERS_INBOUND.name) else record.value
    return DeadLetterRecord(
        source_topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=kept[:KEPT_BYTES] if kept is not None else None,
        value_bytes=len(record.value or b""),
        error=letter.error,
        reason=letter.reason[:1000],
        place=letter.place[:200],
        at_ms=letter.at_ms,
        worker=worker,
    )


def end_process() -> None:
    """At once, for a restart; nothing is tidied up, since that would hang too."""
    os._exit(75)


def run(settings: Settings, stop: threading.Event, when_hung: Callable[[], None] = end_process) -> None:
    """Works until stopped. Raises Fenced when another process has taken the slot.

    `when_hung` is called in the thread of the watchdog; whoever has more than a worker in its process gives another.
    """
    at = settings.kafka, settings.namespace
    rules, board, money, standing, arrivals = Rules(), ZoneBoard(), PriceBoard(), Standing(), Arrivals()
    followers: tuple[Follower[Any], ...] = (
        RulesFollower(*at, rules), ZoneFollower(*at, board), PriceFollower(*at, money),
        StandingFollower(*at, standing), ArrivalsFollower(*at, arrivals),
    )  # fmt: skip
    start_all(*followers)
    priced, index, roads = OrderPrices(money, seal_of(settings)), open_index(settings), open_roads(settings)

    def lookup(needs: Sequence[SearchNeed]) -> Sequence[SearchResult]:
        return index.search(needs)

    host = HostSettings(
        brokers=settings.kafka,
        group=f"{settings.namespace}dispatch",
        slot=settings.slot,
        batch_limit=settings.batch_limit,
        state_format=settings.state_format,
        journal=Path(settings.home) / "journal" / f"{settings.namespace}worker-{settings.slot}.json",
    )
    search = with_standing(with_travel(lookup, roads, arrivals, rules), standing, rules)
    app = application(rules, settings.namespace, search, f"worker-{settings.slot}", board, priced, pins_of(settings))
    worker = Worker(host, app, probe=crash_probe(os.environ.get(CRASH_AT, "")))
    health = HealthServer(settings.health_port, worker.parts)
    logs.get("dispatch.processors").info("started", process=f"worker-{settings.slot}")
    threading.Thread(target=watch, args=(worker, stop, when_hung), name="watchdog", daemon=True).start()
    try:
        worker.run(stop)
    finally:
        health.stop()
        for follower in followers:
            follower.stop()
        roads.close()
        index.close()


def watch(worker: Worker, stop: threading.Event, when_hung: Callable[[], None]) -> None:
    """Says when the client hangs inside a transaction: the log has all that another process needs to go on."""
    while not stop.wait(1.0):
        if worker.open_for_s() > HANGS_AFTER_S:
            logs.get("dispatch.processors").error("failed", process="worker", reason="a transaction hung")
            when_hung()
            return


def crash_probe(where: str) -> "CrashProbe":
    """The probe of `step:n`; empty: one that does nothing."""
    step, _, times = where.partition(":")
    return CrashProbe(step, int(times or 1))


class CrashProbe:
    """Kills the process, as the kernel would, the nth time a step is reached."""

    def __init__(self, step: str, times: int) -> None:
        self._step, self._left = step, times

    def __call__(self, step: str) -> None:
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
