"""Reservations and offers: granted, denied, accepted, refused, expired, withdrawn."""

from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records import delivery_events as events
from dispatch.core.delivery import refusals
from dispatch.core.delivery.draft import Draft
from dispatch.core.delivery.states import Closed, Delivery, Held, Offered, Reserving, Unknown
from dispatch.core.facts import Facts, Refusal

NOTIFIED_BY = "driver_gateway"


def granted(draft: Draft, command: commands.ReservationGranted) -> Refusal | None:
    """The driver is reserved: an offer, or the assignment at once. A grant of an offer that is over needs no answer."""
    asked = draft.state.phase
    if not isinstance(asked, Reserving) or asked.offer_id != command.offer_id:
        return None
    if asked.how != "accepted":
        draft.assign(asked, asked.how, command.fence)
        return None
    facts = draft.facts
    draft.add(
        events.DriverOfferSent,
        offer_id=asked.offer_id,
        driver_id=asked.driver_id,
        fence=command.fence,
        sent_at_ms=facts.wall_ms,
        expires_at_ms=facts.wall_ms + round(facts.policy.offer.timeout_s * 1000),
        terms=draft.terms(asked),
        notified_by=NOTIFIED_BY,
    )
    return None


def denied(draft: Draft, command: commands.ReservationDenied) -> Refusal | None:
    """The driver is not to be had: the next one."""
    asked = draft.state.phase
    if isinstance(asked, Reserving) and asked.offer_id == command.offer_id:
        draft.reservation_failed(command.why)
        draft.next_candidate()
    return None


def accept(draft: Draft, command: commands.AcceptOffer) -> Refusal | None:
    """Takes the offer, if it is still open and this driver's."""
    match draft.state.phase:
        case Offered(offer_id=offer_id, driver_id=driver_id) as offer if offer_id == command.offer_id:
            if driver_id != command.driver_id:
                return refusals.NOT_YOURS
            if draft.facts.now_ms >= offer.expires_at_ms:
                return refusals.late("offer_expired")
            answered_ms = max(0, draft.facts.now_ms - offer.sent_at_ms)
            draft.add(events.DriverAccepted, offer_id=offer_id, driver_id=driver_id, response_ms=answered_ms)
            draft.assign(offer, "accepted", offer.fence)
            return None
        case Held(offer_id=offer_id, driver_id=driver_id, how="accepted") if (offer_id, driver_id) == (
            command.offer_id, command.driver_id,
        ):  # fmt: skip
            return None
    return too_late(draft.state, command.offer_id)


def reject(draft: Draft, command: commands.RejectOffer) -> Refusal | None:
    """Refuses the offer: the next candidate, and this driver never again."""
    offer = draft.state.phase
    if not isinstance(offer, Offered) or offer.offer_id != command.offer_id:
        if draft.state.ended_offer == (command.offer_id, "offer_rejected"):
            return None
        return too_late(draft.state, command.offer_id)
    if offer.driver_id != command.driver_id:
        return refusals.NOT_YOURS
    if draft.facts.now_ms >= offer.expires_at_ms:
        return refusals.late("offer_expired")
    draft.add(
        events.DriverRejected,
        offer_id=offer.offer_id,
        driver_id=offer.driver_id,
        response_ms=max(0, draft.facts.now_ms - offer.sent_at_ms),
        reason=command.reason,
        note=command.note,
    )
    draft.next_candidate()
    return None


def expire(draft: Draft, offer: Offered) -> None:
    """Silence: assigns or goes on, as the policy says."""
    assigns = silence_assigns(draft.state, draft.facts)
    draft.add(events.OfferExpired, offer_id=offer.offer_id, driver_id=offer.driver_id, auto_assigned=assigns)
    if assigns:
        draft.assign(offer, "auto", offer.fence)
    else:
        draft.next_candidate()


def silence_assigns(state: Delivery, facts: Facts) -> bool:
    """What `offer.on_expiry` says for this delivery now."""
    policy = facts.policy.offer
    if policy.on_expiry == "auto_assign_after_n":
        return state.refusals >= policy.refusals_before_auto
    return policy.on_expiry == "auto_assign"


def too_late(state: Delivery, offer_id: str) -> Refusal:
    """Why an answer to this offer is refused: the refusal says which."""
    match state.phase:
        case Unknown():
            return refusals.UNKNOWN_ORDER
        case Closed(status="cancelled"):
            return refusals.late("order_cancelled")
        case Closed():
            return refusals.late("already_ended")
    known, code = state.ended_offer
    return refusals.late(code) if code and known == offer_id else refusals.NOT_YOURS
