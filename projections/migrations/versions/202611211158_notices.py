"""What became of notices, and support tickets; a contact's language."""

from alembic import op

revision = "0004"
down_revision = "0003"

_UP = """
ALTER TABLE contacts ADD COLUMN language text NOT NULL DEFAULT '';

CREATE TABLE notices (
    notice_id uuid NOT NULL, channel text NOT NULL,
    audience text NOT NULL, kind text NOT NULL, delivery_id text NOT NULL, driver_id text NOT NULL,
    level int NOT NULL, details jsonb NOT NULL, at timestamptz NOT NULL,
    recipient text NOT NULL, news text NOT NULL,
    state text NOT NULL CHECK (state IN ('pending','claimed','sent','dropped','unknown','dead')),
    reason text NOT NULL DEFAULT '', attempts int NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL, stale_at timestamptz NOT NULL, claimed_at timestamptz, ended_at timestamptz,
    PRIMARY KEY (notice_id, channel));
COMMENT ON TABLE notices IS 'One row a notice and channel; no personal data, nor the address of a channel';
CREATE INDEX notices_open ON notices (due_at) WHERE state IN ('pending', 'claimed');
CREATE INDEX notices_recipient ON notices (recipient, due_at);
CREATE INDEX notices_delivery ON notices (delivery_id);
CREATE INDEX notices_ended ON notices (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE support_tickets (
    ticket_id uuid PRIMARY KEY, delivery_id text NOT NULL, level int NOT NULL, why text NOT NULL,
    opened_at timestamptz NOT NULL, closed_at timestamptz, closed_by text, closed_why text);
COMMENT ON TABLE support_tickets IS 'One open ticket a delivery at most; no personal data';
CREATE UNIQUE INDEX support_tickets_open ON support_tickets (delivery_id) WHERE closed_at IS NULL;
CREATE INDEX support_tickets_delivery ON support_tickets (delivery_id);
GRANT SELECT ON notices, support_tickets TO baton_gateway, baton_analyst;
"""
_DOWN = """
DROP TABLE support_tickets;
DROP TABLE notices;
ALTER TABLE contacts DROP COLUMN language;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
