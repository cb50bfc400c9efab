"""Arrivals reckoned anew under way: which of them are told."""

from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records import delivery_events as events
from dispatch.core.delivery.draft import Draft
from dispatch.core.delivery.states import PICKED_UP, Held
from dispatch.core.delivery.telling import is_late
from dispatch.core.eta import moved
from dispatch.core.facts import Refusal


def update(draft: Draft, command: commands.UpdateEta) -> Refusal | None:
    """An event when either arrival moved enough since it was told; after the pickup what was reckoned is void."""
    held, policy = draft.state.phase, draft.facts.policy.eta
    tracked = draft.state.variant is not None and draft.state.variant.eta_tracking
    if not tracked or not isinstance(held, Held) or held.offer_id != command.offer_id:
        return None
    pickup = command.eta.pickup
    if (pickup is None) != (held.progress >= PICKED_UP):
        return None
    at_store = pickup is not None and moved(held.pickup_eta_ms, pickup.p50_ms, policy)
    at_door_ms = command.eta.delivery.p50_ms
    late = is_late(draft.state.told_eta_ms, at_door_ms, draft.facts.policy.notices)
    if late or at_store or moved(held.delivery_eta_ms, at_door_ms, policy):
        draft.add(
            events.EtaChanged, offer_id=held.offer_id, driver_id=held.driver_id, eta=command.eta, why=command.why,
            tell_customer=late,
        )  # fmt: skip
    return None
