"""The moments at which a delivery must hear from its timer."""

from dispatch.core.delivery.states import Closed, Delivery, Held, Offered, Reserving, Searching
from dispatch.core.facts import Deadline

LEVELS = 3


def deadlines(state: Delivery) -> tuple[Deadline, ...]:
    """All open deadlines, absolute."""
    match state.phase:
        case Searching(retry_at_ms=at) if at:
            return (Deadline("search_retry", at, str(state.search_no)), *_escalation(state))
        case Reserving(answer_by_ms=at, offer_id=offer_id):
            return (Deadline("reserve_timeout", at, offer_id), *_escalation(state))
        case Offered(expires_at_ms=at, offer_id=offer_id):
            return (Deadline("offer_expiry", at, offer_id), *_escalation(state))
        case Held(grace_until_ms=at, offer_id=offer_id) if at:
            return (Deadline("grace", at, offer_id),)
        case Closed(forget_at_ms=at):
            return (Deadline("forget", at),)
        case _:
            return ()


def _escalation(state: Delivery) -> tuple[Deadline, ...]:
    if state.level >= LEVELS or state.ladder is None or state.variant is None or not state.variant.escalation:
        return ()
    level = state.level + 1
    return (Deadline("escalation", state.waiting_since_ms + state.ladder.after_ms(level), str(level)),)
