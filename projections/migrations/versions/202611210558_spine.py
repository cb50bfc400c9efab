"""Deliveries, offers, drivers, audit, and how far each partition was read."""

from alembic import op

revision = "0001"
down_revision = None

_UP = """
CREATE TABLE projection_offsets (
    topic text NOT NULL, partition int NOT NULL, next_offset bigint NOT NULL,
    last_hash bytea NOT NULL DEFAULT '', PRIMARY KEY (topic, partition));
COMMENT ON TABLE projection_offsets IS 'How far each partition was folded; written with the rows, in one transaction';

CREATE TABLE deliveries (
    delivery_id uuid PRIMARY KEY, version bigint NOT NULL,
    seller_id text NOT NULL, seller_order_id text NOT NULL, store_name text NOT NULL,
    status text NOT NULL CHECK (status IN ('created','searching','offered','assigned','enroute_to_pickup',
        'arrived_at_pickup','picked_up','enroute_to_dropoff','arrived_at_dropoff','delivered','failed','returned',
        'cancelled')),
    needs_manual_review boolean NOT NULL DEFAULT false, review_reason text,
    driver_id text, offer_id uuid, assigned_how text, attempt_count int NOT NULL DEFAULT 0,
    search_no int NOT NULL DEFAULT 0, unassigned_reason text, escalation_level int NOT NULL DEFAULT 0,
    waiting_since timestamptz, retry_at timestamptz,
    pickup_lat double precision NOT NULL, pickup_lng double precision NOT NULL,
    dropoff_lat double precision NOT NULL, dropoff_lng double precision NOT NULL,
    zone text NOT NULL, order_value_minor bigint NOT NULL, delivery_fee_minor bigint NOT NULL, currency text NOT NULL,
    prep_s int NOT NULL, driver_offers boolean, reassignment boolean, escalation boolean, policy_version bigint,
    pickup_eta timestamptz, delivery_eta timestamptz, earning_minor bigint, end_reason text,
    created_at timestamptz NOT NULL, ready_at timestamptz, offered_at timestamptz, assigned_at timestamptz,
    pickup_started_at timestamptz, arrived_at_pickup_at timestamptz, picked_up_at timestamptz,
    delivery_started_at timestamptz, arrived_at_dropoff_at timestamptz, ended_at timestamptz,
    updated_at timestamptz NOT NULL);
COMMENT ON TABLE deliveries IS 'One row a delivery, as of its last event; no personal data';
CREATE INDEX deliveries_seller ON deliveries (seller_id, seller_order_id);
CREATE INDEX deliveries_waiting ON deliveries (waiting_since) WHERE waiting_since IS NOT NULL;
CREATE INDEX deliveries_driver ON deliveries (driver_id) WHERE ended_at IS NULL;

CREATE TABLE driver_offers (
    offer_id uuid PRIMARY KEY, delivery_id uuid NOT NULL, driver_id text NOT NULL, fence bigint NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('PENDING','ACCEPTED','REJECTED','EXPIRED','WITHDRAWN')),
    reason text, note text, sent_at timestamptz NOT NULL, notified_by text NOT NULL, notified_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL, ended_at timestamptz, response_ms bigint, store_name text NOT NULL,
    pickup_lat double precision NOT NULL, pickup_lng double precision NOT NULL,
    dropoff_lat double precision NOT NULL, dropoff_lng double precision NOT NULL,
    pickup_eta timestamptz NOT NULL, delivery_eta timestamptz NOT NULL,
    pickup_distance_m int NOT NULL, total_distance_m int NOT NULL,
    earning_minor bigint NOT NULL, incentive_minor bigint NOT NULL, currency text NOT NULL);
COMMENT ON TABLE driver_offers IS 'One row an offer: when, how, what it showed, what came of it';
CREATE INDEX driver_offers_driver ON driver_offers (driver_id, sent_at DESC);

CREATE TABLE drivers (
    driver_id text PRIMARY KEY, version bigint NOT NULL,
    availability text NOT NULL CHECK (availability IN
        ('AVAILABLE','BUSY','ON_BREAK','SHIFT_ENDED','OFFLINE','PAUSED')),
    reason text, until timestamptz, vehicle text NOT NULL, capacity int NOT NULL, holds int NOT NULL,
    rating double precision NOT NULL, fence bigint NOT NULL, lat double precision, lng double precision,
    h3_cell bigint, last_assigned_at timestamptz, last_seen_at timestamptz, updated_at timestamptz NOT NULL);
COMMENT ON TABLE drivers IS 'One row a driver, as of their last event; the place also from pings';
CREATE INDEX drivers_cell ON drivers (h3_cell);

CREATE TABLE delivery_audit_logs (
    topic text NOT NULL, partition int NOT NULL, record_offset bigint NOT NULL, event_id uuid NOT NULL,
    event text NOT NULL, audit_word text NOT NULL, delivery_id uuid, driver_id text, version bigint NOT NULL,
    at timestamptz NOT NULL, actor_type text NOT NULL, actor_id text NOT NULL, causation_id uuid NOT NULL,
    correlation_id text NOT NULL, schema_id int NOT NULL, body jsonb NOT NULL,
    prev_hash bytea NOT NULL, hash bytea NOT NULL, PRIMARY KEY (topic, partition, record_offset));
COMMENT ON TABLE delivery_audit_logs IS 'Every event, append only; hash = sha256(prev_hash || value), by partition';
CREATE INDEX audit_event ON delivery_audit_logs (event_id);
CREATE INDEX audit_delivery ON delivery_audit_logs (delivery_id, version);
CREATE INDEX audit_driver ON delivery_audit_logs (driver_id, at);
CREATE INDEX audit_actor ON delivery_audit_logs (actor_type, actor_id, at);
CREATE INDEX audit_word ON delivery_audit_logs (audit_word, at);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'delivery_audit_logs is append only'; END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON delivery_audit_logs
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON delivery_audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY ARRAY['baton_projector', 'baton_gateway', 'baton_analyst'] LOOP
        BEGIN EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    END LOOP; END $$;
GRANT SELECT, INSERT, UPDATE ON projection_offsets, deliveries, driver_offers, drivers TO baton_projector;
GRANT SELECT, INSERT ON delivery_audit_logs TO baton_projector;
GRANT SELECT ON deliveries, driver_offers, drivers, delivery_audit_logs TO baton_gateway;
"""
_DOWN = """
DROP TABLE projection_offsets, deliveries, driver_offers, drivers, delivery_audit_logs;
DROP FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
