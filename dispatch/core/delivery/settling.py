"""The money of a delivery in its decisions: priced when it becomes known, estimated when held, settled when it ends.

The settlement stands right before the event that ends the delivery, in the same decision: the ending stays the last
event, and whatever it rests on is still in the state.
"""

from typing import Any

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.contract.records.shared import Order, SettledAs
from dispatch.core.delivery.states import PICKED_UP, Delivery, Held, Offered, Returning
from dispatch.core.economics import (
    TO_COME_EVENTS,
    TO_COME_MESSAGES,
    Bill,
    Usage,
    economics,
    percent_before_pickup,
    percent_when_taken_away,
)
from dispatch.core.facts import Facts
from dispatch.core.money import Stated
from dispatch.core.pay import Earning
from dispatch.core.policy import Policy

NOBODY = Earning(0, 0, 0, 0, 0)
_ENDS: dict[type[DeliveryEvent], SettledAs] = {
    events.DeliveryCompleted: "delivered",
    events.DeliveryFailed: "failed",
    events.DeliveryReturned: "returned",
    events.DeliveryCancelled: "cancelled",
}


def ends(event_type: type[Any], fields: dict[str, Any]) -> SettledAs | None:
    """How the delivery ends by this event, if it does; goods on their way back have not ended."""
    return None if fields.get("returning") else _ENDS.get(event_type)


def estimate(state: Delivery, order: Order, pay: Earning, facts: Facts) -> dict[str, Any]:
    """Money of DeliveryEconomicsEstimated: as if it were completed without a detour. `state`: before DriverAssigned."""
    usage = Usage(state.usage.routing_calls, state.usage.messages + TO_COME_MESSAGES, state.usage.compensation_minor)
    counted = state.version + TO_COME_EVENTS
    found = economics(order, Bill(usage, counted, pay.total_minor), "delivered", facts.policy.cost)
    return _told(state, order, found, usage, counted, facts)


def settlement(state: Delivery, outcome: SettledAs, facts: Facts, *, drivers_word: bool) -> dict[str, Any] | None:
    """Fields of DeliveryEconomicsSettled; `drivers_word`: the driver says that it failed.

    None for a delivery whose holder took it under a release that kept no earnings: what is not known is not made up.
    """
    order, phase = state.order, state.phase
    held = phase if isinstance(phase, Held | Returning) else None
    if order is None or (held is not None and held.earning is None):
        return None
    pay = (held.earning if held else None) or NOBODY
    percent = _percent(phase, outcome, facts.policy, drivers_word=drivers_word)
    paid_minor = pay.total_minor if outcome == "delivered" else pay.shared_minor(percent)
    usage = Usage(state.usage.routing_calls, state.usage.messages + 1, state.usage.compensation_minor)
    counted = state.version + 2
    bill = Bill(usage, counted, paid_minor, dispatched=state.ready_at_ms > 0, had_driver=held is not None)
    found = economics(order, bill, outcome, facts.policy.cost)
    told = _told(state, order, found, usage, counted, facts)
    return {"driver_id": held.driver_id if held else "", "outcome": outcome, "paid_percent": percent, **told}


def compensation_minor(held: Held, reason: str, policy: Policy) -> int:
    """What a holder who loses it before the pickup is paid."""
    if held.earning is None:
        return 0
    return held.earning.shared_minor(percent_when_taken_away(held.progress, reason, policy.pay))


def priced_in(policy: Policy) -> tuple[Stated, ...]:
    """The chapters whose amounts meet in one delivery."""
    return policy.pay, policy.pricing, policy.cost


def agreed(asked: Any) -> Earning | None:
    """The earning that an open offer showed: it holds for the assignment, whatever changed since."""
    return asked.earning if isinstance(asked, Offered) else None


def _percent(phase: Any, outcome: SettledAs, policy: Policy, *, drivers_word: bool) -> int:
    match outcome, phase:
        case "delivered", _:
            return 100
        case "returned", Returning():
            return policy.pay.returned_percent
        case "failed", Returning():
            return policy.pay.failed_with_goods_percent
        case _, Held(progress=progress) if progress < PICKED_UP:
            word = drivers_word and outcome == "failed"
            return percent_before_pickup(progress, policy.pay, drivers_word=word)
    return 0


def _told(state: Delivery, order: Order, found: Any, usage: Usage, counted: int, facts: Facts) -> dict[str, Any]:
    return {
        "seller_id": order.seller_id,
        "zone": order.zone,
        "economics": found,
        "routing_calls": usage.routing_calls,
        "messages": usage.messages,
        "events": counted,
        "multiplier_percent": state.multiplier_percent,
        "policy_version": facts.policy.version,
    }
