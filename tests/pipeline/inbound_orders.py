"""An order as upstream services send it."""

import time

from dispatch.contract.records.inbound import InboundOrderReady


def an_inbound() -> InboundOrderReady:
    """A good one."""
    return InboundOrderReady(
        message_id="bad", seller_id="s1", seller_order_id="bad", store_name="Anker", pickup_lat=48.0, pickup_lng=7.85,
        dropoff_lat=48.01, dropoff_lng=7.86, order_value_minor=1, delivery_fee_minor=1, currency="EUR",
        placed_at_ms=time.time_ns() // 1_000_000,
    )  # fmt: skip
