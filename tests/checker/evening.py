"""A whole log made in memory: the real application on the host's real batches, one worker, a clock that is a number.

What goes in are records, what comes out is the log as Kafka would have it: every topic, offsets, stamps. Nothing fails
here; the simulation is for that.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from dispatch.contract import codec, identity, topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.inbound import InboundOrderReady
from dispatch.core.driver.states import Driver, availability, free_capacity
from dispatch.core.facts import FoundDriver, SearchNeed, SearchResult
from dispatch.core.policy import EscalationPolicy, Flag, Flags, OfferPolicy, Policy
from dispatch.inputs.rules import Rules
from dispatch.log.application import Message, Record
from dispatch.log.batch import Batch
from dispatch.log.reach import NOWHERE, Reach, murmur2
from dispatch.log.store import PartitionStore
from dispatch.processors.service import application

START_MS = 1_790_000_000_000
PLACE = (48.0, 7.85)
PARTITIONS = 2


class Evening:
    """One worker and its log."""

    def __init__(self, policy: Policy | None = None, flags: Flags | None = None, *, hands_over: bool = True) -> None:
        self.now_ms = START_MS
        self.log: list[Record] = []
        self._hands_over = hands_over
        self._ends: dict[tuple[str, int], int] = defaultdict(int)
        self._unread: list[Record] = []
        self._numbers = itertools.count(1)
        self._app = application(Rules(policy, flags), "", self._look)
        self._transforms = {source.topic: source for source in self._app.transforms}
        self._stores = {
            (aggregate.commands_topic, number): PartitionStore(aggregate, number)
            for aggregate in self._app.aggregates
            for number in range(PARTITIONS)
        }

    # The log.

    def append(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> Record:
        """One record at the end of its partition."""
        known = next(row for row in topics.CATALOGUE if row.name == topic)
        if partition is None:
            partition = 0 if known.partitions == "one" else murmur2(key or b"") % PARTITIONS
        place = (topic, partition)
        record = Record(topic, partition, self._ends[place], self.now_ms, key, value)
        self._ends[place] += 1
        self.log.append(record)
        if place in self._stores or topic in self._transforms:
            self._unread.append(record)
        return record

    def turn(self) -> None:
        """One transaction over everything unread and due."""
        reach = NOWHERE
        if self._hands_over:
            names = [aggregate.commands_topic for aggregate in self._app.aggregates]
            reach = Reach(names, PARTITIONS, self._stores.values())
        batch = Batch(self._app.lookup, self._app.dead_letter, self.now_ms, reach=reach)
        records, self._unread = self._unread, []
        batch.prepare(records, self._stores, self._transforms)
        for store in self._stores.values():
            for aggregate_id, deadline in store.take_due(self.now_ms, 1_000):
                batch.add_timer(store, aggregate_id, deadline)
        batch.look_up()
        messages: Sequence[Message] = batch.decide()
        for message in (*messages, *batch.detours):
            self.append(*message)
        for store, aggregate_id, raw, live in batch.written:
            store.put(aggregate_id, raw, live)

    def settle(self) -> Evening:
        """Turns until nothing is unread."""
        for _ in range(200):
            if not self._unread:
                return self
            self.turn()
        raise AssertionError("the log never comes to rest")

    def pass_s(self, seconds: float) -> Evening:
        """Time passes, and timers fire when they are due."""
        end_ms = self.now_ms + round(seconds * 1000)
        while True:
            due = [at for store in self._stores.values() if (at := store.next_due_ms(end_ms)) is not None]
            if not due or min(due) > end_ms:
                break
            self.now_ms = max(self.now_ms, *[min(due)])
            self.turn()
            self.settle()
        self.now_ms = end_ms
        return self

    def forget_timers(self) -> None:
        """As a worker would that is not as it should be."""
        for store in self._stores.values():
            store._timers.clear()

    def _look(self, needs: Sequence[SearchNeed]) -> list[SearchResult]:
        return [self._search(need) for need in needs]

    def _search(self, need: SearchNeed) -> SearchResult:
        found, busy = [], 0
        for number, name in enumerate(sorted(self.drivers())):
            state = self.driver(name)
            if name in need.excluded or (need.named and name != need.named) or not state.known:
                continue
            if need.named or free_capacity(state) > 0:
                found.append(
                    FoundDriver(
                        driver_id=name,
                        lat=PLACE[0],
                        lng=PLACE[1],
                        distance_m=100 * (1 + number),
                        vehicle=state.vehicle,
                        capacity=state.capacity,
                        orders=len(state.holds),
                        rating=state.rating,
                        availability=availability(state),
                    )
                )
            else:
                busy += availability(state) == "BUSY"
        return SearchResult(drivers=tuple(found[: need.limit]), source="memory", busy_in_radius=busy)

    # The domain's words.

    def drivers(self) -> list[str]:
        """Everybody who ever said a word."""
        return list(dict.fromkeys(record.key.decode() for record in self.log if record.topic == "driver.commands"
                                  and record.key))  # fmt: skip

    def _state(self, topic: str, name: str) -> Any:
        return self._stores[topic, murmur2(name.encode()) % PARTITIONS].get(name).state

    def driver(self, name: str) -> Driver:
        """A driver's state."""
        state: Driver = self._state("driver.commands", name)
        return state

    def delivery(self, name: str) -> Any:
        """A delivery's state."""
        return self._state("delivery.commands", name)

    def send(self, kind: type[Any], key: str, actor: str = "", **fields: Any) -> Record:
        """A command from outside, with whatever follows."""
        of_delivery = kind.__module__ == dc.__name__
        actor_type = actor or ("driver" if not of_delivery or "driver_id" in fields else "order_service")
        more = {"command_id": identity.derived("test", str(next(self._numbers)))} | fields
        command = kind(
            at_ms=self.now_ms, actor_type=actor_type, actor_id="somebody", correlation_id="c",
            **{"delivery_id" if of_delivery else "driver_id": key}, **more,
        )  # fmt: skip
        topic = "delivery.commands" if of_delivery else "driver.commands"
        record = self.append(topic, key.encode(), codec.encode(command))
        self.settle()
        self.now_ms += 1_000
        return record

    def again(self, record: Record) -> Evening:
        """The same record comes a second time."""
        self.append(record.topic, record.key, record.value)
        return self.settle()

    def sign_on(self, *names: str, capacity: int = 1) -> Evening:
        """Drivers begin."""
        for name in names:
            self.send(vc.SignOn, name, vehicle="car", capacity=capacity, rating=4.5, lat=PLACE[0], lng=PLACE[1])
        return self

    def order(self, number: int = 1, **changes: Any) -> str:
        """An order through the Kafka door; the delivery's id."""
        fields: dict[str, Any] = {
            "message_id": f"m{number}", "seller_id": "s1", "seller_order_id": f"o{number}", "store_name": "Anker",
            "pickup_lat": PLACE[0], "pickup_lng": PLACE[1], "dropoff_lat": 48.0123, "dropoff_lng": 7.8612,
            "order_value_minor": 2000, "delivery_fee_minor": 299, "currency": "EUR", "placed_at_ms": self.now_ms,
            "customer_name": "Clara Q.", "customer_phone": "+49 761 5550123",
        } | changes  # fmt: skip
        self.append("orders.inbound", b"s1", codec.encode(InboundOrderReady(**fields)))
        self.settle()
        self.now_ms += 1_000
        return identity.delivery_id(fields["seller_id"], fields["seller_order_id"])

    def open(self, name: str) -> dict[str, str]:
        """The offer open, or the assignment held: its ids."""
        phase = self.delivery(name).phase
        return {"offer_id": phase.offer_id, "driver_id": phase.driver_id}

    def say(self, kind: type[Any], name: str, **fields: Any) -> Record:
        """What the driver asked or holding says."""
        return self.send(kind, name, **{**self.open(name), **fields})

    def bring(self, name: str) -> Evening:
        """Picked up and handed over."""
        for step in ("enroute_to_pickup", "picked_up", "arrived_at_dropoff", "delivered"):
            self.say(dc.ReportProgress, name, step=step)
        return self


def a_long_evening(*, hands_over: bool = True) -> Evening:
    """An evening on which everything happens that a log can show, and which ends in quiet."""
    here = Evening(hands_over=hands_over).sign_on("ana", "ben", "cleo")
    first, second = here.order(1), here.order(2)
    here.again(here.say(dc.AcceptOffer, first, reply_to=0))
    here.say(dc.RejectOffer, second, reason="too_far", reply_to=1)
    here.pass_s(31)  # silence assigns
    here.bring(first)
    here.say(dc.GiveUpDelivery, second, note="flat tyre")
    third = here.order(3)
    here.pass_s(31)
    for name in (second, third):
        if hasattr(here.delivery(name).phase, "offer_id"):
            here.bring(name)
    fourth = here.order(4)
    here.send(dc.CancelDelivery, fourth, reason="changed their mind", reply_to=0)
    fifth = here.order(5)
    here.say(dc.AcceptOffer, fifth)
    lost = here.open(fifth)["driver_id"]
    for _ in range(8):
        here.pass_s(59)
        for name in ("ana", "ben", "cleo"):
            if name != lost:
                here.send(vc.SeenAlive, name, seen_at_ms=here.now_ms)
    here.send(dc.CancelDelivery, fifth, reason="waited too long")
    here.send(dc.CancelDelivery, second, reason="nobody")
    here.send(vc.TakeBreak, "ben", duration_ms=600_000, reason="tea", reply_to=1)
    here.append("delivery.commands", first.encode(), b"nonsense")
    here.append("orders.inbound", b"s1", b"more of it")
    return here.settle()


STEPS = ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered")


class Chance:
    """An evening on which chance decides what everybody does, and which ends in quiet."""

    def __init__(self, seed: int, moves: int = 60) -> None:
        self._chance = random.Random(seed)
        pick = self._chance.choice
        flags = Flags(
            driver_offers=Flag(enabled=pick((True, True, False))), reassignment=Flag(enabled=pick((True, True, False))),
            escalation=Flag(enabled=pick((True, True, False))),
            availability_states=Flag(enabled=pick((True, True, False))),
        )  # fmt: skip
        on_expiry = pick(("auto_assign", "next_driver", "auto_assign_after_n"))
        policy = Policy(
            offer=OfferPolicy(on_expiry=on_expiry), escalation=EscalationPolicy(auto_cancel=pick((True, False)))
        )
        self.here = Evening(policy, flags, hands_over=pick((True, False)))
        self._names = ("ana", "ben", "cleo")
        self._orders: list[str] = []
        for name in self._names:
            self.here.sign_on(name, capacity=pick((1, 1, 2)))
        for _ in range(moves):
            pick((self._order, self._driver, self._driver, self._driver, self._others, self._duty, self._time))()
        self._close()

    def _order(self) -> None:
        number = self._chance.randint(1, 6)
        name = self.here.order(number, order_value_minor=self._chance.choice((2000, 2000, 2100)))
        if name not in self._orders:
            self._orders.append(name)

    def _driver(self) -> None:
        name = self._chance.choice(self._orders or [""])
        phase = self.here.delivery(name).phase if name else None
        if not hasattr(phase, "offer_id"):
            return
        fields = {"offer_id": phase.offer_id, "driver_id": phase.driver_id}
        if self._chance.random() < 0.1:
            fields["driver_id"] = self._chance.choice(self._names)
        kind: Any = self._chance.choice((dc.AcceptOffer, dc.AcceptOffer, dc.RejectOffer, dc.GiveUpDelivery,
                                         dc.FailDelivery, dc.ReturnDelivery, *(dc.ReportProgress,) * 6))  # fmt: skip
        more: dict[str, Any] = {dc.RejectOffer: {"reason": "other"}, dc.FailDelivery: {"reason": "r"},
                dc.ReportProgress: {"step": self._chance.choice(STEPS)}}.get(kind, {})  # fmt: skip
        record = self.here.send(kind, name, "driver", **fields, **more, reply_to=self._chance.choice((-1, 0, 1)))
        if self._chance.random() < 0.2:
            self.here.again(record)

    def _others(self) -> None:
        name = self._chance.choice(self._orders or ["11111111-1111-5111-8111-111111111111"])
        kind: Any = self._chance.choice((dc.CancelDelivery, dc.ReassignDelivery, dc.AssignDriver, dc.ReturnDelivery,
                                         dc.SearchAgain, dc.FailDelivery, dc.EscalateDelivery,
                                         dc.ChangePrepTime))  # fmt: skip
        fields: dict[Any, dict[str, Any]] = {
            dc.CancelDelivery: {"reason": "r"}, dc.ReassignDelivery: {"reason": "admin_forced"},
            dc.AssignDriver: {"driver_id": self._chance.choice((*self._names, "ghost")), "note": "n"},
            dc.FailDelivery: {"reason": "r"}, dc.ChangePrepTime: {"prep_s": self._chance.randint(1, 900)},
        }  # fmt: skip
        actor = self._chance.choice(("admin", "system", "order_service"))
        self.here.send(kind, name, actor, **fields.get(kind, {}), reply_to=self._chance.choice((-1, 0)))

    def _duty(self) -> None:
        kind: Any = self._chance.choice((vc.TakeBreak, vc.ExtendBreak, vc.EndShift, vc.ResumeWork, vc.ResumeWork,
                                         vc.PauseDriver, vc.UnpauseDriver, vc.SeenAlive, vc.SignOn))  # fmt: skip
        fields: dict[Any, dict[str, Any]] = {
            vc.TakeBreak: {"duration_ms": 600_000}, vc.ExtendBreak: {"extra_ms": 300_000},
            vc.EndShift: {"after_delivery": self._chance.random() < 0.5}, vc.UnpauseDriver: {"reason": "r"},
            vc.PauseDriver: {"reason": "r", "held": self._chance.choice(("keep", "reassign"))},
            vc.SeenAlive: {"seen_at_ms": self.here.now_ms},
            vc.SignOn: {"vehicle": "car", "capacity": self._chance.choice((1, 2)), "lat": 1.0, "lng": 1.0},
        }  # fmt: skip
        actor = "admin" if kind in (vc.PauseDriver, vc.UnpauseDriver) else "driver"
        self.here.send(kind, self._chance.choice(self._names), actor, **fields.get(kind, {}))

    def _time(self) -> None:
        self.here.pass_s(self._chance.choice((1, 10, 31, 31, 130, 310)))

    def _close(self) -> None:
        """Admins end what is open: nothing is under way at the end."""
        for name in self._orders:
            for kind in (dc.CancelDelivery, dc.FailDelivery, dc.FailDelivery):
                self.here.send(kind, name, "admin", reason="closing time")
        self.here.pass_s(1)
