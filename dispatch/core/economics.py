"""What a delivery costs and brings: estimated when a driver takes it, settled when it ends.

Both go by the same rules, so that a delivery that is completed without a detour settles as estimated. Who is paid what
when it is not completed stands in the policy (`pay`), as shares of the earning without the incentive:

| it ends | the last holder is paid |
|---|---|
| delivered | the earning, with the incentive |
| returned to the store | `returned_percent` |
| failed on the way back | `failed_with_goods_percent` |
| cancelled, failed at an admin's word, taken away by an admin | `at_store_percent` there, else `on_the_way_percent` |
| failed at the driver's word before the pickup | `at_store_percent` at the store, else nothing |
| given up or lost by the driver | nothing |
"""

import msgspec

from dispatch.contract.records.delivery_events import (
    ArrivedAtDropoff,
    DeliveryEvent,
    DriverAssigned,
    DriverCandidatesFound,
    DriverOfferSent,
    ManualReviewRequired,
    OfferWithdrawn,
    PickupCompleted,
    UnassignedEscalated,
)
from dispatch.contract.records.shared import Economics, Order, SettledAs
from dispatch.core.money import share, whole_parts
from dispatch.core.policy import CostPolicy, PayPolicy

ROUTING_ENGINE = "osrm"
"""The travel source that costs a call."""
MESSAGES: dict[type[DeliveryEvent], int] = {
    DriverOfferSent: 1,
    OfferWithdrawn: 1,
    DriverAssigned: 2,
    PickupCompleted: 1,
    ArrivedAtDropoff: 1,
    UnassignedEscalated: 1,
    ManualReviewRequired: 1,
}
"""How many messages to drivers, customers and operations an event stands for; the end of a delivery is one more."""
TO_COME_MESSAGES = MESSAGES[DriverAssigned] + MESSAGES[PickupCompleted] + MESSAGES[ArrivedAtDropoff] + 1
TO_COME_EVENTS = 9
"""From the assignment to the end of a delivery without a detour: assigned, estimated, six steps, settled."""
AT_STORE = 2
"""Steps done when the driver has arrived at the pickup."""


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was used so far and costs money, counted; `compensation_minor` was paid to former holders."""

    routing_calls: int = 0
    messages: int = 0
    compensation_minor: int = 0


def used(before: Usage, event: DeliveryEvent) -> Usage:
    """With what an event adds."""
    calls = 0
    if isinstance(event, DriverCandidatesFound):
        calls = int(any(seen.travel_source == ROUTING_ENGINE for seen in event.candidates))
    told = MESSAGES.get(type(event), 0)
    paid = getattr(event, "compensation_minor", 0)
    if not (calls or told or paid):
        return before
    return Usage(before.routing_calls + calls, before.messages + told, before.compensation_minor + paid)


class Bill(msgspec.Struct, frozen=True):
    """What the costs of a delivery rest on."""

    usage: Usage
    events: int
    driver_pay_minor: int
    dispatched: bool = True
    """An order that never became ready has no share of the platform's cost."""
    had_driver: bool = True


def economics(order: Order, bill: Bill, outcome: SettledAs, policy: CostPolicy) -> Economics:
    """Cost and revenue with their parts; each total is the sum of its parts, net the difference."""
    cost = whole_parts(
        (
            bill.driver_pay_minor * 1000,
            bill.usage.compensation_minor * 1000,
            policy.routing_call_thousandths * bill.usage.routing_calls,
            policy.message_thousandths * bill.usage.messages,
            policy.event_thousandths * bill.events,
            policy.platform_minor * 1000 if bill.dispatched else 0,
        ),
        of=1000,
    )
    if outcome == "delivered":
        revenue = (share(order.order_value_minor, policy.commission_percent), order.delivery_fee_minor)
    else:
        revenue = (0, share(order.delivery_fee_minor, policy.fee_kept_percent) if bill.had_driver else 0)
    return Economics(
        currency=order.currency,
        driver_pay_minor=cost[0],
        compensation_minor=cost[1],
        routing_minor=cost[2],
        messages_minor=cost[3],
        storage_minor=cost[4],
        platform_minor=cost[5],
        cost_minor=sum(cost),
        commission_minor=revenue[0],
        delivery_fee_minor=revenue[1],
        revenue_minor=sum(revenue),
        net_minor=sum(revenue) - sum(cost),
    )


def percent_before_pickup(progress: int, policy: PayPolicy, *, drivers_word: bool = False) -> int:
    """What the holder is paid for the way made when it ends before the pickup; `progress` counts steps done."""
    if progress >= AT_STORE:
        return policy.at_store_percent
    return 0 if drivers_word else policy.on_the_way_percent


def percent_when_taken_away(progress: int, reason: str, policy: PayPolicy) -> int:
    """What a former holder is paid: for what an admin decides, not for giving up or being lost."""
    return percent_before_pickup(progress, policy) if reason == "admin_forced" else 0
