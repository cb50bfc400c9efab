"""What was answered to an Idempotency-Key, for a day. Keys and payloads are digests; answers name ids only."""

from alembic import op

revision = "0009"
down_revision = "0011"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE idempotent_answers (key bytea PRIMARY KEY, payload bytea NOT NULL, claim bytea NOT NULL,"
        " claimed_until timestamptz NOT NULL, expires_at timestamptz NOT NULL, status smallint, headers text,"
        " body bytea)"
    )
    op.execute("CREATE INDEX idempotent_answers_expire ON idempotent_answers (expires_at)")


def downgrade() -> None:
    op.execute("DROP TABLE idempotent_answers")
