"""What operations look at: the queue of unassigned orders, zones by the minute, drivers' scores, dead letters."""

from alembic import op

revision = "0012"
down_revision = "0007"

_UP = """
CREATE TABLE unassigned_orders (
    delivery_id uuid PRIMARY KEY,
    queue_status text NOT NULL CHECK (queue_status IN ('PENDING','NOTIFIED','REASSIGNED','CANCELLED')),
    why text, escalation_level int NOT NULL DEFAULT 0, searches int NOT NULL DEFAULT 0,
    needs_manual_review boolean NOT NULL DEFAULT false, review_reason text,
    queued_at timestamptz NOT NULL, retry_at timestamptz, changed_at timestamptz NOT NULL,
    left_at timestamptz, left_how text);
COMMENT ON TABLE unassigned_orders IS 'One row a delivery for which nobody was found; kept when it is over';
CREATE INDEX unassigned_open ON unassigned_orders ((NOT needs_manual_review), queued_at, delivery_id)
    WHERE left_at IS NULL;
CREATE INDEX unassigned_queued ON unassigned_orders (queue_status, queued_at, delivery_id);
INSERT INTO unassigned_orders (delivery_id, queue_status, why, escalation_level, needs_manual_review, review_reason,
    queued_at, retry_at, changed_at)
    SELECT delivery_id, CASE WHEN escalation_level > 0 OR needs_manual_review THEN 'NOTIFIED' ELSE 'PENDING' END,
        unassigned_reason, escalation_level, needs_manual_review, review_reason, coalesce(waiting_since, updated_at),
        retry_at, updated_at
    FROM deliveries WHERE ended_at IS NULL AND (needs_manual_review
        OR waiting_since IS NOT NULL AND (unassigned_reason IS NOT NULL OR escalation_level > 0));

CREATE TABLE zone_health_metrics (
    zone text NOT NULL, minute timestamptz NOT NULL, at timestamptz NOT NULL, zone_version bigint NOT NULL,
    drivers_available int NOT NULL, drivers_busy int NOT NULL, drivers_on_break int NOT NULL,
    drivers_paused int NOT NULL, drivers_shift_ended int NOT NULL, drivers_offline int NOT NULL,
    drivers_online int NOT NULL, min_drivers_online int NOT NULL, open_searches int NOT NULL,
    oldest_search_s int NOT NULL, pressure double precision NOT NULL, trend text NOT NULL, waits int NOT NULL,
    wait_p50_ms int NOT NULL, wait_p95_ms int NOT NULL, target_wait_s int NOT NULL, window_s int NOT NULL,
    understaffed boolean NOT NULL, pressure_max double precision NOT NULL, open_searches_max int NOT NULL,
    PRIMARY KEY (zone, minute));
COMMENT ON TABLE zone_health_metrics IS 'How each zone did, by the minute, for 30 days';
CREATE INDEX zone_health_minute ON zone_health_metrics (minute);

CREATE TABLE driver_performance_metrics (
    driver_id text PRIMARY KEY, scored_at timestamptz NOT NULL, score double precision NOT NULL,
    mean double precision NOT NULL, acceptance_rate double precision NOT NULL, parts jsonb NOT NULL);
COMMENT ON TABLE driver_performance_metrics IS 'Each driver''s score as last told, with its parts';

CREATE TABLE dead_letters (
    letter_id text PRIMARY KEY, letter_partition int NOT NULL, letter_offset bigint NOT NULL,
    source_topic text NOT NULL, source_partition int NOT NULL, source_offset bigint NOT NULL, at timestamptz NOT NULL,
    error text NOT NULL, reason text, place text NOT NULL, worker text NOT NULL, value_bytes bigint NOT NULL,
    kept_bytes int NOT NULL, subject text);
COMMENT ON TABLE dead_letters IS 'What was set aside, and where; never what it held';
CREATE INDEX dead_letters_at ON dead_letters (at DESC, letter_id DESC);
CREATE INDEX dead_letters_topic ON dead_letters (source_topic, at DESC, letter_id DESC);
CREATE TABLE dead_letter_acts (
    letter_id text PRIMARY KEY, act text NOT NULL, request_id uuid NOT NULL, actor_id text NOT NULL,
    reason text NOT NULL, at timestamptz NOT NULL);
COMMENT ON TABLE dead_letter_acts IS 'What people did with dead letters';

CREATE INDEX deliveries_newest ON deliveries (created_at DESC, delivery_id DESC);
CREATE INDEX deliveries_open ON deliveries (created_at DESC, delivery_id DESC) WHERE ended_at IS NULL;
CREATE INDEX deliveries_status ON deliveries (status, created_at DESC, delivery_id DESC);
CREATE INDEX deliveries_zone ON deliveries (zone, created_at DESC, delivery_id DESC);
CREATE INDEX deliveries_of_seller ON deliveries (seller_id, created_at DESC, delivery_id DESC);
CREATE INDEX deliveries_of_driver ON deliveries (driver_id, created_at DESC, delivery_id DESC);
CREATE INDEX deliveries_order ON deliveries (seller_order_id text_pattern_ops);
CREATE INDEX deliveries_ended ON deliveries (driver_id, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX driver_offers_sent ON driver_offers (sent_at);
CREATE INDEX drivers_availability ON drivers (availability, driver_id);
CREATE INDEX audit_at ON delivery_audit_logs (at);
CREATE INDEX audit_actor_at ON delivery_audit_logs (actor_id, at);

GRANT SELECT, INSERT, UPDATE ON unassigned_orders, driver_performance_metrics TO baton_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON zone_health_metrics, dead_letters, dead_letter_acts TO baton_projector;
GRANT SELECT ON unassigned_orders, zone_health_metrics, driver_performance_metrics, dead_letters, dead_letter_acts
    TO baton_gateway, baton_analyst;
"""
_DOWN = """
DROP INDEX deliveries_newest, deliveries_status, deliveries_zone, deliveries_of_seller, deliveries_of_driver,
    deliveries_open, deliveries_order, deliveries_ended, driver_offers_sent,
    drivers_availability, audit_at, audit_actor_at;
DROP TABLE unassigned_orders, zone_health_metrics, driver_performance_metrics, dead_letters, dead_letter_acts;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
