"""A schema for the views of analysts; the sums of money of what was settled before they were kept.

The views themselves are put in place by `projections.migrate.up`, not here: a view of this release may read a column
that a later migration makes.
"""

from alembic import op

revision = "202611282300"
down_revision = "202611282245"

_UP = """
CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'Views for analysts, one SQL file each in projections/analytics; docs/analytics.md';
GRANT USAGE ON SCHEMA analytics TO baton_analyst, baton_gateway;
"""
_FILLED = """
LOCK TABLE economics_rollup, delivery_costs, delivery_revenue IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM economics_rollup;
INSERT INTO economics_rollup SELECT g.by, g.key, g.at, c.currency,
    count(*), count(*) FILTER (WHERE c.outcome = 'delivered'), sum(c.driver_pay_minor), sum(c.compensation_minor),
    sum(c.routing_minor), sum(c.messages_minor), sum(c.storage_minor), sum(c.platform_minor), sum(c.cost_minor),
    sum(r.commission_minor), sum(r.delivery_fee_minor), sum(r.revenue_minor), sum(r.net_minor),
    coalesce(sum(c.cost_minor) FILTER (WHERE c.outcome <> 'delivered'), 0),
    coalesce(sum(r.revenue_minor) FILTER (WHERE c.outcome <> 'delivered'), 0),
    count(r.estimated_net_minor), coalesce(sum(r.estimated_net_minor), 0),
    coalesce(sum(r.net_minor) FILTER (WHERE r.estimated_net_minor IS NOT NULL), 0)
FROM delivery_costs c JOIN delivery_revenue r USING (delivery_id, created_at)
    LEFT JOIN deliveries d USING (delivery_id), LATERAL (VALUES
        ('zone', c.zone, date_trunc('hour', c.settled_at, 'UTC')),
        ('seller', c.seller_id, date_trunc('day', c.settled_at, 'UTC')),
        ('driver', coalesce(d.driver_id, ''), date_trunc('day', c.settled_at, 'UTC'))) g (by, key, at)
WHERE c.settled_at IS NOT NULL GROUP BY 1, 2, 3, 4;
"""
"""What was settled before this release is only in the rows."""
_DOWN = """
DROP SCHEMA analytics CASCADE;
"""


def upgrade() -> None:
    op.execute(_UP)
    op.execute(_FILLED)


def downgrade() -> None:
    op.execute(_DOWN)
