"""What drivers say of zones: who is unavailable in one is not found there by the fallback search either."""

from alembic import op

revision = "0003"
down_revision = "0002"

_UP = """
ALTER TABLE drivers ADD COLUMN preferred_in text[], ADD COLUMN unavailable_in text[];
COMMENT ON COLUMN drivers.unavailable_in IS 'Zones in which the driver is never asked; null: none';
"""
_DOWN = """
ALTER TABLE drivers DROP COLUMN preferred_in, DROP COLUMN unavailable_in;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
