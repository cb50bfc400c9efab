"""Webhooks to sellers: endpoints with sealed secrets, the line of messages of each delivery, attempts, changes."""

from alembic import op

revision = "0011"
down_revision = "0010"

_UP = """
CREATE TABLE webhook_endpoints (
    endpoint_id uuid PRIMARY KEY, seller_id text NOT NULL, url text NOT NULL, event_types text[] NOT NULL,
    description text NOT NULL, state text NOT NULL CHECK (state IN ('enabled', 'disabled')),
    disabled_why text NOT NULL DEFAULT '', disabled_at timestamptz, failures int NOT NULL DEFAULT 0,
    secret bytea NOT NULL, old_secret bytea, old_secret_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(), changed_at timestamptz NOT NULL DEFAULT now());
COMMENT ON TABLE webhook_endpoints IS 'Where sellers are told; secrets are sealed with a key that is not in here';
CREATE INDEX webhook_endpoints_seller ON webhook_endpoints (seller_id);

CREATE TABLE webhook_deliveries (
    delivery_id uuid PRIMARY KEY, seller_id text NOT NULL, seller_order_id text NOT NULL,
    created_at timestamptz NOT NULL);
COMMENT ON TABLE webhook_deliveries IS 'Whose delivery it is, from its first event';
CREATE INDEX webhook_deliveries_created ON webhook_deliveries (created_at);

CREATE TABLE webhook_lines (
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE, line text NOT NULL,
    state text NOT NULL CHECK (state IN ('idle', 'pending', 'claimed')),
    due_at timestamptz NOT NULL, claimed_at timestamptz, claim bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (endpoint_id, line));
COMMENT ON TABLE webhook_lines IS 'A delivery at an endpoint: its messages go in turn; line test: test events';
CREATE INDEX webhook_lines_due ON webhook_lines (endpoint_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_lines_claimed ON webhook_lines (endpoint_id) WHERE state = 'claimed';
CREATE INDEX webhook_lines_idle ON webhook_lines (due_at) WHERE state = 'idle';

CREATE TABLE webhook_messages (
    message_id uuid PRIMARY KEY, endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    line text NOT NULL, event_type text NOT NULL, sequence bigint NOT NULL, body text NOT NULL,
    at timestamptz NOT NULL, taken_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL CHECK (state IN ('pending', 'sent', 'dead')), attempts int NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '', ended_at timestamptz);
COMMENT ON TABLE webhook_messages IS 'What is told, byte for byte, to one endpoint; no personal data';
CREATE INDEX webhook_messages_open ON webhook_messages (endpoint_id, line, sequence, taken_at)
    WHERE state = 'pending';
CREATE INDEX webhook_messages_of ON webhook_messages (endpoint_id, state, taken_at);
CREATE INDEX webhook_messages_taken ON webhook_messages (taken_at);

CREATE TABLE webhook_attempts (
    attempt bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL REFERENCES webhook_messages ON DELETE CASCADE,
    endpoint_id uuid NOT NULL, at timestamptz NOT NULL, outcome text NOT NULL, status int, reason text NOT NULL,
    took_ms int NOT NULL);
CREATE INDEX webhook_attempts_endpoint ON webhook_attempts (endpoint_id, attempt DESC);
CREATE INDEX webhook_attempts_message ON webhook_attempts (message_id);

CREATE TABLE webhook_changes (
    change_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, change_id uuid NOT NULL UNIQUE,
    endpoint_id uuid NOT NULL, seller_id text NOT NULL, act text NOT NULL, actor_type text NOT NULL,
    actor_id text NOT NULL, reason text NOT NULL, host text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
    told_at timestamptz);
COMMENT ON TABLE webhook_changes IS 'What was done with endpoints, by whom, why; told_at: it is in the log, too';
CREATE INDEX webhook_changes_untold ON webhook_changes (change_no) WHERE told_at IS NULL;
CREATE INDEX webhook_changes_endpoint ON webhook_changes (endpoint_id, change_no DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints TO baton_gateway;
GRANT SELECT, INSERT, UPDATE ON webhook_lines, webhook_messages TO baton_gateway;
GRANT SELECT, INSERT ON webhook_changes TO baton_gateway;
GRANT SELECT ON webhook_attempts TO baton_gateway;
"""
_DOWN = """
DROP TABLE webhook_changes;
DROP TABLE webhook_attempts;
DROP TABLE webhook_messages;
DROP TABLE webhook_lines;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_endpoints;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
