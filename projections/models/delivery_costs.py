"""delivery_costs: what each delivery was expected to cost, and what it cost."""

from projections.models.economics import table_of

DELIVERY_COSTS = table_of(
    "delivery_costs",
    (
        "driver_pay_minor", "compensation_minor", "routing_minor", "messages_minor", "storage_minor", "platform_minor",
        "cost_minor",
    ),
    by_driver=True,
)  # fmt: skip
