"""Waiting deliveries and admins: retries, wake-ups, escalation, reassignment and assignment by hand, timers."""

from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records import delivery_events as events
from dispatch.core.delivery import refusals
from dispatch.core.delivery.deadlines import LEVELS, deadlines
from dispatch.core.delivery.draft import Draft, waits
from dispatch.core.delivery.holding import reassign
from dispatch.core.delivery.offering import expire
from dispatch.core.delivery.states import (
    PICKED_UP,
    Closed,
    Delivery,
    Held,
    Offered,
    Reserving,
    Review,
    Searching,
    Unknown,
)
from dispatch.core.facts import Deadline, Refusal


def search_again(draft: Draft, command: commands.SearchAgain) -> Refusal | None:
    """A suitable driver became available, or somebody asks: do not wait for the retry."""
    match draft.state.phase:
        case Searching():
            draft.search()
        case Reserving():
            return None
        case _ if command.actor_type != "system":
            return _no_wait(draft.state)
    return None


def is_due(state: Delivery, command: commands.DeliveryTimerDue) -> bool:
    """Whether the state still has this very deadline; a timer that was overtaken changes nothing."""
    return Deadline(command.timer, command.due_at_ms, command.ref) in deadlines(state)


def timer(draft: Draft, command: commands.DeliveryTimerDue) -> Refusal | None:
    """A deadline has come."""
    if not is_due(draft.state, command):
        return None
    match command.timer, draft.state.phase:
        case "search_retry", _:
            draft.search()
        case "reserve_timeout", _:
            draft.reservation_failed("no_answer")
            draft.next_candidate()
        case "offer_expiry", Offered() as offer:
            expire(draft, offer)
        case "grace", Held() as held:
            reassign(draft, held, "driver_offline", "")
        case "escalation", _:
            _escalate(draft, by_admin=False)
    return None


def escalate(draft: Draft, _command: commands.EscalateDelivery) -> Refusal | None:
    """An admin does not wait for the clock."""
    if not waits(draft.state):
        return _no_wait(draft.state)
    if draft.state.level >= LEVELS:
        return refusals.not_allowed_now(draft.state, "it is at the highest level")
    _escalate(draft, by_admin=True)
    return None


def reassign_by_hand(draft: Draft, command: commands.ReassignDelivery) -> Refusal | None:
    """From an admin, whoever holds it; from a watcher, only the offer that it judged, and never a manual assignment."""
    by_admin = command.actor_type == "admin"
    match draft.state.phase:
        case Held(progress=progress) as held if progress < PICKED_UP:
            if not by_admin:
                if held.offer_id != command.offer_id:
                    return refusals.NOT_YOURS
                if held.how == "manual":
                    return refusals.not_allowed_now(draft.state, "an admin's assignment is not undone by automation")
                if draft.state.variant is None or not draft.state.variant.reassignment:
                    return Refusal("feature_off", "Reassignment is off for this delivery.")
            reassign(draft, held, command.reason, command.note, by_admin=by_admin)
            return None
        case Held():
            return refusals.GOODS_PICKED_UP
        case Review() if by_admin:
            draft.add(events.ManualReviewEnded, note=command.note)
            draft.search()
            return None
        case Offered() if by_admin:
            draft.withdraw("admin_reassigned")
            draft.next_candidate()
            return None
        case Searching() if by_admin:
            draft.search()
            return None
        case Unknown():
            return refusals.UNKNOWN_ORDER
    return refusals.not_allowed_now(draft.state, "nobody holds it")


def assign_by_hand(draft: Draft, command: commands.AssignDriver) -> Refusal | None:
    """An admin names the driver, former or not; what was open is withdrawn first."""
    match draft.state.phase:
        case Held(progress=progress) as held:
            if progress >= PICKED_UP:
                return refusals.GOODS_PICKED_UP
            if held.driver_id == command.driver_id:
                return None
            draft.take_away(held, "admin_forced", command.note)
        case Review():
            draft.add(events.ManualReviewEnded, note=command.note)
        case _:
            if not waits(draft.state):
                return _no_wait(draft.state)
            draft.withdraw("admin_assigned")
    draft.name(command.driver_id)
    return None


def _escalate(draft: Draft, *, by_admin: bool) -> None:
    state, policy = draft.state, draft.facts.policy
    level = state.level + 1
    radius_m = max(policy.search.escalated_radius_m, state.radius_m) if level == 2 else state.radius_m
    draft.add(
        events.UnassignedEscalated,
        level=level,
        why=state.phase.why if isinstance(state.phase, Searching) else "unknown",
        waiting_ms=max(0, draft.facts.now_ms - state.waiting_since_ms),
        radius_m=radius_m,
        by_admin=by_admin,
    )
    if level == LEVELS and policy.escalation.auto_cancel:
        draft.withdraw("order_cancelled")
        draft.add(events.DeliveryCancelled, reason="nobody_found", note="", by_policy=True)
    elif level == 2 and isinstance(state.phase, Searching):
        draft.search()


def _no_wait(state: Delivery) -> Refusal:
    match state.phase:
        case Unknown():
            return refusals.UNKNOWN_ORDER
        case Closed(status="cancelled"):
            return refusals.late("order_cancelled")
        case Closed():
            return refusals.late("already_ended")
    return refusals.not_allowed_now(state, "it does not wait for a driver")
