"""What a worker gains by how the broker runs: brokers side by side, a worker each, loaded in turns.

Turns of a few seconds, so that a machine that is shared slows all of them alike: read the ratios. There are no doors
and no tables: from giving an order to Kafka to reading the offer from Kafka, and each order is delivered at once.
"""

import contextlib
import multiprocessing
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
from confluent_kafka import Consumer

from bench.decisions import InTurn
from bench.town import Town
from bench.whole import percentiles
from deploy.local import Kafka
from dispatch import setup
from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.records.offers import OfferCreated
from dispatch.inputs.rules import Rules
from dispatch.log.collector import rest_the_collector
from dispatch.log.logs import configure
from dispatch.log.settings import HostSettings
from dispatch.log.worker import Worker
from dispatch.processors.service import application

Figures = dict[str, float | str]
_LATE = ("-XX:Tier4InvocationThreshold=20000", "-XX:Tier4MinInvocationThreshold=2400",
         "-XX:Tier4CompileThreshold=60000", "-XX:Tier4BackEdgeThreshold=160000")  # fmt: skip
"""Java's second compiler begins at a fourfold of what Java thinks enough: as it was before docs/decisions/0031."""
_WIDE = ("-XX:-UseCompactObjectHeaders", "-XX:-UseTransparentHugePages", "-Xmn170m")
_THREADS: dict[str, object] = {"num.network.threads": 1, "num.io.threads": 2}
_SIDES: dict[str, tuple[tuple[str, ...], bool]] = {
    "as it is": ((), False),
    "compiled late": (_LATE, False),
    "and whole heads of objects in small pages": ((*_LATE, *_WIDE), False),
    "a thread a core": ((), True),
}
"""Java's options after ours, and whether there are fewer threads."""
_RATE, _BURST_S, _ROUNDS = 100, 5, 10
_DRIVERS = 1_000
_BEATS = 4
"""Every so many bursts all drivers are heard of: who is silent for five minutes is taken off the road."""
_PHASES = ((0, 4), (4, _ROUNDS))
"""Bursts: a broker that has just started, and one that has compiled the most of its code."""
_WAIT_S = 30.0


class _Broker(Kafka):
    """With other options, which come last and so are what counts, other threads, and nothing laid out ahead."""

    def __init__(self, folder: Path, more: tuple[str, ...], *, few: bool) -> None:
        super().__init__(folder)
        self._more, self._few = more, few
        self.options = []

    def java(self) -> list[str]:
        java = super().java()
        return [*java[:-2], *self._more, *java[-2:]]

    def _settings(self) -> dict[str, object]:
        return super()._settings() | (_THREADS if self._few else {})


def run() -> Figures:
    """Medians over the bursts of a phase: p50 and p99 in ms, the broker's CPU ms an order; each beside the first's."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides = {
            name: stack.enter_context(_side(folder / str(number), *how))
            for number, (name, how) in enumerate(_SIDES.items())
        }
        seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
        for number in range(_ROUNDS):
            for name in sides if number % 2 else reversed(sides):
                if number % _BEATS == 0:
                    sides[name].beat()
                seen[name].append(sides[name].burst())
    figures: Figures = {}
    first = next(iter(sides))
    for begin, end in _PHASES:
        orders = f"orders {begin * _RATE * _BURST_S:,} to {end * _RATE * _BURST_S:,}"
        for name, bursts in seen.items():
            for column, what in enumerate(("p50 ms", "p99 ms", "broker's CPU ms an order")):
                ratio = statistics.median(
                    mine[column] / its[column]
                    for mine, its in zip(bursts[begin:end], seen[first][begin:end], strict=True)
                )
                median = statistics.median(burst[column] for burst in bursts[begin:end])
                figures[f"{orders}, {name}: {what}"] = f"{median:.1f}  x{ratio:.2f}"
    return figures


class Side:
    """One broker with its worker."""

    def __init__(self, kafka: Kafka, namespace: str, town: Town) -> None:
        self._kafka, self._namespace, self._town = kafka, namespace, town
        self._drivers: list[str] = []
        self._ready: dict[str, float] = {}
        self._took: list[float] = []

    def burst(self) -> tuple[float, float, float]:
        """Orders for some seconds; those of the first half second are not counted."""
        self._took.clear()
        used_s, began = self._cpu_s(), time.perf_counter()
        for number in range(_RATE * _BURST_S):
            if (early_s := began + number / _RATE - time.perf_counter()) > 0:
                time.sleep(early_s)
            at = time.perf_counter()
            self._ready[self._town.order_ready()] = at
        self.settle()
        took = percentiles(self._took[_RATE // 2 :])
        return took["p50"], took["p99"], (self._cpu_s() - used_s) / (_RATE * _BURST_S) * 1000

    def settle(self) -> None:
        """Waits until every order was offered."""
        until = time.monotonic() + _WAIT_S
        while self._ready:
            if time.monotonic() > until:
                raise RuntimeError(f"{len(self._ready)} orders were not offered within {_WAIT_S:g} s")
            time.sleep(0.02)
        time.sleep(0.3)

    def sign_on(self) -> list[str]:
        """The drivers."""
        self._drivers = self._town.sign_on(_DRIVERS)
        return self._drivers

    def beat(self) -> None:
        """All drivers are heard of, and an order after that shows when all of it is read."""
        for name in self._drivers:
            self._town.alive(name)
        self._town.flush()
        self.order()
        self.settle()

    def order(self) -> None:
        """One, to see that all is there."""
        self._ready[self._town.order_ready()] = time.perf_counter()

    def follow(self, stop: threading.Event) -> None:
        """Reads offers, and has each taken and delivered."""
        consumer = Consumer({"bootstrap.servers": self._kafka.address, "group.id": self._namespace,
                             "isolation.level": "read_committed", "auto.offset.reset": "earliest"})  # fmt: skip
        consumer.subscribe([self._namespace + topics.OFFERS.name])
        while not stop.is_set():
            message = consumer.poll(0.05)
            record = codec.decode(message.value()) if message is not None and message.error() is None else None
            if isinstance(record, OfferCreated):
                if (at := self._ready.pop(record.delivery_id, None)) is not None:
                    self._took.append(time.perf_counter() - at)
                held = {"delivery_id": record.delivery_id, "offer_id": record.offer_id, "driver_id": record.driver_id}
                self._town.accepted(held)
                self._town.carried_out(held)
        consumer.close()

    def _cpu_s(self) -> float:
        times = psutil.Process(self._kafka.pid).cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def _side(folder: Path, more: tuple[str, ...], few: bool) -> Iterator[Side]:
    kafka = _Broker(folder, more, few=few)
    kafka.start()
    namespace = f"bench{uuid.uuid4().hex[:6]}."
    setup.create_topics(Settings(kafka=kafka.address, namespace=namespace, partitions=1))
    town = Town(kafka.address, namespace=namespace)
    side = Side(kafka, namespace, town)
    stop = threading.Event()
    worker = multiprocessing.get_context("spawn").Process(
        target=_work, args=(kafka.address, namespace, side.sign_on()), daemon=True
    )
    follower = threading.Thread(target=side.follow, args=(stop,))
    try:
        worker.start()
        follower.start()
        side.order()
        side.settle()
        yield side
    finally:
        stop.set()
        follower.join()
        worker.kill()
        worker.join()
        kafka.kill()


def _work(kafka: str, namespace: str, drivers: list[str]) -> None:
    configure("bench", "error")
    rest_the_collector()
    app = application(Rules(), namespace, InTurn(drivers).search)
    Worker(HostSettings(kafka, f"{namespace}dispatch"), app).run(threading.Event())
