"""What a delivery makes of a command. `docs/tables/delivery.md` lists every (phase, command) pair; a test holds it."""

from collections.abc import Callable
from typing import Any

from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records.delivery_commands import DeliveryCommand
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.core.delivery import arrivals, holding, offering, orders, watching
from dispatch.core.delivery.draft import Draft
from dispatch.core.delivery.states import PICKED_UP, Delivery, Held, Offered, Placed, Review, Searching, Unknown
from dispatch.core.facts import Facts, Refusal, SearchNeed, Trip, ZoneFacts
from dispatch.core.policy import Flags, Policy
from dispatch.core.zones import reach_m

_DECIDERS: dict[type[DeliveryCommand], Callable[[Draft, Any], Refusal | None]] = {
    commands.PlaceOrder: orders.place,
    commands.MarkReady: orders.ready,
    commands.ChangePrepTime: orders.change_prep_time,
    commands.CancelDelivery: orders.cancel,
    commands.ReservationGranted: offering.granted,
    commands.ReservationDenied: offering.denied,
    commands.AcceptOffer: offering.accept,
    commands.RejectOffer: offering.reject,
    commands.ReportProgress: holding.progress,
    commands.FailDelivery: holding.fail,
    commands.ReturnDelivery: holding.bring_back,
    commands.GiveUpDelivery: holding.give_up,
    commands.DriverUnavailable: holding.unavailable,
    commands.DriverBack: holding.back,
    commands.SearchAgain: watching.search_again,
    commands.EscalateDelivery: watching.escalate,
    commands.ReassignDelivery: watching.reassign_by_hand,
    commands.AssignDriver: watching.assign_by_hand,
    commands.DeliveryTimerDue: watching.timer,
    commands.UpdateEta: arrivals.update,
}


def decide(state: Delivery, command: DeliveryCommand, facts: Facts) -> tuple[DeliveryEvent, ...] | Refusal:
    """The events that the command leads to; none: a repeat, acknowledged; a Refusal: nothing changes, and why."""
    draft = Draft(state, command, facts)
    refused = _DECIDERS[type(command)](draft, command)
    return refused if refused is not None else tuple(draft.events)


def needs(
    state: Delivery, command: DeliveryCommand, policy: Policy, flags: Flags, now_ms: int, zone: ZoneFacts | None = None
) -> SearchNeed | None:
    """The candidates that the decision wants to see. Asking for more than is used does no harm but time."""
    order = command.order if isinstance(command, commands.MarkReady) and state.order is None else state.order
    if order is None or not _searches(state, command, policy, now_ms):
        return None
    former, named, radius_m = state.former, "", state.radius_m or policy.search.radius_m
    match command:
        case commands.AssignDriver(driver_id=driver_id):
            former, named = (), driver_id
        case commands.RejectOffer() | commands.DeliveryTimerDue(timer="offer_expiry") | commands.DriverUnavailable():
            former = (*former, holder) if (holder := getattr(state.phase, "driver_id", "")) else former
        case commands.EscalateDelivery() | commands.DeliveryTimerDue(timer="escalation"):
            radius_m = max(policy.search.escalated_radius_m, radius_m)
    if isinstance(state.phase, Held) and not named:
        former = (*former, state.phase.driver_id)
    if state.variant is not None:
        balancing = state.variant.zone_balancing
    else:
        balancing = flags.zone_balancing.covers(command.delivery_id, zone.zone if zone else "none")
    return SearchNeed(
        lat=order.pickup_lat,
        lng=order.pickup_lng,
        radius_m=reach_m(radius_m, zone, policy, balancing=balancing),
        zone=zone.zone if balancing and zone is not None and zone.known else "",
        limit=policy.search.limit,
        vehicle=order.vehicle,
        excluded=tuple(dict.fromkeys(former)),
        named=named,
        trip=Trip(order.dropoff_lat, order.dropoff_lng, order.seller_id, zone.zone if zone else order.zone),
    )


def _searches(state: Delivery, command: DeliveryCommand, policy: Policy, now_ms: int) -> bool:
    phase, by_admin = state.phase, command.actor_type == "admin"
    match command:
        case commands.MarkReady():
            return isinstance(phase, Unknown | Placed)
        case commands.SearchAgain():
            return isinstance(phase, Searching)
        case commands.AssignDriver():
            return True
        case commands.EscalateDelivery():
            return isinstance(phase, Searching) and state.level == 1
        case commands.RejectOffer(offer_id=offer_id) | commands.DriverUnavailable(offer_id=offer_id) if isinstance(
            phase, Offered
        ):
            return phase.offer_id == offer_id and _list_is_used_up(state, policy, now_ms)
        case commands.DriverUnavailable():
            return isinstance(phase, Held) and holding.leaves_holder(phase, command)
        case commands.GiveUpDelivery():
            return _is_lost(state, policy, by_admin=False)
        case commands.ReassignDelivery():
            if isinstance(phase, Offered):
                return _list_is_used_up(state, policy, now_ms)
            return isinstance(phase, Searching | Review) or _is_lost(state, policy, by_admin=by_admin)
        case commands.DeliveryTimerDue(timer=timer, ref=ref) if watching.is_due(state, command):
            if timer == "offer_expiry":
                return _list_is_used_up(state, policy, now_ms)
            if timer == "escalation":
                return ref == "2" and isinstance(phase, Searching)
            return timer == "search_retry" or (timer == "grace" and _is_lost(state, policy, by_admin=False))
    return False


def _is_lost(state: Delivery, policy: Policy, *, by_admin: bool) -> bool:
    """Whether taking it from its holder leads to a search."""
    held = state.phase
    if not isinstance(held, Held) or held.progress >= PICKED_UP:
        return False
    return holding.goes_on_searching(state, policy.reassignment.max_attempts, by_admin=by_admin)


def _list_is_used_up(state: Delivery, policy: Policy, now_ms: int) -> bool:
    return not state.shortlist or now_ms - state.found_at_ms > policy.search.fresh_s * 1000


def rule_of(command: DeliveryCommand) -> Callable[..., Refusal | None]:
    """The function that decides this command: where the rule stands, and its docstring says it in a sentence."""
    return _DECIDERS[type(command)]
