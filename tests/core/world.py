"""A city in memory: the real core of deliveries and drivers, and the queues between them, each pair in its own order.

Time is a number, the index sees the drivers as they are (or is told to fail), and what is decided goes to whoever it is
for. Nothing here decides anything.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

from msgspec.structs import replace

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.shared import Order
from dispatch.core import delivery, driver
from dispatch.core.driver.states import availability, free_capacity
from dispatch.core.effects import ReplyTo
from dispatch.core.facts import Deadline, Facts, FoundDriver, Refusal, SearchNeed, SearchResult, ZoneFacts
from dispatch.core.policy import Flags, Policy
from dispatch.core.quotes import ZonePriceFact

START_MS = 1_790_000_000_000
PLACE = (48.0, 7.85)
_DELIVERY = (dc.__name__, "delivery_id")


def an_order(number: int = 1, **changes: Any) -> Order:
    """An order of store s1, placed now."""
    fields: dict[str, Any] = {
        "seller_id": "s1", "seller_order_id": f"o{number}", "store_name": "Anker", "pickup_lat": PLACE[0],
        "pickup_lng": PLACE[1], "dropoff_lat": 48.01, "dropoff_lng": 7.86, "order_value_minor": 2000,
        "delivery_fee_minor": 299, "currency": "EUR", "placed_at_ms": START_MS,
    }  # fmt: skip
    return Order(**{**fields, **changes})


class World:
    """Deliveries, drivers, the queues between them, and all that was told to the outside."""

    def __init__(self, policy: Policy | None = None, flags: Flags | None = None) -> None:
        self.policy, self.flags = policy or Policy(), flags or Flags()
        self.now_ms = START_MS
        self.deliveries: dict[str, delivery.Delivery] = {}
        self.drivers: dict[str, driver.Driver] = {}
        self.queues: dict[tuple[str, str], list[Any]] = defaultdict(list)
        self.events: list[Any] = []
        self.told: list[Any] = []
        self.index_fails = False
        self.price: ZonePriceFact | None = None
        self.zone = ZoneFacts(zone="old-town", version=3, known=True)
        self.places: dict[str, tuple[float, float]] = {}
        self._numbers = itertools.count()

    def copy(self) -> World:
        """Another world in the same state, for looking at every way on."""
        other = World(self.policy, self.flags)
        other.now_ms, other.index_fails = self.now_ms, self.index_fails
        other.deliveries, other.drivers = dict(self.deliveries), dict(self.drivers)
        other.queues = defaultdict(list, {pair: list(queue) for pair, queue in self.queues.items() if queue})
        other.places, other.zone = self.places, self.zone
        other.events, other.told = list(self.events), list(self.told)
        other._numbers = itertools.count(next(self._numbers) + 1)
        return other

    def command_id(self) -> str:
        """A fresh one."""
        return identity.derived("test", str(next(self._numbers)))

    def ask(self, kind: type[Any], key: str, actor: str = "", **fields: Any) -> tuple[Any, ...] | Refusal:
        """A command from outside, decided at once; what it causes waits in the queues."""
        return self.decide(self.made(kind, key, actor, **fields))

    def made(self, kind: type[Any], key: str, actor: str = "", **fields: Any) -> Any:
        """A command from outside."""
        of_delivery = kind.__module__ == dc.__name__
        actor_type = actor or ("driver" if not of_delivery or "driver_id" in fields else "order_service")
        return kind(
            command_id=self.command_id(), at_ms=self.now_ms, actor_type=actor_type, actor_id="somebody",
            correlation_id="c", **{"delivery_id" if of_delivery else "driver_id": key}, **fields,
        )  # fmt: skip

    def decide(self, command: Any) -> tuple[Any, ...] | Refusal:
        """Decides, folds, and queues what follows."""
        of_delivery = type(command).__module__ == dc.__name__
        core: Any = delivery if of_delivery else driver
        states: dict[str, Any] = self.deliveries if of_delivery else self.drivers
        key = command.delivery_id if of_delivery else command.driver_id
        state = states.get(key) or core.initial(key)
        zone = self.zone if of_delivery else replace(self.zone, zone=getattr(command, "zone", "none"))
        need = core.needs(state, command, self.policy, self.flags, self.now_ms, zone)
        facts = Facts(
            now_ms=self.now_ms, wall_ms=self.now_ms, policy=self.policy, flags=self.flags,
            price=self.price, search=self.search(need) if need else None, zone=zone,
        )  # fmt: skip
        result = core.decide(state, command, facts)
        if isinstance(result, Refusal):
            return result
        for event in result:
            before, state = state, core.evolve(state, event)
            self.events.append(event)
            for effect in core.react(before, state, event):
                self._route(key, effect)
        states[key] = state
        return result

    def search(self, need: SearchNeed) -> SearchResult:
        """The index: every driver known, as they are now."""
        if self.index_fails:
            return SearchResult(failed=True, redis_ok=False)
        found, busy = [], 0
        for name, state in sorted(self.drivers.items()):
            if name in need.excluded or (need.named and name != need.named) or not state.known:
                continue
            working = availability(state) in ("AVAILABLE", "BUSY")
            if need.named or free_capacity(state) > 0:
                found.append(self._found(name, state))
            elif working:
                busy += 1
        return SearchResult(drivers=tuple(found[: need.limit]), source="memory", busy_in_radius=busy)

    def _found(self, name: str, state: driver.Driver) -> FoundDriver:
        return FoundDriver(
            driver_id=name, lat=PLACE[0], lng=PLACE[1], distance_m=100 * (1 + sorted(self.drivers).index(name)),
            vehicle=state.vehicle, capacity=state.capacity, orders=len(state.holds), rating=state.rating,
            availability=availability(state),
        )  # fmt: skip

    def _route(self, source: str, effect: Any) -> None:
        if type(effect).__module__ == dc.__name__:
            self.queues[source, effect.delivery_id].append(effect)
        elif type(effect).__module__ == vc.__name__:
            self.queues[source, effect.driver_id].append(effect)
        else:
            self.told.append(effect.reply if isinstance(effect, ReplyTo) else effect)

    def deliver(self, pair: tuple[str, str]) -> None:
        """The next message of one queue arrives."""
        self.decide(self.queues[pair].pop(0))

    def settle(self) -> None:
        """Everything in the queues arrives, and what follows from it."""
        for _ in range(10_000):
            pair = next((pair for pair, queue in self.queues.items() if queue), None)
            if pair is None:
                return
            self.deliver(pair)
        raise AssertionError("the queues never empty")

    def due(self) -> list[tuple[str, Deadline]]:
        """All open deadlines."""
        return [(name, due) for name, state in self.deliveries.items() for due in delivery.deadlines(state)] + [
            (name, due) for name, state in self.drivers.items() for due in driver.deadlines(state)
        ]

    def fire(self, name: str, due: Deadline) -> tuple[Any, ...] | Refusal:
        """A deadline comes, at its time or now if that is past."""
        self.now_ms = max(self.now_ms, due.at_ms)
        kind: Any = dc.DeliveryTimerDue if name in self.deliveries else vc.DriverTimerDue
        return self.decide(self.made(kind, name, "system", timer=due.kind, due_at_ms=due.at_ms, ref=due.ref))

    def pass_s(self, seconds: float) -> None:
        """Time passes; what falls due is fired in its order, and settled."""
        end_ms = self.now_ms + round(seconds * 1000)
        while True:
            near = [(due.at_ms, due.kind, name, due) for name, due in self.due() if due.kind != "forget"]
            if not near or min(entry[0] for entry in near) > end_ms:
                break
            _, _, name, due = min(near, key=lambda entry: entry[:3])
            self.fire(name, due)
            self.settle()
        self.now_ms = end_ms

    # The domain's words, for tests.

    def sign_on(self, name: str, capacity: int = 1, vehicle: str = "car") -> World:
        """A driver begins."""
        self.ask(vc.SignOn, name, vehicle=vehicle, capacity=capacity, rating=4.5, lat=PLACE[0], lng=PLACE[1])
        return self

    def ready(self, number: int = 1, **fields: Any) -> str:
        """An order is ready; what follows is settled. The delivery's id."""
        order = an_order(number, placed_at_ms=self.now_ms)
        name = identity.delivery_id(order.seller_id, order.seller_order_id)
        self.ask(dc.MarkReady, name, order=order, **fields)
        self.settle()
        return name

    def offer(self, name: str) -> dict[str, str]:
        """The offer open, or the assignment held: its ids."""
        phase: Any = self.deliveries[name].phase
        return {"offer_id": phase.offer_id, "driver_id": phase.driver_id}

    def accept(self, name: str) -> tuple[Any, ...] | Refusal:
        """The driver takes the offer."""
        result = self.ask(dc.AcceptOffer, name, **self.offer(name))
        self.settle()
        return result

    def progress(self, name: str, step: str) -> tuple[Any, ...] | Refusal:
        """The driver reports a step."""
        result = self.ask(dc.ReportProgress, name, **self.offer(name), step=step)
        self.settle()
        return result

    def status(self, name: str) -> str:
        """The public word."""
        return delivery.status(self.deliveries[name])

    def availability(self, name: str) -> str:
        """The driver's word."""
        return availability(self.drivers[name])

    def names_of(self, kind: type) -> list[Any]:
        """Events of one kind, in order."""
        return [event for event in self.events if type(event) is kind]


def agreement(world: World) -> str:
    """What is wrong between deliveries and drivers when nothing is under way; empty: nothing."""
    held = {(hold.offer_id, name) for name, state in world.drivers.items() for hold in state.holds}
    believed = set()
    for state in world.deliveries.values():
        phase: Any = state.phase
        if hasattr(phase, "offer_id"):
            believed.add((phase.offer_id, phase.driver_id))
    if held != believed:
        return f"drivers hold {sorted(held)}, deliveries believe {sorted(believed)}"
    return ""


def always(world: World) -> str:
    """What must hold at every moment; empty: it does."""
    for name, state in world.drivers.items():
        if len(state.holds) > max(1, state.capacity):
            return f"{name} holds {len(state.holds)}, capacity {state.capacity}"
    confirmed: dict[str, str] = {}
    for name, state in world.drivers.items():
        for hold in state.holds:
            releasing = any(
                type(message).__name__ == "ReleaseReservation" and message.offer_id == hold.offer_id
                for message in world.queues.get((hold.delivery_id, name), [])
            )
            if hold.confirmed and not releasing:
                if hold.delivery_id in confirmed:
                    return f"{hold.delivery_id} is held by {confirmed[hold.delivery_id]} and {name}"
                confirmed[hold.delivery_id] = name
    return ""
