"""delivery_revenue: what each delivery was expected to bring, what it brought, and what is left of it."""

from projections.models.economics import table_of

DELIVERY_REVENUE = table_of(
    "delivery_revenue", ("commission_minor", "delivery_fee_minor", "revenue_minor", "net_minor")
)
