"""The next state after an event: total over all events, deciding nothing."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.core.delivery.states import (
    PICKED_UP,
    Closed,
    Delivery,
    Held,
    Ladder,
    Listed,
    Offered,
    Placed,
    Reserving,
    Returning,
    Review,
    Searching,
    Variant,
)
from dispatch.core.delivery.telling import hears_of_driver
from dispatch.core.economics import used
from dispatch.core.pay import earning_of

SHORTLIST = 5


def evolve(state: Delivery, event: DeliveryEvent) -> Delivery:
    """The state after the event."""
    usage = used(state.usage, event)
    if usage is not state.usage:
        state = replace(state, usage=usage)
    return _EVOLVERS[type(event)](state, event)


def _created(state: Delivery, event: events.DeliveryCreated) -> Delivery:
    return replace(
        state,
        version=event.version,
        phase=Placed(),
        correlation_id=event.correlation_id,
        order=event.order,
        order_digest=event.order_digest,
        prep_s=event.order.prep_s,
        remember_ms=event.remember_ms,
        multiplier_percent=event.multiplier_percent,
    )


def _prep_changed(state: Delivery, event: events.PrepTimeChanged) -> Delivery:
    order = replace(state.order, prep_s=event.prep_s) if state.order else None
    return replace(state, version=event.version, order=order, prep_s=event.prep_s)


def _started(state: Delivery, event: events.AssignmentStarted) -> Delivery:
    return replace(
        state,
        version=event.version,
        phase=Searching(),
        ready_at_ms=event.at_ms,
        waiting_since_ms=event.at_ms,
        order=replace(state.order, zone=event.zone) if state.order and event.zone else state.order,
        variant=Variant(
            event.driver_offers, event.reassignment, event.escalation, event.zone_balancing, event.eta_tracking
        ),
        ladder=Ladder(event.level_1_ms, event.level_2_ms, event.level_3_ms),
        base_radius_m=event.radius_m,
        radius_m=event.radius_m,
        reply_to=event.reply_to,
        ready_command=event.causation_id,
    )


def _found(state: Delivery, event: events.DriverCandidatesFound) -> Delivery:
    fit = [seen for seen in event.candidates if not seen.excluded][:SHORTLIST]
    return replace(
        state,
        version=event.version,
        search_no=event.search_no,
        found_at_ms=event.at_ms,
        shortlist=tuple(Listed(seen.driver_id, seen.distance_m, seen.travel_s, seen.vehicle) for seen in fit),
        route=event.route,
        eta_shape=event.eta,
    )


def _requested(state: Delivery, event: events.ReservationRequested) -> Delivery:
    rest = list(state.shortlist)
    asked = next((listed for listed in rest if listed.driver_id == event.driver_id), None)
    if asked is None:
        asked = Listed(event.driver_id, 0, 0, "UNKNOWN")
    else:
        rest.remove(asked)
    phase = Reserving(
        event.offer_id, event.driver_id, event.how, event.answer_by_ms, asked.distance_m, asked.travel_s, asked.vehicle
    )
    return replace(state, version=event.version, phase=phase, shortlist=tuple(rest))


def _reservation_failed(state: Delivery, event: events.ReservationFailed) -> Delivery:
    return replace(state, version=event.version, phase=Searching(), ended_offer=(event.offer_id, "not_yours"))


def _offer_sent(state: Delivery, event: events.DriverOfferSent) -> Delivery:
    asked = state.phase
    distance_m, travel_s, vehicle = (
        (asked.distance_m, asked.travel_s, asked.vehicle) if isinstance(asked, Reserving) else (0, 0, "UNKNOWN")
    )
    phase = Offered(
        event.offer_id, event.driver_id, event.fence, event.sent_at_ms, event.expires_at_ms,
        distance_m, travel_s, vehicle, earning_of(event.terms),
    )  # fmt: skip
    return replace(state, version=event.version, phase=phase, retries=0, reply_to=-1)


def _counted(state: Delivery, event: DeliveryEvent) -> Delivery:
    """Nothing but the version: the event tells of what was decided with others."""
    return replace(state, version=event.version)


def _offer_over(code: str, counts: bool) -> Callable[[Delivery, Any], Delivery]:
    def over(state: Delivery, event: Any) -> Delivery:
        if isinstance(event, events.OfferExpired) and event.auto_assigned:
            return replace(state, version=event.version, ended_offer=(event.offer_id, code))
        return replace(
            state,
            version=event.version,
            phase=Searching(),
            ended_offer=(event.offer_id, code),
            former=_with(state.former, event.driver_id) if counts else state.former,
            refusals=state.refusals + counts,
        )

    return over


def _assigned(state: Delivery, event: events.DriverAssigned) -> Delivery:
    terms = event.terms
    phase = Held(
        event.offer_id, event.driver_id, event.fence, event.how, event.at_ms, earning=earning_of(terms),
        pickup_eta_ms=terms.pickup_eta_ms, delivery_eta_ms=terms.delivery_eta_ms,
    )  # fmt: skip
    return replace(
        state, version=event.version, phase=phase, shortlist=(), retries=0, level=0, reply_to=-1, needs_review=False,
        route=None, eta_shape=None, told_eta_ms=terms.delivery_eta_ms if hears_of_driver(state) else state.told_eta_ms,
    )  # fmt: skip


def _eta_changed(state: Delivery, event: events.EtaChanged) -> Delivery:
    phase = state.phase
    if isinstance(phase, Held):
        pickup_ms = event.eta.pickup.p50_ms if event.eta.pickup is not None else phase.pickup_eta_ms
        phase = replace(phase, pickup_eta_ms=pickup_ms, delivery_eta_ms=event.eta.delivery.p50_ms)
    told_ms = event.eta.delivery.p50_ms if event.tell_customer else state.told_eta_ms
    return replace(state, version=event.version, phase=phase, told_eta_ms=told_ms)


def _lost(state: Delivery, event: events.DriverLost) -> Delivery:
    phase = state.phase
    if isinstance(phase, Held):
        phase = replace(phase, grace_until_ms=event.grace_until_ms, lost=event.why)
    return replace(state, version=event.version, phase=phase)


def _recovered(state: Delivery, event: events.DriverRecovered) -> Delivery:
    phase = state.phase
    if isinstance(phase, Held):
        phase = replace(phase, grace_until_ms=0, lost="UNKNOWN")
    return replace(state, version=event.version, phase=phase)


def _reassigned(state: Delivery, event: events.AssignmentReassigned) -> Delivery:
    return replace(
        state,
        version=event.version,
        phase=Searching(),
        former=_with(state.former, event.driver_id),
        attempt_count=event.attempt_count,
        tell_driver=event.notify_customer,
        waiting_since_ms=event.at_ms,
        level=0,
        radius_m=state.base_radius_m,
        shortlist=(),
        ended_offer=(event.offer_id, "not_yours"),
    )


def _step(progress: int) -> Callable[[Delivery, Any], Delivery]:
    def stepped(state: Delivery, event: Any) -> Delivery:
        phase = state.phase
        if isinstance(phase, Held):
            in_grace = 0 if progress >= PICKED_UP else phase.grace_until_ms
            phase = replace(phase, progress=progress, grace_until_ms=in_grace)
        return replace(state, version=event.version, phase=phase)

    return stepped


def _proof_refused(state: Delivery, event: events.ProofRefused) -> Delivery:
    return replace(state, version=event.version, wrong_pins=event.wrong)


def _closed(status: str) -> Callable[[Delivery, Any], Delivery]:
    def closed(state: Delivery, event: Any) -> Delivery:
        return _marker(state, event, status)

    return closed


def _failed(state: Delivery, event: events.DeliveryFailed) -> Delivery:
    if event.returning:
        earning = state.phase.earning if isinstance(state.phase, Held) else None
        return replace(state, version=event.version, phase=Returning(event.offer_id, event.driver_id, earning))
    return _marker(state, event, "failed")


def _marker(state: Delivery, event: DeliveryEvent, status: str) -> Delivery:
    """What stays of a delivery that ended."""
    return Delivery(
        id=state.id,
        version=event.version,
        phase=Closed(status, event.at_ms + state.remember_ms),
        correlation_id=state.correlation_id,
        order_digest=state.order_digest,
    )


def _nobody(state: Delivery, event: events.NoDriverFound) -> Delivery:
    return replace(
        state,
        version=event.version,
        phase=Searching(event.retry_at_ms, event.why),
        retries=state.retries + 1,
        reply_to=-1,
        shortlist=(),
    )


def _escalated(state: Delivery, event: events.UnassignedEscalated) -> Delivery:
    return replace(state, version=event.version, level=event.level, radius_m=event.radius_m)


def _review(state: Delivery, event: events.ManualReviewRequired) -> Delivery:
    phase = state.phase if isinstance(state.phase, Held | Returning) else Review()
    return replace(state, version=event.version, phase=phase, needs_review=True, reply_to=-1, shortlist=())


def _review_ended(state: Delivery, event: events.ManualReviewEnded) -> Delivery:
    phase = Searching() if isinstance(state.phase, Review) else state.phase
    return replace(
        state,
        version=event.version,
        phase=phase,
        needs_review=False,
        attempt_count=0,
        waiting_since_ms=event.at_ms,
        level=0,
        radius_m=state.base_radius_m,
    )


def _with(former: tuple[str, ...], driver_id: str) -> tuple[str, ...]:
    return former if driver_id in former else (*former, driver_id)


_EVOLVERS: dict[type[DeliveryEvent], Callable[[Delivery, Any], Delivery]] = {
    events.DeliveryCreated: _created,
    events.PrepTimeChanged: _prep_changed,
    events.AssignmentStarted: _started,
    events.DriverCandidatesFound: _found,
    events.ReservationRequested: _requested,
    events.ReservationFailed: _reservation_failed,
    events.DriverOfferSent: _offer_sent,
    events.DriverAccepted: _counted,
    events.DeliveryEconomicsEstimated: _counted,
    events.DeliveryEconomicsSettled: _counted,
    events.DriverRejected: _offer_over("offer_rejected", counts=True),
    events.OfferExpired: _offer_over("offer_expired", counts=True),
    events.OfferWithdrawn: _offer_over("offer_withdrawn", counts=False),
    events.DriverAssigned: _assigned,
    events.EtaChanged: _eta_changed,
    events.DriverLost: _lost,
    events.DriverRecovered: _recovered,
    events.AssignmentReassigned: _reassigned,
    events.PickupStarted: _step(1),
    events.ArrivedAtPickup: _step(2),
    events.PickupCompleted: _step(3),
    events.DeliveryStarted: _step(4),
    events.ArrivedAtDropoff: _step(5),
    events.ProofRefused: _proof_refused,
    events.DeliveryCompleted: _closed("delivered"),
    events.DeliveryFailed: _failed,
    events.DeliveryReturned: _closed("returned"),
    events.DeliveryCancelled: _closed("cancelled"),
    events.NoDriverFound: _nobody,
    events.UnassignedEscalated: _escalated,
    events.ManualReviewRequired: _review,
    events.ManualReviewEnded: _review_ended,
}
