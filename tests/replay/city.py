"""A log made in memory by the real host and the real aggregates: one partition, a clock that is a number."""

import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from dispatch.contract import codec, identity
from dispatch.contract.personal import split
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.inbound import InboundOrderReady
from dispatch.contract.records.system import Decision, PolicyPublished
from dispatch.core.policy import Flags, Policy
from dispatch.inputs.candidates.memory import MemoryIndex
from dispatch.inputs.candidates.port import IndexedDriver
from dispatch.inputs.rules import Rules, policy_record
from dispatch.inputs.zones import ZoneBoard
from dispatch.log.application import Record
from dispatch.log.batch import Batch
from dispatch.log.reach import NOWHERE, Reach
from dispatch.log.store import PartitionStore
from dispatch.processors.service import application
from dispatch.replay.policies import Policies
from dispatch.replay.report import Report
from dispatch.replay.verify import Asked, Sources, Verifier

START_MS = 1_790_000_000_000
PLACE = (48.0, 7.85)
STEPS = ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered")
Log = dict[str, list[Record]]


class City:
    """Commands in, a log out."""

    def __init__(self, policy: Policy | None = None, flags: Flags | None = None, *, hand_over: bool = True) -> None:
        self.rules = Rules(policy or Policy(version=1), flags)
        self.published = [policy_record(self.rules.policy, at_ms=0, actor_id="t")]
        self.now_ms, self.log = START_MS, defaultdict(list)
        self.index, self.zones = MemoryIndex(), ZoneBoard()
        self.app = application(self.rules, "", self.index.search, zones=self.zones)
        self.stores = {one.commands_topic: PartitionStore(one, 0) for one in self.app.aggregates}
        self._reach = Reach(self.stores, 1, self.stores.values()) if hand_over else NOWHERE
        self._numbers = itertools.count()
        self._read: dict[str, int] = defaultdict(int)

    def policy(self, policy: Policy) -> None:
        """Another policy is in force from now on."""
        self.rules.policy = policy
        self.published.append(policy_record(policy, at_ms=self.now_ms, actor_id="t"))

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        self.log[topic].append(Record(topic, 0, len(self.log[topic]), self.now_ms, key, value))

    def send(self, kind: type[Any], key: str, actor: str = "", **fields: Any) -> Any:
        of_delivery = kind.__module__ == dc.__name__
        actor = actor or ("driver" if not of_delivery or "driver_id" in fields else "order_service")
        command = kind(
            command_id=identity.derived("t", str(next(self._numbers))), at_ms=self.now_ms, actor_type=actor,
            actor_id=fields.get("driver_id", "somebody"), correlation_id=key,
            **{"delivery_id" if of_delivery else "driver_id": key}, **fields,
        )  # fmt: skip
        self.put("delivery.commands" if of_delivery else "driver.commands", key.encode(), codec.encode(command))
        return command

    def work(self, limit: int = 50) -> None:
        """Batches until nothing is left to read."""
        for _ in range(1_000):
            records = [
                record
                for topic in self.stores
                for record in self.log[topic][self._read[topic] : self._read[topic] + limit]
            ]
            due = {store: store.take_due(self.now_ms, limit) for store in self.stores.values()}
            if not records and not any(due.values()):
                return
            batch = Batch(self.app.lookup, self.app.dead_letter, self.now_ms, reach=self._reach)
            batch.prepare(records, {(topic, 0): store for topic, store in self.stores.items()}, {})
            for store, timers in due.items():
                for name, timer in timers:
                    batch.add_timer(store, name, timer)
            batch.look_up()
            for message in (*batch.decide(), *batch.detours):
                self.put(message.topic, message.key, message.value)
            for store, name, raw, live in batch.written:
                store.put(name, raw, live)
            for topic in self.stores:
                self._read[topic] += sum(record.topic == topic for record in records)
        raise AssertionError("it never ends")

    def pass_s(self, seconds: float, step_s: float = 5) -> None:
        """Time passes, and timers fire."""
        end_ms = self.now_ms + round(seconds * 1000)
        while self.now_ms < end_ms:
            self.now_ms = min(end_ms, self.now_ms + round(step_s * 1000))
            self.work()

    def state(self, name: str, topic: str = "delivery.commands") -> Any:
        return self.stores[topic].get(name).state

    # The domain's words.

    def sign_on(self, *names: str, capacity: int = 1, metres: int = 100) -> "City":
        for place, name in enumerate(names):
            self.send(vc.SignOn, name, vehicle="car", capacity=capacity, rating=4.5, lat=PLACE[0], lng=PLACE[1])
            lat = PLACE[0] + (metres * (place + 1)) / 111_195
            self.index.put([IndexedDriver(driver_id=name, lat=lat, lng=PLACE[1], vehicle="car", capacity=capacity,
                                          orders=0, rating=4.5, availability="AVAILABLE")])  # fmt: skip
        self.work()
        return self

    def order(self, number: int = 1, **changes: Any) -> tuple[str, Any]:
        fields: dict[str, Any] = {
            "message_id": f"m{number}", "seller_id": "s1", "seller_order_id": f"o{number}", "store_name": "Anker",
            "pickup_lat": PLACE[0], "pickup_lng": PLACE[1], "dropoff_lat": 48.0123, "dropoff_lng": 7.8612,
            "order_value_minor": 2000, "delivery_fee_minor": 299, "currency": "EUR", "placed_at_ms": self.now_ms,
            "customer_name": "Clara Q.", "customer_phone": "+49 761 5550123",
        } | changes  # fmt: skip
        name, order, _ = split(InboundOrderReady(**fields))
        return name, order

    def ready(self, number: int = 1, **changes: Any) -> str:
        name, order = self.order(number, **changes)
        self.send(dc.MarkReady, name, order=order)
        self.work()
        return name

    def offer(self, name: str) -> dict[str, str]:
        phase: Any = self.state(name).phase
        return {"offer_id": phase.offer_id, "driver_id": phase.driver_id}

    def accept(self, name: str) -> None:
        self.send(dc.AcceptOffer, name, **self.offer(name))
        self.work()

    def reject(self, name: str, reason: str = "too_far", note: str = "") -> None:
        self.send(dc.RejectOffer, name, **self.offer(name), reason=reason, note=note)
        self.work()

    def carry(self, name: str, steps: tuple[str, ...] = STEPS) -> None:
        held = self.offer(name)
        for step in steps:
            self.now_ms += 60_000
            self.send(dc.ReportProgress, name, **held, step=step)
            self.work()


def an_evening(*, hand_over: bool = True) -> City:
    """Three orders: one delivered after a refusal, one expired and cancelled, one that finds nobody."""
    city = City(hand_over=hand_over).sign_on("ana", "ben", "cleo")
    first = city.ready(1)
    city.now_ms += 4_000
    city.reject(first, note="a canary sings")
    city.now_ms += 3_000
    city.accept(first)
    second = city.ready(2)
    city.pass_s(40)
    city.send(dc.CancelDelivery, second, reason="changed my mind")
    city.work()
    city.carry(first)
    city.index.clear()
    city.ready(3)
    city.pass_s(1_900, 20)
    return city


def source(records: list[Record]) -> Callable[[], Record | None]:
    """As a topic is read."""
    left = iter(records)
    return lambda: next(left, None)


def verified(log: Log, published: list[PolicyPublished], asked: Asked | None = None) -> Report:
    """The report of verifying a log in memory."""
    report = Report()
    topics_of = ("decisions", "delivery.events", "driver.events")
    Verifier(Policies(published), Sources(*(source(log[name]) for name in topics_of)), asked or Asked(), report).run()
    return report


def changed(log: Log, topic: str, offset: int, value: bytes | None) -> Log:
    """The log with another value in one place; None: without the record."""
    records = [
        record._replace(value=value) if record.offset == offset else record
        for record in log[topic]
        if record.offset != offset or value is not None
    ]
    return {**log, topic: records}


def decisions(log: Log) -> list[tuple[Record, Decision]]:
    return [(record, codec.decode(record.value)) for record in log["decisions"]]  # type: ignore[misc]
