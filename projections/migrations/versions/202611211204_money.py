"""What deliveries cost and bring, estimated and settled."""

from alembic import op

revision = "0006"
down_revision = "0005"

_COSTS = (
    "driver_pay_minor", "compensation_minor", "routing_minor", "messages_minor", "storage_minor", "platform_minor",
    "cost_minor",
)  # fmt: skip
_REVENUE = ("commission_minor", "delivery_fee_minor", "revenue_minor", "net_minor")
_ABOUT = """
    delivery_id uuid PRIMARY KEY, seller_id text NOT NULL, zone text NOT NULL, currency text NOT NULL, outcome text,
    estimated_at timestamptz, settled_at timestamptz"""


def _table(name: str, amounts: tuple[str, ...], total: str) -> str:
    columns = [f"estimated_{amount} bigint" for amount in amounts] + [f"{amount} bigint" for amount in amounts]
    return f"""
CREATE TABLE {name} ({_ABOUT},
    {", ".join(columns)},
    CHECK ({total}), CHECK ((settled_at IS NULL) = (outcome IS NULL)));
CREATE INDEX {name}_settled ON {name} (settled_at);
CREATE INDEX {name}_seller ON {name} (seller_id, settled_at);
CREATE INDEX {name}_zone ON {name} (zone, settled_at);
GRANT SELECT, INSERT, UPDATE ON {name} TO baton_projector;
GRANT SELECT ON {name} TO baton_gateway, baton_analyst;
"""


def upgrade() -> None:
    op.execute(_table("delivery_costs", _COSTS, f"cost_minor = {' + '.join(_COSTS[:-1])}"))
    op.execute(_table("delivery_revenue", _REVENUE, "revenue_minor = commission_minor + delivery_fee_minor"))
    op.execute("COMMENT ON TABLE delivery_costs IS 'One row a delivery: its cost in parts, estimated and settled'")
    op.execute("COMMENT ON TABLE delivery_revenue IS 'One row a delivery: its revenue in parts, and the net'")


def downgrade() -> None:
    op.execute("DROP TABLE delivery_costs, delivery_revenue")
