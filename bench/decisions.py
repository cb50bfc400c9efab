"""One worker's decisions a second on the real mix: ready, reserve, grant, accept, confirm, six steps, release.

All input of a phase lies in the topics before the worker starts, so that it works at full batches; candidates come from
memory. And the restore of a worker that holds very many deliveries.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import psutil
from confluent_kafka import Producer

from bench.town import Town, now_ms
from dispatch import setup
from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.delivery_commands import MarkReady
from dispatch.contract.records.offers import OfferCreated
from dispatch.contract.records.shared import Order
from dispatch.core.facts import Facts, SearchNeed, SearchResult
from dispatch.core.policy import Flags, Policy
from dispatch.inputs.candidates.port import IndexedDriver
from dispatch.inputs.rules import Rules
from dispatch.log.envelope import WRITTEN, Envelope, dump
from dispatch.log.reading import read_all
from dispatch.log.restore import restore as read_back
from dispatch.log.settings import HostSettings
from dispatch.log.store import PartitionStore
from dispatch.log.worker import Worker
from dispatch.metrics import host as metrics
from dispatch.processors.cores import DELIVERY, aggregates
from dispatch.processors.service import application

Figures = dict[str, float]
_A_DELIVERY = 12
"""Decisions: ready, reserved, granted, accepted, confirmed, six steps, released."""


class InTurn:
    """An index that gives each delivery another driver, so that no reservation is denied."""

    def __init__(self, drivers: Sequence[str]) -> None:
        self._drivers, self._next = drivers, 0

    def search(self, needs: Sequence[SearchNeed]) -> list[SearchResult]:
        """One driver a need."""
        return [self._one(need) for need in needs]

    def _one(self, need: SearchNeed) -> SearchResult:
        name = self._drivers[self._next % len(self._drivers)]
        self._next += 1
        driver = IndexedDriver(driver_id=name, lat=need.lat, lng=need.lng, vehicle="car", capacity=1, orders=0,
                               rating=4.5, availability="AVAILABLE")  # fmt: skip
        return SearchResult(drivers=(driver.found(500.0),), source="memory")


def run(kafka: str, orders: int = 8_000) -> Figures:
    """Figures of one worker over so many whole deliveries."""
    settings = Settings(kafka=kafka, namespace=f"bench{uuid.uuid4().hex[:6]}.")
    setup.create_topics(settings)
    town = Town(kafka, namespace=settings.namespace)
    index = InTurn(town.sign_on(orders))
    app = application(Rules(), settings.namespace, index.search)
    worker_of = HostSettings(kafka, f"{settings.namespace}dispatch")

    def work(decisions: int) -> float:
        return _work(Worker(worker_of, app), lambda count: count >= decisions)

    work(orders)
    for _ in range(orders):
        town.order_ready_as_command()
    town.flush()
    to_offer_s = work(3 * orders)
    offered = [codec.decode(record.value) for record in read_all(kafka, [settings.namespace + topics.OFFERS.name])]
    for offer in offered:
        if isinstance(offer, OfferCreated):
            held = {"delivery_id": offer.delivery_id, "offer_id": offer.offer_id, "driver_id": offer.driver_id}
            town.accepted(held)
            town.carried_out(held)
    town.flush()
    to_end_s = work((_A_DELIVERY - 3) * orders)
    events = (codec.decode(record.value) for record in read_all(kafka, [settings.namespace + "delivery.events"]))
    completed = sum(isinstance(event, de.DeliveryCompleted) for event in events)
    if completed != orders:
        raise RuntimeError(f"{completed} of {orders} deliveries were completed: the figures mean nothing")
    return {
        "decisions": _A_DELIVERY * orders,
        "decisions a second": _A_DELIVERY * orders / (to_offer_s + to_end_s),
        "decisions a second, ready to offer": 3 * orders / to_offer_s,
        "decisions a second, accept to released": (_A_DELIVERY - 3) * orders / to_end_s,
    }


def _work(worker: Worker, until: Callable[[float], bool]) -> float:
    """Runs the worker until it is done; seconds from its first transaction to its last."""
    stop, decided, first, last = threading.Event(), 0.0, 0.0, 0.0
    thread = threading.Thread(target=worker.run, args=(stop,))
    begin, limit = metrics.DECISIONS._value.get(), time.monotonic() + 120
    thread.start()
    while not until(decided):
        now = metrics.DECISIONS._value.get() - begin
        if now != decided:
            decided, last = now, time.monotonic()
            first = first or last
        if time.monotonic() > limit:
            break
        time.sleep(0.005)
    stop.set()
    thread.join()
    if not until(decided):
        raise RuntimeError(f"{decided:.0f} decisions within 120 s, and no more came")
    return last - first


def fill_states(kafka: str, count: int = 100_000) -> str:
    """Writes the states of so many active deliveries, each with an offer asked for; gives the namespace."""
    settings = Settings(kafka=kafka, namespace=f"bench{uuid.uuid4().hex[:6]}.")
    setup.create_topics(settings)
    deliveries, _ = aggregates(Rules(), settings.namespace)
    raw = _a_state(deliveries)
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "queue.buffering.max.messages": count + 1})
    for number in range(count):
        key = identity.derived(str(number)).encode()
        producer.produce(deliveries.state_topic, raw, key, number % settings.partitions)
        producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the states were not written")
    return settings.namespace


def restore(kafka: str, namespace: str) -> Figures:
    """Time and memory to restore them. To be called in a process that has done nothing else."""
    settings = Settings(kafka=kafka, namespace=namespace)
    deliveries, _ = aggregates(Rules(), namespace)
    stores = [PartitionStore(deliveries, number) for number in range(settings.partitions)]
    process = psutil.Process()
    before, began = process.memory_info().rss, time.monotonic()
    read = read_back(HostSettings(kafka, "bench"), stores)
    took = time.monotonic() - began
    return {
        "active deliveries": read,
        "bytes of one record": len(_a_state(deliveries)),
        "restore, seconds": took,
        "memory, KB each": (process.memory_info().rss - before) / 1024 / max(1, sum(map(len, stores))),
    }


def _a_state(deliveries: Any) -> bytes:
    """The record of a delivery that has asked a driver, and remembers six commands."""
    order = Order(
        seller_id="s", seller_order_id="o", store_name="Anker", pickup_lat=48.0, pickup_lng=7.85, dropoff_lat=48.0,
        dropoff_lng=7.8, order_value_minor=2000, delivery_fee_minor=299, currency="EUR", placed_at_ms=now_ms(),
    )  # fmt: skip
    state: Any = DELIVERY.initial(identity.derived("x"))
    search = InTurn(["driver-1"]).search([SearchNeed(lat=1, lng=1, radius_m=1, limit=1)])[0]
    facts = Facts(now_ms=now_ms(), wall_ms=now_ms(), policy=Policy(), flags=Flags(), search=search)
    command = MarkReady(command_id=str(uuid.uuid4()), delivery_id=state.id, at_ms=now_ms(),
                        actor_type="order_service", actor_id="s", correlation_id="bench", order=order)  # fmt: skip
    events: Any = DELIVERY.decide(state, command, facts)
    for event in events:
        state = DELIVERY.evolve(state, event)
    due = tuple((one.kind, one.at_ms, one.ref) for one in DELIVERY.deadlines(state))
    recent = tuple((uuid.uuid4().bytes, b"x" * 30) for _ in range(6))
    return dump(Envelope(WRITTEN, now_ms(), due, recent, deliveries.dump(state)))
