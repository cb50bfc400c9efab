"""Links by which people follow a delivery; drivers' names; how exact and how old a driver's place is."""

from alembic import op

revision = "0010"
down_revision = "0012"

_UP = """
CREATE TABLE tracking_links (
    token_hash text PRIMARY KEY, delivery_id uuid NOT NULL, issued_at timestamptz NOT NULL, issued_by text NOT NULL,
    expires_at timestamptz NOT NULL, after_s int NOT NULL, revoked_at timestamptz, revoked_by text NOT NULL);
COMMENT ON TABLE tracking_links IS 'One row a link; of the token only its SHA-256';
CREATE INDEX tracking_links_delivery ON tracking_links (delivery_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON tracking_links TO baton_projector;
GRANT SELECT ON tracking_links TO baton_gateway;

CREATE TABLE driver_contacts (
    driver_id text PRIMARY KEY, name text NOT NULL, phone text NOT NULL, language text NOT NULL);
COMMENT ON TABLE driver_contacts IS 'Personal data, one row a driver; in no view, not audited, not for analysts';
REVOKE ALL ON driver_contacts FROM PUBLIC, baton_analyst;
GRANT SELECT, INSERT, UPDATE, DELETE ON driver_contacts TO baton_projector;
GRANT SELECT ON driver_contacts TO baton_gateway;

ALTER TABLE drivers ADD COLUMN accuracy_m double precision, ADD COLUMN placed_at timestamptz;
COMMENT ON COLUMN drivers.placed_at IS 'When the driver was at lat and lng';
ALTER TABLE deliveries ADD COLUMN pickup_eta_confidence integer;
"""
_DOWN = """
DROP TABLE tracking_links, driver_contacts;
DELETE FROM projection_offsets WHERE topic LIKE '%tracking.links' OR topic LIKE '%contacts';
ALTER TABLE drivers DROP COLUMN accuracy_m, DROP COLUMN placed_at;
ALTER TABLE deliveries DROP COLUMN pickup_eta_confidence;
"""
"""The offsets go with the rows, or the rows would not come again."""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
