"""What operations watch, counted from events as they are folded: `observe` after each batch that is committed.

An event is a look in a table and a call. What a figure needs of earlier events of a delivery is kept in memory while it
is under way: of those that began before this process nothing is known, and nothing that rests on it is counted. Events
older than an hour are history, as when tables are made anew: they are no news, and are counted as such alone.
"""

from collections.abc import Callable, Sequence
from typing import Any

from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.metrics import dispatching as figures
from dispatch.metrics.projector import AUDIT_LAG, HISTORY

NEWS_MS = 3_600_000
LATE_MS = 10_000
"""What comes so much after its deadline is missed."""
MOST = 200_000
"""Deliveries, and drivers on breaks, that are remembered at most; of more the oldest are forgotten."""

UNCOUNTED = (
    de.PrepTimeChanged, de.DriverCandidatesFound, de.ReservationRequested, de.DeliveryEconomicsEstimated,
    de.DriverLost, de.DriverRecovered, de.PickupStarted, de.ArrivedAtPickup, de.DeliveryStarted, de.ArrivedAtDropoff,
    de.ProofRefused,
    dr.DriverSignedOn, dr.DriverBreakRequested, dr.DriverBreakNoticed, dr.DriverShiftEndRequested,
    dr.DriverPauseRecorded, dr.DriverSeen, dr.DriverZonePreferenceSet, dr.DriverReserved, dr.DriverReservationDenied,
    dr.DriverReservationConfirmed, dr.DriverReservationReleased,
)  # fmt: skip
"""Events of which only the way into the audit is counted."""


class _Course:
    """A delivery under way, as far as figures need it. Moments in ms; 0: not, or not any more."""

    __slots__ = ("asked", "eta", "held", "ladder", "level", "lost_ms", "picked_ms", "ready_ms", "refused", "vain",
                 "waits_ms")  # fmt: skip

    def __init__(self, ready_ms: int, ladder: tuple[int, ...]) -> None:
        self.ready_ms, self.ladder = ready_ms, ladder
        """Escalation by level; empty: it is off."""
        self.waits_ms, self.level = ready_ms, 0
        self.asked = self.refused = self.vain = self.held = False
        """Somebody was offered it; the first said no; a search found nobody; somebody had it once."""
        self.lost_ms = 0
        """Since when it is without the driver it had."""
        self.eta: de.DriverAssigned | None = None
        self.picked_ms = 0


class Figures:
    """The counting, and what it remembers."""

    def __init__(self) -> None:
        self.courses: dict[str, _Course] = {}
        self.breaks: dict[str, int] = {}
        """Driver -> when the break should end."""
        self._handlers: dict[type, Callable[[Any], None] | None] = {
            de.DeliveryCreated: self._created,
            de.AssignmentStarted: self._ready,
            de.NoDriverFound: self._nobody,
            de.ReservationFailed: self._not_had,
            de.DriverOfferSent: self._offered,
            de.DriverAccepted: self._accepted,
            de.DriverRejected: self._rejected,
            de.OfferExpired: self._expired,
            de.OfferWithdrawn: self._withdrawn,
            de.DriverAssigned: self._assigned,
            de.AssignmentReassigned: self._reassigned,
            de.ManualReviewRequired: self._review,
            de.ManualReviewEnded: self._review_ended,
            de.UnassignedEscalated: self._escalated,
            de.EtaChanged: self._eta_changed,
            de.PickupCompleted: self._picked_up,
            de.DeliveryCompleted: self._completed,
            de.DeliveryFailed: self._failed,
            de.DeliveryReturned: self._returned,
            de.DeliveryCancelled: self._cancelled,
            de.DeliveryEconomicsSettled: self._settled,
            dr.DriverAvailabilityChanged: self._availability,
            dr.DriverBreakExtended: self._extended,
            **dict.fromkeys(UNCOUNTED),
        }

    def observe(self, events: Sequence[Any], now_ms: int) -> None:
        """Counts events that were committed at this moment, each delivery's in order."""
        handlers, lag, oldest_ms, old = self._handlers, AUDIT_LAG.observe, now_ms - NEWS_MS, 0
        for event in events:
            kind = type(event)
            if kind not in handlers:  # a ping is no event
                continue
            at_ms = event.at_ms
            lag(max(0, now_ms - at_ms) / 1000)
            if at_ms < oldest_ms:
                old += 1
            elif (handler := handlers[kind]) is not None:
                handler(event)
        if old:
            HISTORY.inc(old)
        for kept in (self.courses, self.breaks):
            while len(kept) > MOST:
                kept.pop(next(iter(kept)))

    def _created(self, _event: de.DeliveryCreated) -> None:
        figures.CREATED.inc()

    def _ready(self, event: de.AssignmentStarted) -> None:
        figures.READY.inc()
        ladder = (event.level_1_ms, event.level_2_ms, event.level_3_ms) if event.escalation else ()
        self.courses[event.delivery_id] = _Course(event.at_ms, ladder)

    def _nobody(self, event: de.NoDriverFound) -> None:
        figures.NOBODY.labels(event.why).inc()
        if (course := self.courses.get(event.delivery_id)) is not None:
            course.vain = True

    def _not_had(self, event: de.ReservationFailed) -> None:
        figures.RESERVATIONS_FAILED.labels(event.why).inc()
        if (course := self.courses.get(event.delivery_id)) is not None:
            course.vain = True

    def _offered(self, event: de.DriverOfferSent) -> None:
        figures.OFFERS_SENT.inc()
        course = self.courses.get(event.delivery_id)
        if course is None or course.asked:
            return
        course.asked = True
        if not course.held:
            since = max(0, event.sent_at_ms - course.ready_ms) / 1000
            figures.FIRST_OFFER_SECONDS.labels("later" if course.vain else "first").observe(since)

    def _accepted(self, event: de.DriverAccepted) -> None:
        _ACCEPTED.inc()
        figures.RESPONSE_SECONDS.observe(event.response_ms / 1000)

    def _rejected(self, event: de.DriverRejected) -> None:
        _REJECTED.inc()
        figures.REJECTIONS.labels(event.reason).inc()
        figures.RESPONSE_SECONDS.observe(event.response_ms / 1000)
        self._refused(event.delivery_id)

    def _expired(self, event: de.OfferExpired) -> None:
        if event.auto_assigned:
            _AUTO.inc()
        else:
            _EXPIRED.inc()
            self._refused(event.delivery_id)

    def _withdrawn(self, event: de.OfferWithdrawn) -> None:
        _WITHDRAWN.inc()
        if event.why == "driver_unavailable":
            self._refused(event.delivery_id)

    def _refused(self, delivery_id: str) -> None:
        """The driver asked did not take it; of the first one that says how the first attempt went."""
        course = self.courses.get(delivery_id)
        if course is not None and not course.refused and not course.held:
            course.refused = True
            _NOT_TAKEN.inc()

    def _assigned(self, event: de.DriverAssigned) -> None:
        figures.ASSIGNED.labels(event.how).inc()
        course = self.courses.get(event.delivery_id)
        if course is None:
            return
        if not course.held:
            course.held = True
            figures.ASSIGNMENT_SECONDS.observe(event.search_ms / 1000)
            if not course.refused and event.how != "manual":
                _TAKEN.inc()
        elif course.lost_ms:
            figures.REASSIGNED.labels("assigned").inc()
            figures.REASSIGNMENT_SECONDS.observe(max(0, event.at_ms - course.lost_ms) / 1000)
            course.lost_ms = 0
        self._waited(course, event.at_ms)
        course.eta, course.picked_ms = event, 0

    def _reassigned(self, event: de.AssignmentReassigned) -> None:
        figures.REASSIGNMENTS.labels(event.reason).inc()
        if (course := self.courses.get(event.delivery_id)) is not None:
            course.lost_ms = course.waits_ms = event.at_ms
            course.level, course.eta = 0, None

    def _review(self, event: de.ManualReviewRequired) -> None:
        figures.REVIEWS.inc()
        if (course := self.courses.get(event.delivery_id)) is not None:
            self._waited(course, event.at_ms)
            self._lost(course, "manual_review")

    def _review_ended(self, event: de.ManualReviewEnded) -> None:
        if (course := self.courses.get(event.delivery_id)) is not None:
            course.waits_ms, course.level = event.at_ms, 0

    @staticmethod
    def _lost(course: _Course, outcome: str) -> None:
        """What became of a delivery that had lost its driver, other than another driver."""
        if course.lost_ms:
            figures.REASSIGNED.labels(outcome).inc()
            course.lost_ms = 0

    @staticmethod
    def _waited(course: _Course, at_ms: int) -> None:
        """Its wait is over: a deadline that passed without an escalation was missed."""
        if course.waits_ms and course.level < len(course.ladder):
            waited_ms = at_ms - course.waits_ms
            if waited_ms > course.ladder[course.level] + LATE_MS:
                _MISSED.inc()
        course.waits_ms = 0

    def _escalated(self, event: de.UnassignedEscalated) -> None:
        figures.ESCALATIONS.labels(str(event.level), "admin" if event.by_admin else "deadline").inc()
        course = self.courses.get(event.delivery_id)
        if course is None:
            return
        if not event.by_admin and 0 < event.level <= len(course.ladder):
            late = event.waiting_ms > course.ladder[event.level - 1] + LATE_MS
            (_MISSED if late else _KEPT).inc()
        course.level = event.level

    def _eta_changed(self, event: de.EtaChanged) -> None:
        why = event.why if event.why in _ETA_WHY else "other"
        figures.ETA_CHANGES.labels(why).inc()

    def _picked_up(self, event: de.PickupCompleted) -> None:
        if (course := self.courses.get(event.delivery_id)) is not None and course.eta is not None:
            eta = course.eta.terms.eta
            band = eta.pickup if eta is not None else None
            _arrived("pickup", band, course.eta.terms.pickup_eta_ms, event.at_ms)

    def _completed(self, event: de.DeliveryCompleted) -> None:
        _DELIVERED.inc()
        figures.DELIVERY_SECONDS.observe(event.total_ms / 1000)
        course = self._ended(event.delivery_id, event.at_ms)
        if course is not None and course.eta is not None:
            eta = course.eta.terms.eta
            band = eta.delivery if eta is not None else None
            _arrived("dropoff", band, course.eta.terms.delivery_eta_ms, event.at_ms)

    def _failed(self, event: de.DeliveryFailed) -> None:
        if not event.returning:
            _FAILED.inc()
            self._ended(event.delivery_id, event.at_ms)

    def _returned(self, event: de.DeliveryReturned) -> None:
        _RETURNED.inc()
        self._ended(event.delivery_id, event.at_ms)

    def _cancelled(self, event: de.DeliveryCancelled) -> None:
        _CANCELLED.inc()
        by = "policy" if event.by_policy else event.actor_type
        figures.CANCELLED.labels(by).inc()
        self._ended(event.delivery_id, event.at_ms)

    def _ended(self, delivery_id: str, at_ms: int) -> _Course | None:
        course = self.courses.pop(delivery_id, None)
        if course is not None:
            self._waited(course, at_ms)
            self._lost(course, "ended")
        return course

    @staticmethod
    def _settled(event: de.DeliveryEconomicsSettled) -> None:
        money, zone = event.economics, event.zone
        figures.SETTLED.labels(zone, money.currency).inc()
        figures.REVENUE.labels("commission", zone, money.currency).inc(money.commission_minor)
        figures.REVENUE.labels("delivery_fee", zone, money.currency).inc(money.delivery_fee_minor)
        for part in COST_PARTS:
            if amount := getattr(money, f"{part}_minor"):
                figures.COST.labels(part, zone, money.currency).inc(amount)

    def _availability(self, event: dr.DriverAvailabilityChanged) -> None:
        figures.AVAILABILITY.labels(event.to_availability).inc()
        if event.reason == "nothing_heard":
            figures.LOST.inc()
        until_ms = self.breaks.pop(event.driver_id, 0)
        if event.duty == "break" and event.until_ms:
            self.breaks[event.driver_id] = event.until_ms
        elif until_ms:
            if event.reason != "break_over":
                _OTHERWISE.inc()
            else:
                (_BREAK_LATE if event.at_ms > until_ms + LATE_MS else _BREAK_IN_TIME).inc()

    def _extended(self, event: dr.DriverBreakExtended) -> None:
        if event.driver_id in self.breaks:
            self.breaks[event.driver_id] = event.until_ms


COST_PARTS = ("driver_pay", "compensation", "routing", "messages", "storage", "platform")
_ETA_WHY = ("driver_moved", "status_changed", "prep_time_changed")
_ACCEPTED, _REJECTED, _EXPIRED, _AUTO, _WITHDRAWN = (
    figures.OFFERS.labels(outcome) for outcome in ("accepted", "rejected", "expired", "auto_assigned", "withdrawn")
)
_DELIVERED, _FAILED, _RETURNED, _CANCELLED = (
    figures.ENDED.labels(outcome) for outcome in ("delivered", "failed", "returned", "cancelled")
)
_TAKEN, _NOT_TAKEN = (figures.FIRST_ATTEMPTS.labels(outcome) for outcome in ("taken", "not_taken"))
_KEPT, _MISSED = (figures.ESCALATION_DEADLINES.labels(result) for result in ("kept", "missed"))
_BREAK_IN_TIME, _BREAK_LATE, _OTHERWISE = (figures.BREAKS.labels(how) for how in ("in_time", "late", "otherwise"))


def _arrived(at: str, band: Any, middle_ms: int, actual_ms: int) -> None:
    """An arrival against the band that was foretold, or the moment alone."""
    where = "none"
    if band is not None:
        middle_ms = band.p50_ms
        where = "early" if actual_ms < band.p10_ms else "late" if actual_ms > band.p90_ms else "within"
    figures.ETA_ARRIVALS.labels(at, where).inc()
    figures.ETA_ERROR_SECONDS.labels(at).observe(abs(actual_ms - middle_ms) / 1000)


_FIGURES = Figures()


def observe(events: Sequence[Any], now_ms: int) -> None:
    """Counts the events of a batch that was committed at this moment. One thread at a time."""
    _FIGURES.observe(events, now_ms)
