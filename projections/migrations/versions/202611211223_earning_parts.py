"""The parts of an earning beside its sum; empty for offers made before they were shown."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE driver_offers ADD COLUMN base_minor bigint, ADD COLUMN distance_minor bigint,"
        " ADD COLUMN time_minor bigint, ADD COLUMN multiplier_minor bigint, ADD COLUMN multiplier_percent int,"
        " ADD COLUMN incentive_refused text"
    )


def downgrade() -> None:
    op.execute(
        "ALTER TABLE driver_offers DROP COLUMN base_minor, DROP COLUMN distance_minor, DROP COLUMN time_minor,"
        " DROP COLUMN multiplier_minor, DROP COLUMN multiplier_percent, DROP COLUMN incentive_refused"
    )
