"""Deliveries under way as their events tell them: what was reckoned at each stage, and what came of it.

A stage is one of `eta_model.STAGES`. At the beginning of each both arrivals are reckoned; when the driver picks up or
hands over, actual over reckoned goes into the model. All of it follows from the log, so a restart learns the same.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Eta, Order, Route, Vehicle
from dispatch.core.eta import (
    Leg,
    after_pickup,
    base_delivery_ms,
    base_pickup_ms,
    before_pickup,
    dropoff_leg,
    middle_ms,
    moved,
    ratio,
)
from dispatch.core.eta_model import PREP, scopes_of
from dispatch.core.policy import Policy
from dispatch.core.travel import hour_of, travel_s
from dispatch.inputs.arrivals import Arrivals

HERE = Leg(0.0, 0.0)
_CLOSED = (events.DeliveryCompleted, events.DeliveryCancelled, events.DeliveryReturned)
UNUSED = (
    events.DeliveryEconomicsEstimated, events.DeliveryEconomicsSettled, events.DriverAccepted, events.DriverLost,
    events.DriverOfferSent, events.DriverRecovered, events.DriverRejected, events.ManualReviewEnded,
    events.ManualReviewRequired, events.NoDriverFound, events.OfferExpired, events.OfferWithdrawn,
    events.ProofRefused, events.ReservationFailed, events.ReservationRequested, events.UnassignedEscalated,
)  # fmt: skip
"""Events that change no course."""
_LEAVES = (*_CLOSED, events.DeliveryFailed)


class Note(NamedTuple):
    """What was reckoned: of what, at which stage, when, and the base that it came to."""

    what: str
    stage: str
    at_ms: int
    base_ms: int


class Seen(NamedTuple):
    """A driver as the last search saw them."""

    vehicle: Vehicle
    distance_m: int
    travel_s: int


@dataclass(slots=True)
class Course:
    """One delivery under way."""

    delivery_id: str
    order: Order
    known_ms: int
    """When it became known."""
    place: tuple[str, int]
    """Partition and offset of its first event."""
    candidates: dict[str, Seen] = field(default_factory=dict)
    route: Route | None = None
    offer_id: str = ""
    driver_id: str = ""
    vehicle: Vehicle = "car"
    stage: str = ""
    """Empty: nobody is on the way."""
    assigned_ms: int = 0
    to_store: Leg = HERE
    arrived_ms: int = 0
    notes: list[Note] = field(default_factory=list)
    told: Eta | None = None
    tracked: bool = False


class Courses:
    """All deliveries under way. `take` folds an event; gives the course when its arrivals should be reckoned anew."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals
        self.under_way: dict[str, Course] = {}
        self.by_driver: dict[str, set[str]] = {}
        self.changed: set[str] = set()
        """Scopes that learned since they were written last."""

    def take(self, event: Any, policy: Policy, place: tuple[str, int], *, learns: bool = True) -> Course | None:
        """Folds one event of delivery.events at (partition, offset); `learns` is off for what was learned before."""
        if isinstance(event, events.DeliveryCreated):
            self.under_way[event.delivery_id] = Course(event.delivery_id, event.order, event.at_ms, place)
            return None
        course = self.under_way.get(event.delivery_id)
        if course is None:
            return None
        match event:
            case events.PrepTimeChanged():
                course.order = replace(course.order, prep_s=event.prep_s)
                return course if course.stage in ("assigned", "at_store") else None
            case events.AssignmentStarted():
                course.order = replace(course.order, zone=event.zone or course.order.zone)
                course.tracked = event.eta_tracking
            case events.DriverCandidatesFound():
                course.route = event.route
                course.candidates = {
                    seen.driver_id: Seen(seen.vehicle, seen.distance_m, seen.travel_s) for seen in event.candidates
                }
            case events.DriverAssigned():
                self._assigned(course, event, policy)
            case events.EtaChanged():
                course.told = event.eta
            case events.AssignmentReassigned():
                self._left(course)
            case _:
                return self._progress(course, event, policy, learns=learns)
        return None

    def forget_before(self, known_ms: int) -> None:
        """Drops those that became known before this and never ended."""
        for course in [course for course in self.under_way.values() if course.known_ms < known_ms]:
            self._left(course)
            del self.under_way[course.delivery_id]

    def reckon(self, course: Course, policy: Policy, at_ms: int, way: Leg | None = None) -> Eta:
        """Both arrivals now. `way` lies before the driver; None: what is left of it by the clock."""
        order = course.order
        shape = self.arrivals.shape(course.stage, order.zone, order.seller_id, at_ms, policy)
        to_store, to_customer = _legs(course, policy, at_ms, way)
        if to_store is None:
            return after_pickup(to_customer, shape, policy, at_ms)
        return before_pickup(order, to_store, to_customer, shape, policy, at_ms)

    def to_tell(self, course: Course, policy: Policy, at_ms: int, way: Leg | None = None) -> bool:
        """Whether what `reckon` gives lies far enough from what was told, by its middles alone."""
        told = course.told
        if told is None:
            return True
        pickup_ms, delivery_ms = self._bases(course, policy, at_ms, way)
        if pickup_ms is not None and told.pickup is not None:
            middle = self._middle(course, f"pickup@{course.stage}", policy, at_ms)
            if moved(told.pickup.p50_ms, middle_ms(pickup_ms, at_ms, middle, policy.eta), policy.eta):
                return True
        middle = self._middle(course, f"delivery@{course.stage}", policy, at_ms)
        return moved(told.delivery.p50_ms, middle_ms(delivery_ms, at_ms, middle, policy.eta), policy.eta)

    def _bases(self, course: Course, policy: Policy, at_ms: int, way: Leg | None = None) -> tuple[int | None, int]:
        """Those of what `reckon` gives; no pickup: it was."""
        to_store, to_customer = _legs(course, policy, at_ms, way)
        if to_store is None:
            return None, base_delivery_ms(to_customer, policy, at_ms)
        pickup_ms = base_pickup_ms(course.order, to_store, self._middle(course, PREP, policy, at_ms), at_ms)
        return pickup_ms, base_delivery_ms(to_customer, policy, pickup_ms)

    def _middle(self, course: Course, kind: str, policy: Policy, at_ms: int) -> float:
        return self.arrivals.middle(kind, course.order.zone, course.order.seller_id, at_ms, policy)

    def _assigned(self, course: Course, event: events.DriverAssigned, policy: Policy) -> None:
        terms, at_ms = event.terms, event.at_ms
        seen = course.candidates.get(event.driver_id, Seen("car", terms.pickup_distance_m, 0))
        course.offer_id, course.driver_id, course.vehicle = event.offer_id, event.driver_id, seen.vehicle
        course.stage, course.assigned_ms, course.arrived_ms = "assigned", at_ms, 0
        plain_s = travel_s(seen.distance_m, seen.vehicle, policy.travel)
        course.to_store = Leg(seen.travel_s, plain_s, course.route.source if course.route else "formula")
        eta = terms.eta
        course.told = eta
        base = (eta.base_pickup_ms, eta.base_delivery_ms) if eta else (terms.pickup_eta_ms, terms.delivery_eta_ms)
        course.notes = [Note("pickup", "assigned", at_ms, base[0]), Note("delivery", "assigned", at_ms, base[1])]
        self.by_driver.setdefault(event.driver_id, set()).add(course.delivery_id)

    def _progress(self, course: Course, event: Any, policy: Policy, *, learns: bool) -> Course | None:
        at_ms = event.at_ms
        match event:
            case events.ArrivedAtPickup():
                course.stage, course.arrived_ms = "at_store", at_ms
            case events.PickupCompleted():
                if learns:
                    self._learn(course, "pickup", at_ms, policy)
                    self._learn_prep(course, at_ms, policy)
                course.stage = "picked_up"
            case events.ArrivedAtDropoff():
                course.stage = "at_door"
            case events.PickupStarted() | events.DeliveryStarted():
                return course if course.stage else None
            case _:
                self._ended(course, event, policy, learns=learns)
                return None
        if not course.stage:
            return None
        pickup_ms, delivery_ms = self._bases(course, policy, at_ms)
        if pickup_ms is not None:
            course.notes.append(Note("pickup", course.stage, at_ms, pickup_ms))
        course.notes.append(Note("delivery", course.stage, at_ms, delivery_ms))
        return course

    def _ended(self, course: Course, event: Any, policy: Policy, *, learns: bool) -> None:
        if isinstance(event, events.DeliveryCompleted) and learns:
            self._learn(course, "delivery", event.at_ms, policy)
            self.arrivals.model.version += 1
        if isinstance(event, _LEAVES):
            self._left(course)
        if isinstance(event, _CLOSED) or (isinstance(event, events.DeliveryFailed) and not event.returning):
            del self.under_way[course.delivery_id]

    def _left(self, course: Course) -> None:
        """Nobody is on the way any more."""
        held = self.by_driver.get(course.driver_id, set())
        held.discard(course.delivery_id)
        if not held:
            self.by_driver.pop(course.driver_id, None)
        course.stage, course.offer_id, course.driver_id, course.notes, course.told = "", "", "", [], None

    def _scopes(self, course: Course, at_ms: int, policy: Policy) -> tuple[str, ...]:
        scopes = scopes_of(course.order.zone, hour_of(at_ms, policy.travel), course.order.seller_id)
        self.changed.update(scopes)
        return scopes

    def _learn(self, course: Course, what: str, actual_ms: int, policy: Policy) -> None:
        for note in course.notes:
            if note.what == what:
                value = ratio(actual_ms, note.base_ms, note.at_ms, policy.eta)
                scopes = self._scopes(course, note.at_ms, policy)
                self.arrivals.model.learn(f"{what}@{note.stage}", scopes, value, policy.eta)

    def _learn_prep(self, course: Course, picked_up_ms: int, policy: Policy) -> None:
        """A driver who had to wait saw when the preparation ended; of one who had not it is known that it had ended."""
        order, arrived_ms = course.order, course.arrived_ms
        if not arrived_ms or order.prep_s <= 0:
            return
        scopes = self._scopes(course, course.assigned_ms, policy)
        if picked_up_ms - arrived_ms > policy.eta.waited_s * 1000:
            took_s = max(0, picked_up_ms - order.placed_at_ms) / 1000
            self.arrivals.model.learn(PREP, scopes, took_s / order.prep_s, policy.eta)
        else:
            within_s = max(0, arrived_ms - order.placed_at_ms) / 1000
            self.arrivals.model.learn_at_most(PREP, scopes, within_s / order.prep_s, policy.eta)


def _legs(course: Course, policy: Policy, at_ms: int, way: Leg | None) -> tuple[Leg | None, Leg]:
    """What lies before the driver to the store, None after the pickup, and to the customer."""
    if course.stage == "at_door":
        return None, HERE
    if course.stage == "picked_up" and way:
        return None, way
    to_customer = dropoff_leg(course.order, course.route, course.vehicle, policy, at_ms)
    if course.stage == "picked_up":
        return None, to_customer
    return HERE if course.stage == "at_store" else way or _left_of(course, at_ms), to_customer


def _left_of(course: Course, at_ms: int) -> Leg:
    gone_s = (at_ms - course.assigned_ms) / 1000
    way = course.to_store
    return Leg(max(0.0, way.seconds - gone_s), max(0.0, way.plain_s - gone_s), way.source)
