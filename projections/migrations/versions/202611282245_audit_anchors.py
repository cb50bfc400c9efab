"""What makes the audit prove itself: each record's bytes, anchors over the rows, and who exported what."""

from alembic import op

revision = "202611282245"
down_revision = "202611282230"

_UP = """
ALTER TABLE delivery_audit_logs ADD COLUMN value bytea;
COMMENT ON COLUMN delivery_audit_logs.value IS 'The record''s bytes; null: written before they were kept';

CREATE TABLE audit_anchors (
    topic text NOT NULL, partition int NOT NULL, number bigint NOT NULL,
    first_offset bigint NOT NULL, last_offset bigint NOT NULL, rows bigint NOT NULL, rows_so_far bigint NOT NULL,
    first_at timestamptz NOT NULL, last_at timestamptz NOT NULL, before bytea NOT NULL, hash bytea NOT NULL,
    root bytea NOT NULL, previous bytea NOT NULL, at timestamptz NOT NULL, key_id text NOT NULL,
    signature bytea NOT NULL, PRIMARY KEY (topic, partition, number));
COMMENT ON TABLE audit_anchors IS 'Signed: these rows were there, with this Merkle root; append only';
CREATE INDEX audit_anchors_last ON audit_anchors (topic, partition, last_offset);

CREATE TABLE audit_exports (
    export_id uuid PRIMARY KEY, delivery_id uuid NOT NULL, at timestamptz NOT NULL, actor_id text NOT NULL,
    reason text NOT NULL, events int NOT NULL, manifest_hash bytea NOT NULL, key_id text NOT NULL);
COMMENT ON TABLE audit_exports IS 'Who took a delivery''s audit out, when and why; append only';
CREATE INDEX audit_exports_delivery ON audit_exports (delivery_id, at);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append only', TG_TABLE_NAME; END $$;
CREATE TRIGGER anchors_append_only BEFORE UPDATE OR DELETE ON audit_anchors
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER anchors_no_truncate BEFORE TRUNCATE ON audit_anchors
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER exports_append_only BEFORE UPDATE OR DELETE ON audit_exports
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER exports_no_truncate BEFORE TRUNCATE ON audit_exports
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

GRANT SELECT, INSERT ON audit_anchors TO baton_projector;
GRANT SELECT ON audit_anchors, audit_exports TO baton_gateway, baton_analyst;
GRANT INSERT ON audit_exports TO baton_gateway;
"""
_DOWN = """
DROP TABLE audit_anchors, audit_exports;
DROP FUNCTION refuse_audit_change();
ALTER TABLE delivery_audit_logs DROP COLUMN value;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
