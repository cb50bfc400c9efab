"""A city in which arrivals are foretold and then come about: the real formulas and learner, chance for the rest.

Six zones with a traffic and a road net of their own, rush hours that no formula knows, stores that are late or early by
habit, and noise: on every leg, at every store and door, and now and then a delay that nothing foretells. Events are
folded in the order of time, so that nothing is learned before it happened; each delivery is foretold with what the
model knew at that moment.
"""

import heapq
import math
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from dispatch.contract import identity
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Candidate, Order, Vehicle
from dispatch.core.eta import with_eta
from dispatch.core.policy import Policy
from dispatch.core.terms import offer_terms
from dispatch.core.travel import distance_m, travel_s
from dispatch.inputs.arrivals import Arrivals
from dispatch.streams.eta_courses import Courses, Seen

START_MS = 1_790_000_000_000
CENTRE = (48.0, 7.85)
ZONES, STORES = 6, 48
LEG_SPREAD, PREP_SPREAD, STOP_SPREAD = 0.2, 0.15, 0.4
"""Standard deviations of logarithms: of a way, a preparation, a stop at a store or door."""
DELAYED, DELAY_S = 0.02, 420.0
"""A share of the ways meets something that nothing foretells, on average so long."""
_METRES_PER_DEGREE = 111_320
VEHICLES: tuple[Vehicle, ...] = ("bicycle", "scooter", "motorbike", "car", "van")


class Store(NamedTuple):
    """A store: its place and its habit."""

    name: str
    zone: int
    lat: float
    lng: float
    late: float
    """Actual over told preparation, the middle of it."""


class City:
    """Deliveries as they come about. The same seed, the same city and the same chances."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        chance = self._chance
        self._slow = [chance.uniform(0.9, 1.5) for _ in range(ZONES)]
        self._stores = [
            Store(f"store-{number:02}", number % ZONES, CENTRE[0] + chance.uniform(-0.04, 0.04),
                  CENTRE[1] + chance.uniform(-0.05, 0.05), chance.lognormvariate(0, 0.25))
            for number in range(STORES)
        ]  # fmt: skip

    def history(self, count: int, policy: Policy, arrivals: Arrivals, days: float = 7) -> Iterator[Any]:
        """Delivery events by time; what `arrivals` knows when one is assigned is what it is foretold with."""
        span_ms = days * 86_400_000
        waiting: list[tuple[int, int, Any]] = []
        for number in range(count):
            at_ms = START_MS + round(self._chance.random() * span_ms)
            heapq.heappush(waiting, (at_ms, number, self._delivery(number, at_ms, policy, arrivals)))
        while waiting:
            _, number, steps = heapq.heappop(waiting)
            made, next_ms = next(steps)
            yield from made
            if next_ms:
                heapq.heappush(waiting, (next_ms, number, steps))

    def _delivery(self, number: int, at_ms: int, policy: Policy, arrivals: Arrivals) -> Iterator[tuple[list[Any], int]]:
        """Its events, those of one moment at a time, with the moment of the next; 0: it is done."""
        chance, store = self._chance, self._chance.choice(self._stores)
        order = self._order(number, store, at_ms)
        vehicle, far_m = chance.choice(VEHICLES), chance.uniform(100, 3_000)
        events_of = _Events(identity.derived("city", str(number)))
        prepared_ms = at_ms + round(order.prep_s * store.late * chance.lognormvariate(0, PREP_SPREAD) * 1000)
        ready_ms = at_ms + round(order.prep_s * 1000 * chance.uniform(0.0, 0.6))
        yield [], ready_ms
        seen = Seen(vehicle, round(far_m), round(travel_s(far_m, vehicle, policy.travel)))
        shape = arrivals.shape("assigned", order.zone, order.seller_id, ready_ms, policy)
        plain = offer_terms(order, seen, policy, ready_ms)
        terms = with_eta(plain, order, seen, None, shape, policy, ready_ms)
        yield events_of.assigned(order, seen, terms, ready_ms), ready_ms + 1
        at_store_ms = ready_ms + round(self._way_s(far_m, vehicle, store.zone, ready_ms, policy) * 1000)
        yield [events_of.step(events.PickupStarted, ready_ms + 1)], at_store_ms
        stop_ms = round(45_000 * chance.lognormvariate(0, STOP_SPREAD))
        picked_ms = max(at_store_ms, prepared_ms) + stop_ms
        yield [events_of.step(events.ArrivedAtPickup, at_store_ms)], picked_ms
        way_m = distance_m(order.pickup_lat, order.pickup_lng, order.dropoff_lat, order.dropoff_lng)
        at_door_ms = picked_ms + round(self._way_s(way_m, vehicle, store.zone, picked_ms, policy) * 1000)
        yield [events_of.step(events.PickupCompleted, picked_ms)], at_door_ms
        done_ms = at_door_ms + round(90_000 * chance.lognormvariate(0, STOP_SPREAD))
        yield [events_of.step(events.ArrivedAtDropoff, at_door_ms)], done_ms
        yield [events_of.step(events.DeliveryCompleted, done_ms, total_ms=done_ms - ready_ms)], 0

    def _order(self, number: int, store: Store, at_ms: int) -> Order:
        chance = self._chance
        far_m, angle = 350 + min(chance.expovariate(1 / 1_000), 4_200), chance.random() * 2 * math.pi
        return Order(
            seller_id=store.name, seller_order_id=f"o{number}", store_name=store.name, pickup_lat=store.lat,
            pickup_lng=store.lng, dropoff_lat=store.lat + far_m * math.cos(angle) / _METRES_PER_DEGREE,
            dropoff_lng=store.lng + far_m * math.sin(angle) / (_METRES_PER_DEGREE * math.cos(math.radians(store.lat))),
            order_value_minor=2_000, delivery_fee_minor=299, currency="EUR", placed_at_ms=at_ms,
            prep_s=60 * chance.randrange(4, 16), zone=f"zone-{store.zone}",
        )  # fmt: skip

    def _way_s(self, straight_m: float, vehicle: Vehicle, zone: int, at_ms: int, policy: Policy) -> float:
        """What the way really takes: the zone's roads, the hour's traffic (least for bicycles), noise, a mishap."""
        hour = at_ms / 3_600_000 % 24
        rush = 0.35 * (math.exp(-((hour - 12.5) ** 2) / 3) + math.exp(-((hour - 18.5) ** 2) / 4))
        traffic = 1 + rush * (0.3 if vehicle == "bicycle" else 1.0)
        usual_s = travel_s(straight_m, vehicle, policy.travel) * self._slow[zone] * traffic
        mishap_s = self._chance.expovariate(1 / DELAY_S) if self._chance.random() < DELAYED else 0.0
        return usual_s * self._chance.lognormvariate(0, LEG_SPREAD) + mishap_s


class _Events:
    """Makes the events of one delivery, numbered."""

    def __init__(self, delivery_id: str) -> None:
        self._id, self._version = delivery_id, 0
        self._offer = identity.offer_id(delivery_id, 1)

    def make(self, kind: type[Any], at_ms: int, **fields: Any) -> Any:
        self._version += 1
        return kind(
            event_id=identity.event_id(self._id, self._version), delivery_id=self._id, version=self._version,
            at_ms=at_ms, actor_type="system", actor_id="city", causation_id=self._id, correlation_id="city", **fields,
        )  # fmt: skip

    def step(self, kind: type[Any], at_ms: int, **more: Any) -> Any:
        return self.make(kind, at_ms, offer_id=self._offer, driver_id="d", **more)

    def assigned(self, order: Order, seen: Seen, terms: Any, at_ms: int) -> list[Any]:
        candidate = Candidate(
            driver_id="d", distance_m=seen.distance_m, travel_s=seen.travel_s, orders=0, capacity=1, rating=4.5,
            vehicle=seen.vehicle, availability="AVAILABLE", score=0.0, travel_min=0.0, rating_min=0.0,
            fairness_min=0.0, load_min=0.0, source="memory",
        )  # fmt: skip
        found = {
            "search_no": 1, "radius_m": 5_000, "candidates": (candidate,), "source": "memory", "redis_ok": True,
            "free_in_radius": 1, "busy_in_radius": 0, "policy_version": 1, "zone": order.zone,
        }  # fmt: skip
        began = {
            "driver_offers": False, "reassignment": True, "escalation": True, "radius_m": 5_000, "level_1_ms": 1,
            "level_2_ms": 2, "level_3_ms": 3, "policy_version": 1, "eta_tracking": True,
        }  # fmt: skip
        return [
            self.make(events.DeliveryCreated, order.placed_at_ms, order=order, order_digest="d", remember_ms=1),
            self.make(events.AssignmentStarted, at_ms, **began),
            self.make(events.DriverCandidatesFound, at_ms, **found),
            self.step(events.DriverAssigned, at_ms, fence=1, how="direct", terms=terms, search_ms=0),
        ]


def lived(count: int, policy: Policy, seed: int = 1, days: float = 7) -> tuple[list[Any], Courses]:
    """A city's events, and the learner that lived through them."""
    courses = Courses(Arrivals())
    history = []
    for offset, event in enumerate(City(seed).history(count, policy, courses.arrivals, days)):
        courses.take(event, policy, ("0", offset))
        history.append(event)
    return history, courses
