"""Decisions a second of one worker on the real mix: ready, reserve, grant, offer, accept, confirm, six steps,
release. All input of a phase lies in the topics before the worker starts, so that it works at full batches.
"""

import threading
import time
import uuid
from typing import Any

from confluent_kafka import Producer

from dispatch import setup
from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.shared import Order
from dispatch.core.facts import SearchNeed, SearchResult
from dispatch.inputs.candidates.port import IndexedDriver
from dispatch.inputs.rules import Rules
from dispatch.log import metrics
from dispatch.log.reading import read_all
from dispatch.log.settings import HostSettings
from dispatch.log.store import PartitionStore
from dispatch.log.worker import Worker
from dispatch.processors.service import application

STEPS = ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered")


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


class OneEach:
    """An index that gives each delivery another driver, so that no reservation is denied."""

    def __init__(self, drivers: int) -> None:
        self._next, self._drivers = 0, drivers

    def search(self, needs: Any) -> list[SearchResult]:
        """One driver a need."""
        return [self._one(need) for need in needs]

    def _one(self, need: SearchNeed) -> SearchResult:
        name = f"driver-{self._next % self._drivers}"
        self._next += 1
        driver = IndexedDriver(driver_id=name, lat=need.lat, lng=need.lng, vehicle="car", capacity=1, orders=0,
                               rating=4.5, availability="AVAILABLE")  # fmt: skip
        return SearchResult(drivers=(driver.found(500.0),), source="memory")


class Load:
    """Commands of an evening, written to the topics."""

    def __init__(self, settings: Settings) -> None:
        self._namespace = settings.namespace
        self._producer = Producer({"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random",
                                   "linger.ms": 20,
                                   "queue.buffering.max.messages": 1_000_000})  # fmt: skip

    def send(self, topic: topics.Topic, key: str, record: Any) -> None:
        """Queues a record."""
        self._producer.produce(self._namespace + topic.name, codec.encode(record), key.encode())
        self._producer.poll(0)

    def flush(self) -> None:
        """Waits until all is taken."""
        self._producer.flush(60)

    def sign_on(self, count: int) -> None:
        """Drivers begin."""
        for number in range(count):
            name = f"driver-{number}"
            self.send(
                topics.DRIVER_COMMANDS,
                name,
                vc.SignOn(**_header("driver"), driver_id=name, vehicle="car", lat=48.0, lng=7.8),
            )

    def orders(self, count: int) -> list[str]:
        """Orders are ready."""
        names = []
        for number in range(count):
            order = Order(
                seller_id="s", seller_order_id=str(number), store_name="Anker", pickup_lat=48.0 + number * 1e-6,
                pickup_lng=7.85, dropoff_lat=48.01, dropoff_lng=7.86, order_value_minor=2000, delivery_fee_minor=299,
                currency="EUR", placed_at_ms=now_ms(),
            )  # fmt: skip
            name = identity.delivery_id("s", str(number))
            names.append(name)
            self.send(
                topics.DELIVERY_COMMANDS, name, dc.MarkReady(**_header("order_service"), delivery_id=name, order=order)
            )
        return names

    def carried_out(self, offers: list[Any]) -> None:
        """Every offer is accepted and delivered."""
        for offer in offers:
            held = {"delivery_id": offer.delivery_id, "offer_id": offer.offer_id, "driver_id": offer.driver_id}
            self.send(
                topics.DELIVERY_COMMANDS, offer.delivery_id, dc.AcceptOffer(**_header("driver"), **held, reply_to=0)
            )
            for step in STEPS:
                self.send(
                    topics.DELIVERY_COMMANDS,
                    offer.delivery_id,
                    dc.ReportProgress(**_header("driver"), **held, step=step, reply_to=0),
                )


def _header(actor: str) -> dict[str, Any]:
    return {
        "command_id": str(uuid.uuid4()),
        "at_ms": now_ms(),
        "actor_type": actor,
        "actor_id": "bench",
        "correlation_id": "bench",
    }


def _work(worker: Worker, until: Any) -> float:
    """Runs the worker until it is done; seconds from its first transaction to its last."""
    stop, decided, first, last = threading.Event(), -1.0, 0.0, 0.0
    thread = threading.Thread(target=worker.run, args=(stop,))
    begin = metrics.DECISIONS._value.get()
    thread.start()
    while not until(metrics.DECISIONS._value.get() - begin):
        now = metrics.DECISIONS._value.get() - begin
        if now != decided and now:
            first, last = first or time.monotonic(), time.monotonic()
        decided = now
        time.sleep(0.01)
    last = time.monotonic()
    stop.set()
    thread.join()
    return last - first


def run(kafka: str, orders: int = 4_000) -> dict[str, float]:
    """Figures of one worker over so many whole deliveries."""
    settings = Settings(kafka=kafka, namespace=f"bench{uuid.uuid4().hex[:6]}.")
    setup.create_topics(settings)
    load, index = Load(settings), OneEach(orders)
    app = application(Rules(), settings.namespace, index.search)
    host = HostSettings(kafka, f"{settings.namespace}dispatch")
    load.sign_on(orders)
    load.flush()
    seconds = _work(Worker(host, app), lambda count: count >= orders)
    figures = {"sign-ons a second": orders / seconds}
    load.orders(orders)
    load.flush()
    seconds_1 = _work(Worker(host, app), lambda count: count >= 3 * orders)
    offers = [codec.decode(record.value) for record in read_all(kafka, [settings.namespace + topics.OFFERS.name])]
    load.carried_out(offers)
    load.flush()
    began = time.monotonic()
    seconds_2 = _work(Worker(host, app), lambda count: count >= 9 * orders)
    total = 12 * orders
    figures |= {
        "decisions": total,
        "decisions a second, ready to offer": 3 * orders / seconds_1,
        "decisions a second, accept to released": 9 * orders / seconds_2,
        "decisions a second": total / (seconds_1 + seconds_2),
        "whole deliveries a second, no projector": orders / (seconds_1 + seconds_2),
    }
    events = [
        codec.decode(record.value) for record in read_all(kafka, [settings.namespace + topics.DELIVERY_EVENTS.name])
    ]
    figures["deliveries completed"] = sum(isinstance(event, de.DeliveryCompleted) for event in events)
    figures["seconds in all"] = time.monotonic() - began
    return figures


def restore(kafka: str, count: int = 100_000) -> dict[str, float]:
    """Time and memory to restore so many active deliveries."""
    import psutil

    from dispatch.contract.records.delivery_commands import MarkReady
    from dispatch.core.facts import Facts
    from dispatch.core.policy import Flags, Policy
    from dispatch.log.envelope import WRITTEN, Envelope, dump
    from dispatch.log.restore import restore as read_back
    from dispatch.processors.cores import DELIVERY, aggregates

    settings = Settings(kafka=kafka, namespace=f"bench{uuid.uuid4().hex[:6]}.")
    setup.create_topics(settings)
    deliveries, _ = aggregates(Rules(), settings.namespace)
    order = Order(
        seller_id="s", seller_order_id="o", store_name="Anker", pickup_lat=48.0, pickup_lng=7.85, dropoff_lat=48.0,
        dropoff_lng=7.8, order_value_minor=2000, delivery_fee_minor=299, currency="EUR", placed_at_ms=now_ms(),
    )  # fmt: skip
    state: Any = DELIVERY.initial(identity.derived("x"))
    search = OneEach(10).search([SearchNeed(lat=1, lng=1, radius_m=1, limit=1)])[0]
    facts = Facts(now_ms=now_ms(), wall_ms=now_ms(), policy=Policy(), flags=Flags(), search=search)
    events: Any = DELIVERY.decide(
        state, MarkReady(**_header("order_service"), delivery_id=state.id, order=order), facts
    )
    for event in events:
        state = DELIVERY.evolve(state, event)
    due = tuple((one.kind, one.at_ms, one.ref) for one in DELIVERY.deadlines(state))
    recent = tuple((uuid.uuid4().bytes, b"x" * 30) for _ in range(6))
    raw = dump(Envelope(WRITTEN, now_ms(), due, recent, deliveries.dump(state)))
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "queue.buffering.max.messages": 500_000})
    for number in range(count):
        producer.produce(
            deliveries.state_topic, raw, identity.derived(str(number)).encode(), number % settings.partitions
        )
        producer.poll(0)
    producer.flush(60)
    process = psutil.Process()
    before, began = process.memory_info().rss, time.monotonic()
    stores = [PartitionStore(deliveries, number) for number in range(settings.partitions)]
    read = read_back(HostSettings(kafka, "bench"), stores)
    took = time.monotonic() - began
    return {
        "active deliveries": read,
        "bytes of one record": len(raw),
        "restore, seconds": took,
        "memory, KB each": (process.memory_info().rss - before) / 1024 / max(1, sum(map(len, stores))),
    }
