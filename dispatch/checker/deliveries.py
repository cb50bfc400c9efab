"""Deliveries as the checker knows them: a small fold of its own, and the rules that one delivery's events can break."""

from collections.abc import Callable
from typing import Any

from dispatch.checker import timers
from dispatch.checker.delivery import (
    ENDED,
    FITS,
    HOLDING,
    NEVER_GRANTED,
    OFFERED,
    PICKED_UP,
    RESERVING,
    RETURNING,
    REVIEW,
    STATUS,
    STEPS,
    Delivery,
    ends,
)
from dispatch.checker.matching import Messages, Once
from dispatch.checker.report import Findings, Place
from dispatch.contract import identity
from dispatch.contract.records import delivery_events as dv

_LEVELS = {1: "unassigned", 2: "unassigned_wider_search", 3: "unassigned_critical"}
_CUSTOMERS: dict[type[Any], str] = {
    dv.PickupCompleted: "picked_up",
    dv.ArrivedAtDropoff: "arriving",
    dv.DeliveryCompleted: "delivered",
    dv.DeliveryCancelled: "cancelled",
    dv.DeliveryFailed: "failed",
}
"""What a customer is told of each time."""
_OUTCOMES: dict[type[Any], str] = {
    dv.DriverRejected: "REJECTED",
    dv.OfferExpired: "EXPIRED",
    dv.OfferWithdrawn: "WITHDRAWN",
    dv.DriverAssigned: "ACCEPTED",
}
"""What an event that ends an offer calls its end."""


class Deliveries:
    """Takes the events of all deliveries, each delivery's in order."""

    def __init__(self, findings: Findings, messages: Messages, told: Once, granted: dict[str, int]) -> None:
        self.known: dict[str, Delivery] = {}
        self.requested: dict[str, tuple[Place, str]] = {}
        """Reservations asked for and not answered yet, with the driver; `granted` is what drivers say."""
        self.relied: list[tuple[str, str, int, Place]] = []
        """Offer, driver and fence as deliveries relied on, to be compared with what drivers granted."""
        self._findings, self._messages, self._told, self._granted = findings, messages, told, granted

    def take(self, event: Any, place: Place) -> None:
        """One event."""
        name, kind = event.delivery_id, type(event)
        known = self.known.get(name)
        if known is None:
            known = self.known[name] = Delivery()
        known.place = place
        if event.version != known.version + 1:
            self._findings.add(5, place, f"{name}: version {event.version} after {known.version}")
        if event.at_ms < known.now_ms:
            self._findings.add(12, place, f"{name}: {kind.__name__} is {known.now_ms - event.at_ms} ms before the last")
        if event.actor_id == timers.ACTOR and event.causation_id != known.cause:
            timers.fired(known, name, event, place, self._findings)
        if known.phase == ENDED:
            self._findings.add(6, place, f"{kind.__name__} of {name}, which had ended as {known.status}")
            known.version, known.now_ms, known.cause = event.version, event.at_ms, event.causation_id
            return
        if known.phase not in FITS[kind]:
            self._findings.add(20, place, f"{kind.__name__} of {name}, which is {known.phase or 'unknown'}")
        had, before = (known.offer, known.driver), known.phase
        if kind is not dv.ReservationRequested and getattr(event, "offer_id", None):
            self._offer_is_current(known, event, place)
        if known.settled and not ends(event):
            self._findings.add(20, place, f"{kind.__name__} of {name} after its settlement")
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, known, event, place)
        known.version, known.now_ms, known.cause = event.version, event.at_ms, event.causation_id
        self._commands(known, event, place, had)
        self._offers(known, event, place, had, before)

    def _offer_is_current(self, known: Delivery, event: Any, place: Place) -> None:
        if (event.offer_id, event.driver_id) != (known.offer, known.driver):
            current = f"offer {known.offer} of {known.driver}" if known.offer else "none"
            self._findings.add(
                18, place,
                f"{type(event).__name__} speaks of offer {event.offer_id} of {event.driver_id}; current is {current}",
            )  # fmt: skip

    def _commands(self, known: Delivery, event: Any, place: Place, had: tuple[str, str]) -> None:
        """What the event must have commanded the drivers."""
        name, has = event.delivery_id, (known.offer, known.driver)
        denied = isinstance(event, dv.ReservationFailed) and event.why in NEVER_GRANTED
        if had[0] and had != has and not denied:
            self._messages.expect((name, had[1]), identity.command_id(event.event_id, "release"), place)
        if isinstance(event, dv.ReservationRequested):
            self._messages.expect((name, event.driver_id), identity.command_id(event.event_id, "reserve"), place)
        elif isinstance(event, dv.DriverAssigned):
            self._messages.expect((name, event.driver_id), identity.command_id(event.event_id, "confirm"), place)

    def _offers(self, known: Delivery, event: Any, place: Place, had: tuple[str, str], before: str) -> None:
        """What the event must have told the drivers' gateways."""
        kind = type(event)
        if kind is dv.DriverOfferSent:
            self._told.want(("OfferCreated", event.offer_id, event.driver_id), place)
        elif before == OFFERED and kind in _OUTCOMES and not (kind is dv.DriverAssigned and event.how == "auto"):
            self._told.want(("OfferEnded", *had, _OUTCOMES[kind]), place)
        elif before in (HOLDING, RETURNING) and known.phase not in (HOLDING, RETURNING):
            self._told.want(("AssignmentEnded", *had), place)
        if kind is dv.DriverAssigned:
            self._told.want(("DeliveryAssigned", event.offer_id, event.driver_id), place)
        elif word := _CUSTOMERS.get(kind):
            self._notice(event, "customer", word, place)

    def _notice(self, event: Any, audience: str, kind: str, place: Place) -> None:
        notice = identity.command_id(event.event_id, f"notice {audience} {kind}")
        self._told.want(("notice", notice), place)

    # By kind of event.

    def _created(self, known: Delivery, event: dv.DeliveryCreated, _place: Place) -> None:
        known.phase, known.status, known.remember_ms = "created", "created", event.remember_ms

    def _started(self, known: Delivery, event: dv.AssignmentStarted, place: Place) -> None:
        known.offers, known.escalation, known.reassignment = event.driver_offers, event.escalation, event.reassignment
        known.ladder = (event.level_1_ms, event.level_2_ms, event.level_3_ms)
        known.ready = True
        if event.reply_to >= 0:
            known.awaited = event.causation_id
            self._told.want(("first_offer", event.causation_id), place)
        known.waits(event.at_ms)

    def _found(self, known: Delivery, event: dv.DriverCandidatesFound, _place: Place) -> None:
        known.search_no, known.retry_ms = event.search_no, 0

    def _nobody(self, known: Delivery, event: dv.NoDriverFound, _place: Place) -> None:
        known.search_no, known.retry_ms = event.search_no, event.retry_at_ms

    def _requested(self, known: Delivery, event: dv.ReservationRequested, place: Place) -> None:
        name, driver = event.delivery_id, event.driver_id
        if known.offer:
            self._findings.add(2, place, f"{name} asks for {driver} while it has {known.driver}")
        if event.how != "manual" and driver in known.former:
            self._findings.add(16, place, f"{name} asks for {driver}, who had it or refused it before")
        if event.how == ("direct" if known.offers else "accepted"):
            offers = "on" if known.offers else "off"
            self._findings.add(20, place, f"{name} asks for {driver} as {event.how}, and offers are {offers} for it")
        known.phase, known.offer, known.driver, known.how = RESERVING, event.offer_id, driver, event.how
        known.answer_ms, known.accepted = event.answer_by_ms, False
        if event.offer_id not in self._granted:
            self.requested[event.offer_id] = place, driver

    def _not_reserved(self, known: Delivery, _event: dv.ReservationFailed, _place: Place) -> None:
        known.searches()

    def _sent(self, known: Delivery, event: dv.DriverOfferSent, place: Place) -> None:
        known.phase, known.status, known.fence = OFFERED, "offered", event.fence
        known.expires_ms = event.expires_at_ms
        if event.driver_id in known.former:
            self._findings.add(16, place, f"{event.delivery_id} is offered to {event.driver_id} again")
        self._relies(event, place)

    def _accepted(self, known: Delivery, event: dv.DriverAccepted, place: Place) -> None:
        known.accepted = True
        self._in_time(known, event, place)

    def _rejected(self, known: Delivery, event: dv.DriverRejected, place: Place) -> None:
        self._in_time(known, event, place)
        known.former |= {event.driver_id}
        known.searches()

    def _in_time(self, known: Delivery, event: Any, place: Place) -> None:
        if event.at_ms >= known.expires_ms:
            late_ms = event.at_ms - known.expires_ms
            self._findings.add(18, place, f"{type(event).__name__} {late_ms} ms after the offer had expired")

    def _expired(self, known: Delivery, event: dv.OfferExpired, place: Place) -> None:
        if event.at_ms < known.expires_ms:
            self._findings.add(18, place, f"the offer expires {known.expires_ms - event.at_ms} ms before its time")
        if known.accepted:
            self._findings.add(18, place, "the offer expires though it was accepted")
        if event.auto_assigned:
            known.accepted = True
        else:
            known.former |= {event.driver_id}
            known.searches()

    def _withdrawn(self, known: Delivery, _event: dv.OfferWithdrawn, _place: Place) -> None:
        known.searches()

    def _assigned(self, known: Delivery, event: dv.DriverAssigned, place: Place) -> None:
        if known.phase == HOLDING:
            self._findings.add(2, place, f"{event.delivery_id} is held by {known.driver} and {event.driver_id}")
        elif known.phase == OFFERED and not known.accepted:
            self._findings.add(20, place, f"{event.driver_id} is assigned, who neither accepted nor let it expire")
        elif known.phase == RESERVING and known.how == "accepted":
            self._findings.add(20, place, f"{event.driver_id} is assigned without an offer")
        if known.phase == OFFERED and event.fence != known.fence:
            self._findings.add(4, place, f"{event.driver_id}: fence {event.fence}, and the offer had {known.fence}")
        self._relies(event, place)
        known.offer, known.driver, known.fence = event.offer_id, event.driver_id, event.fence
        known.phase, known.status, known.how = HOLDING, "assigned", event.how
        known.progress, known.grace_ms, known.level, known.review = 0, 0, 0, False

    def _relies(self, event: Any, place: Place) -> None:
        """The driver must have granted this offer under this fence."""
        granted = self._granted.get(event.offer_id)
        if granted is None:
            self.relied.append((event.offer_id, event.driver_id, event.fence, place))
        elif granted != event.fence:
            self._findings.add(19, place, f"{event.driver_id} granted fence {granted}, not {event.fence}")

    def _lost(self, known: Delivery, event: dv.DriverLost, place: Place) -> None:
        if known.progress >= PICKED_UP:
            self._findings.add(17, place, f"{event.driver_id} is lost with the goods: people must look, no grace runs")
        known.grace_ms = event.grace_until_ms

    def _recovered(self, known: Delivery, event: dv.DriverRecovered, place: Place) -> None:
        if not known.grace_ms:
            self._findings.add(20, place, f"{event.driver_id} is back, who was not lost")
        known.grace_ms = 0

    def _reassigned(self, known: Delivery, event: dv.AssignmentReassigned, place: Place) -> None:
        name = event.delivery_id
        if known.progress >= PICKED_UP:
            self._findings.add(20, place, f"{name} is taken from {event.driver_id}, who has the goods")
        if event.reason == "driver_offline" and not 0 < known.grace_ms <= event.at_ms:
            why = f"{known.grace_ms - event.at_ms} ms before its end" if known.grace_ms else "without a grace"
            self._findings.add(17, place, f"{name} is taken from {event.driver_id}, who is lost, {why}")
        if event.attempt_count != known.attempts + 1:
            self._findings.add(20, place, f"{name}: attempt {event.attempt_count} after {known.attempts}")
        known.attempts = event.attempt_count
        known.former |= {event.driver_id}
        known.searches()
        known.waits(event.at_ms)

    def _step(self, known: Delivery, event: Any, place: Place) -> None:
        progress = STEPS.index(type(event)) + 1
        if progress <= known.progress or progress > PICKED_UP > known.progress:
            self._findings.add(20, place, f"{type(event).__name__} after step {known.progress}")
        known.progress, known.status = progress, STATUS[progress - 1]
        known.grace_ms = 0 if progress >= PICKED_UP else known.grace_ms

    def _completed(self, known: Delivery, event: dv.DeliveryCompleted, place: Place) -> None:
        if known.progress < PICKED_UP:
            self._findings.add(20, place, f"{event.delivery_id} is delivered by {event.driver_id}, who never had it")
        known.ends("delivered", event.at_ms)

    def _failed(self, known: Delivery, event: dv.DeliveryFailed, place: Place) -> None:
        if event.returning:
            if known.progress < PICKED_UP:
                self._findings.add(20, place, f"{event.delivery_id} goes back to the store, which it never left")
            known.phase, known.status = RETURNING, "failed"
        else:
            if known.phase == HOLDING and known.progress >= PICKED_UP:
                self._findings.add(20, place, f"{event.delivery_id} ends with the goods at {event.driver_id}")
            known.ends("failed", event.at_ms)

    def _returned(self, known: Delivery, event: dv.DeliveryReturned, _place: Place) -> None:
        known.ends("returned", event.at_ms)

    def _cancelled(self, known: Delivery, event: dv.DeliveryCancelled, place: Place) -> None:
        if known.phase == HOLDING and known.progress >= PICKED_UP:
            self._findings.add(20, place, f"{event.delivery_id} is cancelled with the goods at {known.driver}")
        known.ends("cancelled", event.at_ms)

    def _escalated(self, known: Delivery, event: dv.UnassignedEscalated, place: Place) -> None:
        name = event.delivery_id
        if event.level != known.level + 1:
            self._findings.add(9, place, f"{name} is escalated to level {event.level} from {known.level}")
        known.level, known.escalated = event.level, True
        kinds = [("operations", _LEVELS.get(event.level, "unassigned"))]
        if event.level == 1:
            kinds.append(("support", "support_ticket"))
        for audience, kind in kinds:
            self._notice(event, audience, kind, place)

    def _review(self, known: Delivery, event: dv.ManualReviewRequired, place: Place) -> None:
        known.review = True
        if known.phase not in (HOLDING, RETURNING):
            known.phase = REVIEW
        self._notice(event, "operations", "manual_review", place)

    def _review_ended(self, known: Delivery, event: dv.ManualReviewEnded, _place: Place) -> None:
        known.review, known.attempts = False, 0
        known.searches()
        known.waits(event.at_ms)

    def _settled(self, known: Delivery, _event: dv.DeliveryEconomicsSettled, _place: Place) -> None:
        known.settled = True


_Handler = Callable[[Deliveries, Delivery, Any, Place], None]
_HANDLERS: dict[type[Any], _Handler] = {
    dv.DeliveryCreated: Deliveries._created,
    dv.AssignmentStarted: Deliveries._started,
    dv.DriverCandidatesFound: Deliveries._found,
    dv.NoDriverFound: Deliveries._nobody,
    dv.ReservationRequested: Deliveries._requested,
    dv.ReservationFailed: Deliveries._not_reserved,
    dv.DriverOfferSent: Deliveries._sent,
    dv.DriverAccepted: Deliveries._accepted,
    dv.DriverRejected: Deliveries._rejected,
    dv.OfferExpired: Deliveries._expired,
    dv.OfferWithdrawn: Deliveries._withdrawn,
    dv.DriverAssigned: Deliveries._assigned,
    dv.DriverLost: Deliveries._lost,
    dv.DriverRecovered: Deliveries._recovered,
    dv.AssignmentReassigned: Deliveries._reassigned,
    **dict.fromkeys(STEPS, Deliveries._step),
    dv.DeliveryCompleted: Deliveries._completed,
    dv.DeliveryFailed: Deliveries._failed,
    dv.DeliveryReturned: Deliveries._returned,
    dv.DeliveryCancelled: Deliveries._cancelled,
    dv.UnassignedEscalated: Deliveries._escalated,
    dv.ManualReviewRequired: Deliveries._review,
    dv.ManualReviewEnded: Deliveries._review_ended,
    dv.DeliveryEconomicsSettled: Deliveries._settled,
}
