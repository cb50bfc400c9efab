"""Bands of arrivals, beside their middles."""

from alembic import op

revision = "0005"
down_revision = "0004"

_UP = """
ALTER TABLE deliveries
    ADD COLUMN pickup_eta_p10 timestamptz, ADD COLUMN pickup_eta_p90 timestamptz,
    ADD COLUMN delivery_eta_p10 timestamptz, ADD COLUMN delivery_eta_p90 timestamptz,
    ADD COLUMN eta_confidence integer, ADD COLUMN eta_source text;
COMMENT ON COLUMN deliveries.eta_confidence IS 'Chance in percent to be delivered within good_s of delivery_eta';
"""
_DOWN = """
ALTER TABLE deliveries
    DROP COLUMN pickup_eta_p10, DROP COLUMN pickup_eta_p90, DROP COLUMN delivery_eta_p10, DROP COLUMN delivery_eta_p90,
    DROP COLUMN eta_confidence, DROP COLUMN eta_source;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
