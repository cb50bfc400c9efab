"""A message that is asked for again while it is being sent is sent again: an attempt is of one round of its message."""

from alembic import op

revision = "202611300750"
down_revision = "202611290910"


def upgrade() -> None:
    op.execute("ALTER TABLE webhook_messages ADD COLUMN round int NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE webhook_messages DROP COLUMN round")
