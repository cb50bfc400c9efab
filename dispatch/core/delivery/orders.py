"""Orders: placed, ready, repeated, conflicting, stale, changed, cancelled."""

from msgspec.structs import replace

from dispatch.contract import codec
from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Order
from dispatch.core.delivery import refusals, settling
from dispatch.core.delivery.draft import Draft
from dispatch.core.delivery.states import PICKED_UP, Closed, Delivery, Held, Placed, Returning, Unknown
from dispatch.core.facts import Refusal
from dispatch.core.money import MixedCurrencies, one_currency
from dispatch.core.pricing import priced

NOT_IDENTITY = frozenset({"prep_s", "placed_at_ms", "zone", "quote_id"})
"""What may differ between two messages about the same order."""
OF_PROOF = frozenset({"proof", "pin_mark"})
"""Left out of the digest where no proof is asked for: the digests made before there were proofs hold."""


def place(draft: Draft, command: commands.PlaceOrder) -> Refusal | None:
    """Makes the delivery known; a repeat changes nothing."""
    if isinstance(draft.state.phase, Unknown):
        return _create(draft, command.order)
    return _compare(draft.state, command.order)


def ready(draft: Draft, command: commands.MarkReady) -> Refusal | None:
    """Dispatch begins. Ready alone is enough."""
    refused = None
    if isinstance(draft.state.phase, Unknown):
        refused = _create(draft, command.order) if command.order else refusals.UNKNOWN_ORDER
    elif command.order:
        refused = _compare(draft.state, command.order)
    if refused or not isinstance(draft.state.phase, Placed):
        return refused
    _start(draft, command.reply_to)
    draft.search()
    return None


def change_prep_time(draft: Draft, command: commands.ChangePrepTime) -> Refusal | None:
    """The store's estimate matters until the goods are picked up."""
    match draft.state.phase:
        case Unknown():
            return refusals.UNKNOWN_ORDER
        case Closed() | Returning():
            return refusals.not_allowed_now(draft.state, "preparation is over")
        case Held(progress=progress) if progress >= PICKED_UP:
            return refusals.not_allowed_now(draft.state, "preparation is over")
    if command.prep_s != draft.state.prep_s:
        draft.add(events.PrepTimeChanged, prep_s=command.prep_s)
    return None


def cancel(draft: Draft, command: commands.CancelDelivery) -> Refusal | None:
    """Ends it before pickup; after that only an admin calls the goods back."""
    match draft.state.phase:
        case Unknown():
            return refusals.UNKNOWN_ORDER
        case Closed(status="cancelled"):
            return None
        case Closed():
            return refusals.late("already_ended")
        case Returning():
            return refusals.GOODS_PICKED_UP if command.actor_type != "admin" else None
        case Held(progress=progress) as held if progress >= PICKED_UP:
            if command.actor_type != "admin":
                return refusals.GOODS_PICKED_UP
            draft.add(
                events.DeliveryFailed,
                offer_id=held.offer_id,
                driver_id=held.driver_id,
                reason=f"cancelled: {command.reason}"[:200],
                note=command.note,
                returning=True,
            )
            return None
    draft.withdraw("order_cancelled")
    draft.add(events.DeliveryCancelled, reason=command.reason, note=command.note)
    return None


def _create(draft: Draft, order: Order) -> Refusal | None:
    policy = draft.facts.policy.order
    age_s = (draft.facts.now_ms - order.placed_at_ms) / 1000
    if age_s < -policy.ahead_s:
        return refusals.not_yet(-age_s, policy.ahead_s)
    if age_s > policy.stale_after_s:
        return refusals.stale(age_s / 3600, policy.stale_after_s / 3600)
    zone = draft.facts.zone
    if zone is not None and zone.version:
        order = replace(order, zone=zone.zone)
    try:
        one_currency(settling.priced_in(draft.facts.policy), order.currency)
    except MixedCurrencies as error:
        return refusals.other_currency(str(error))
    price = priced(order, draft.state.id, order.zone, draft.facts)
    draft.add(
        events.DeliveryCreated,
        order=order,
        zone_version=zone.version if zone else 0,
        order_digest=digest_of(order),
        remember_ms=round(policy.remember_s * 1000),
        multiplier_percent=price.multiplier_percent,
        priced_by=price.priced_by,
        quote=price.quote,
    )
    return None


def digest_of(order: Order) -> str:
    """Of what makes an order the same order."""
    return codec.digest(order, without=NOT_IDENTITY if order.proof != "none" else NOT_IDENTITY | OF_PROOF)


def _compare(state: Delivery, order: Order) -> Refusal | None:
    if state.order_digest == digest_of(order):
        return None
    known = state.order
    if known is None:
        return refusals.conflict(["the content"])
    names = (name for name in order.__struct_fields__ if name not in NOT_IDENTITY)
    return refusals.conflict([name for name in names if getattr(known, name) != getattr(order, name)])


def _start(draft: Draft, reply_to: int) -> None:
    facts, state = draft.facts, draft.state
    seen = facts.zone
    zone = seen.zone if seen is not None and seen.version else state.order.zone if state.order else "none"
    ladder = facts.policy.escalation
    draft.add(
        events.AssignmentStarted,
        driver_offers=facts.flags.driver_offers.covers(state.id, zone),
        reassignment=facts.flags.reassignment.covers(state.id, zone),
        escalation=facts.flags.escalation.covers(state.id, zone),
        eta_tracking=facts.flags.eta_tracking.covers(state.id, zone),
        radius_m=facts.policy.search.radius_m,
        level_1_ms=round(ladder.level_1_s * 1000),
        level_2_ms=round(ladder.level_2_s * 1000),
        level_3_ms=round(ladder.level_3_s * 1000),
        reply_to=reply_to,
        policy_version=facts.policy.version,
        zone=zone,
        zone_version=seen.version if seen else 0,
        zone_balancing=facts.flags.zone_balancing.covers(state.id, zone),
    )
