"""economics_rollup: settled money summed as it comes, so that a year of it is asked in milliseconds.

By zone and hour, by seller and day, by driver and day, in UTC. A delivery without a driver is of the driver ''.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args

from dispatch.contract.records import delivery_events as events
from projections.models.delivery_revenue import DELIVERY_REVENUE
from projections.models.model import Row, Summed

_HOUR_S, _DAY_S = 3_600, 86_400
_AMOUNTS = (
    "driver_pay_minor", "compensation_minor", "routing_minor", "messages_minor", "storage_minor", "platform_minor",
    "cost_minor", "commission_minor", "delivery_fee_minor", "revenue_minor", "net_minor",
)  # fmt: skip


def _settled(event: events.DeliveryEconomicsSettled, revenue: Row | None) -> Iterator[Row]:
    economics, delivered = event.economics, event.outcome == "delivered"
    sums: Row = {name: getattr(economics, name) for name in _AMOUNTS}
    sums |= {"deliveries": 1, "delivered": int(delivered)}
    sums |= {"lost_cost_minor": 0 if delivered else economics.cost_minor}
    sums |= {"lost_revenue_minor": 0 if delivered else economics.revenue_minor}
    estimate = revenue["estimated_net_minor"] if revenue is not None else None
    sums |= {"estimated": int(estimate is not None), "estimated_net_minor": estimate or 0}
    sums |= {"compared_net_minor": economics.net_minor if estimate is not None else 0}
    for by, key, step_s in (
        ("zone", event.zone, _HOUR_S), ("seller", event.seller_id, _DAY_S), ("driver", event.driver_id, _DAY_S),
    ):  # fmt: skip
        at = datetime.fromtimestamp(event.at_ms // 1000 // step_s * step_s, UTC)
        yield {"by": by, "key": key, "at": at, "currency": economics.currency, **sums}


ECONOMICS_ROLLUP = Summed(
    table="economics_rollup",
    family="delivery",
    identity=("by", "at", "key", "currency"),
    sums=(
        "deliveries", "delivered", *_AMOUNTS, "lost_cost_minor", "lost_revenue_minor", "estimated",
        "estimated_net_minor", "compared_net_minor",
    ),
    beside=DELIVERY_REVENUE,
    handles={events.DeliveryEconomicsSettled: _settled},
    ignores=tuple(kind for kind in get_args(events.DeliveryEvent) if kind is not events.DeliveryEconomicsSettled),
)  # fmt: skip
