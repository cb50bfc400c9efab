"""Who plays the drivers in fault tests, and who listens for the next committed decision."""

import queue
import random
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from confluent_kafka import OFFSET_END, Consumer, KafkaError, TopicPartition
from running import PLACE, Dispatch, now_ms

from dispatch.contract import codec, identity, topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.system import DriverLocation
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.reach import murmur2

_PING_S = 5.0


def follower(dispatch: Dispatch, topic: topics.Topic, *, from_start: bool) -> Consumer:
    """Reads what is committed in a topic, with every partition assigned."""
    consumer = Consumer(
        {
            **kafka_client(dispatch.settings.kafka, "couriers"),
            "group.id": UNCOMMITTED,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.min.bytes": 10_000,
            "fetch.wait.max.ms": 20,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
    )
    name = dispatch.namespace + topic.name
    begin = 0 if from_start else OFFSET_END
    places = [
        TopicPartition(name, number, begin) for number in consumer.list_topics(name, timeout=20).topics[name].partitions
    ]
    consumer.assign(places)
    return consumer


def told_of(failed: list[Exception], run: Callable[[], None]) -> None:
    """What a thread does; what ends it is kept for whoever closes it, who would not hear of it otherwise."""
    try:
        run()
    except Exception as error:
        failed.append(error)
        raise


class Follower(ABC):
    """A thread that takes every record of a topic until closed. What goes wrong in it is raised by `close`."""

    def __init__(self, dispatch: Dispatch, topic: topics.Topic, *, from_start: bool) -> None:
        self.dispatch = dispatch
        self._consumer = follower(dispatch, topic, from_start=from_start)
        self._stop = threading.Event()
        self._failed: list[Exception] = []
        self._thread = threading.Thread(target=told_of, args=(self._failed, self._run), name=type(self).__name__)
        self._thread.start()

    @abstractmethod
    def take(self, message: Any) -> None:
        """One record."""

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()
        if self._failed:
            raise self._failed[0]

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, 0.05):
                error = message.error()
                if error is None:
                    self.take(message)
                elif error.code() == KafkaError.OFFSET_OUT_OF_RANGE or error.fatal():
                    raise AssertionError(f"the log lost records: {error.str()}")


class Couriers(Follower):
    """Accepts offers (a share is refused), collects and hands over at once; knows what became of every order."""

    def __init__(self, dispatch: Dispatch, *, refuse: float = 0.0, seed: int = 1) -> None:
        self.assigned: set[str] = set()
        self.completed: set[str] = set()
        self.sources: dict[str, list[tuple[str, bool, int]]] = {}
        """Of each delivery its searches: who answered, whether Valkey did, how many were found."""
        self.nobody: dict[str, list[str]] = {}
        self._refuse, self._chance = refuse, random.Random(seed)
        super().__init__(dispatch, topics.DELIVERY_EVENTS, from_start=True)

    def take(self, message: Any) -> None:
        """Does what a driver does at this event."""
        event: Any = codec.decode(message.value())
        name = event.delivery_id
        match event:
            case de.DriverCandidatesFound():
                self.sources.setdefault(name, []).append((event.source, event.redis_ok, len(event.candidates)))
            case de.NoDriverFound():
                self.nobody.setdefault(name, []).append(event.why)
            case de.DriverOfferSent():
                held = {"offer_id": event.offer_id, "driver_id": event.driver_id}
                if self._chance.random() < self._refuse:
                    self.dispatch.delivery(dc.RejectOffer, name, reason="too_far", **held)
                else:
                    self.dispatch.delivery(dc.AcceptOffer, name, **held)
            case de.DriverAssigned():
                self.assigned.add(name)
                held = {"offer_id": event.offer_id, "driver_id": event.driver_id}
                for step in ("picked_up", "delivered"):
                    self.dispatch.delivery(dc.ReportProgress, name, step=step, **held)
            case de.DeliveryCompleted():
                self.completed.add(name)

    def found_by(self, names: list[str]) -> Counter[str]:
        """Who answered the last search of each."""
        return Counter(self.sources[name][-1][0] for name in names if name in self.sources)


class Pulse(Follower):
    """Hears every committed decision, and knows how long each partition was silent after a moment."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.decided = 0
        self._heard: deque[tuple[int, int, float]] = deque(maxlen=50_000)
        super().__init__(dispatch, topics.DECISIONS, from_start=False)

    def take(self, message: Any) -> None:
        """Notes partition, the record's own time, and when it could be read."""
        self.decided += 1
        self._heard.append((message.partition(), message.timestamp()[1], time.time() * 1000))

    def back_after_s(self, since_ms: int, partitions: int) -> float | None:
        """Seconds until so many partitions had a decision made after the moment; None: they have not yet."""
        first: dict[int, float] = {}
        for partition, stamp_ms, heard_ms in reversed(tuple(self._heard)):
            if heard_ms < since_ms:
                break
            if stamp_ms > since_ms:
                first[partition] = heard_ms
        return (sorted(first.values())[partitions - 1] - since_ms) / 1000 if len(first) >= partitions else None


@dataclass(frozen=True)
class Wanted:
    """An order to come."""

    number: int
    seller_id: str

    @property
    def delivery_id(self) -> str:
        """What it is called by us."""
        return identity.delivery_id(self.seller_id, f"o{self.number}")


class Traffic:
    """Orders at a steady rate and pings of all drivers, until closed.

    `told`: every so manieth order is of the seller who is told by webhooks. `held`: whether none is to be sent now,
    after so many; those are not made up for.
    """

    def __init__(
        self, dispatch: Dispatch, drivers: list[str], rate: float, *, told: int = 1,
        held: Callable[[int], bool] = lambda _sent: False,
    ) -> None:  # fmt: skip
        self.sent: list[str] = []
        self._dispatch, self._drivers, self._rate, self._told, self._held = dispatch, drivers, rate, told, held
        self._number, self._hot_until_s = 1_000_000, 0.0
        self.door: Door | None = None
        """Who takes every fourth order over HTTP; None: all go through the Kafka door."""
        self._stop = threading.Event()
        self._failed: list[Exception] = []
        self._thread = threading.Thread(target=told_of, args=(self._failed, self._run), name="traffic")
        self._thread.start()

    def close(self) -> None:
        """No more."""
        self._stop.set()
        self._thread.join()
        if self.door is not None:
            self.sent += self.door.close()
        self._dispatch.flush()
        if self._failed:
            raise self._failed[0]

    @property
    def count(self) -> int:
        """Orders that were taken so far."""
        return len(self.sent) + (len(self.door.taken) if self.door else 0)

    def heat(self, seconds: float) -> None:
        """For a while all orders are of one partition."""
        self._hot_until_s = time.monotonic() + seconds

    def repeated(self, number: int, times: int) -> str:
        """One order, the very same message so often; the delivery's id."""
        names = {self._dispatch.order(number, placed_at_ms=now_ms() // 60_000 * 60_000) for _ in range(times)}
        assert len(names) == 1
        return names.pop()

    def _next(self) -> Wanted:
        partitions = self._dispatch.settings.partitions
        while True:
            self._number += 1
            order = Wanted(self._number, "s1" if self._number % self._told == 0 else "s2")
            if time.monotonic() > self._hot_until_s or murmur2(order.delivery_id.encode()) % partitions == 0:
                return order

    def _run(self) -> None:
        pinged, due = time.monotonic(), time.monotonic()
        while not self._stop.wait(0.02):
            now = time.monotonic()
            while due < now:
                due += 1 / self._rate
                if not self._held(self.count):
                    self._send(self._next())
            if now - pinged > _PING_S:
                pinged = now
                ping(self._dispatch, self._drivers)

    def _send(self, order: Wanted) -> None:
        if self.door is not None and order.number % 4 == 0:
            self.door.orders.put(order)
            return
        lat, lng = spot(order.number)
        self.sent.append(self._dispatch.order(
            order.number, message_id=uuid.uuid4().hex, seller_id=order.seller_id, pickup_lat=lat, pickup_lng=lng
        ))  # fmt: skip


class Door:
    """Sellers' programs before the gateway: each asks until it is answered, with the same key. `taken` is what was."""

    def __init__(self, port: int, programs: int = 1) -> None:
        self.orders: queue.Queue[Wanted] = queue.Queue()
        self.taken: list[str] = []
        self.refused: list[str] = []
        self._url = f"http://127.0.0.1:{port}/v2/orders/ready"
        self._stop = threading.Event()
        self._failed: list[Exception] = []
        self._threads = [
            threading.Thread(target=told_of, args=(self._failed, self._run), name=f"door {number}")
            for number in range(programs)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> list[str]:
        """The deliveries that were answered for. Raises what ended one of the programs."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise self._failed[0]
        return self.taken

    def _run(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stop.is_set():
                try:
                    order = self.orders.get(timeout=0.2)
                except queue.Empty:
                    continue
                while not self._stop.is_set() and not self._asked(client, order):
                    self._stop.wait(0.2)

    def _asked(self, client: httpx.Client, order: Wanted) -> bool:
        lat, lng = spot(order.number)
        body = {
            "seller_id": order.seller_id, "seller_order_id": f"o{order.number}", "order_value_minor": 2000,
            "currency": "EUR", "pickup": {"name": "Anker", "lat": lat, "lng": lng},
            "dropoff": {"lat": 48.0123, "lng": 7.8612},
        }  # fmt: skip
        try:
            answer = client.post(self._url, json=body, headers={"idempotency-key": f"order {order.number}"})
        except httpx.HTTPError:
            return False
        if answer.status_code in (200, 201, 202):
            if (said := answer.json().get("delivery_id")) != order.delivery_id:
                self.refused.append(f"{answer.status_code} names {said}, and not {order.delivery_id}")
            self.taken.append(order.delivery_id)
            return True
        if answer.status_code < 500 and answer.status_code not in (409, 429):
            self.refused.append(f"{answer.status_code} {answer.text[:200]}")
            return True
        return False


def spot(number: int) -> tuple[float, float]:
    """A place within some 2 km of the town's middle, always the same for a number: degrees."""
    return PLACE[0] + 0.03 * (number * 0.618034 % 1 - 0.5), PLACE[1] + 0.04 * (number * 0.754878 % 1 - 0.5)


def ping(dispatch: Dispatch, drivers: list[str]) -> None:
    """Every driver says where they are."""
    for number, name in enumerate(drivers):
        lat, lng = spot(number)
        dispatch.send(topics.DRIVER_LOCATIONS, name, DriverLocation(driver_id=name, lat=lat, lng=lng, at_ms=now_ms()))
