"""Personal data of deliveries: for the driver who holds one, not for analysts."""

from alembic import op

revision = "0002"
down_revision = "0001"

_UP = """
CREATE TABLE contacts (
    delivery_id uuid PRIMARY KEY, name text NOT NULL, phone text NOT NULL, address text NOT NULL, note text NOT NULL,
    lat double precision, lng double precision);
COMMENT ON TABLE contacts IS 'Personal data, one row a delivery; in no view, not audited, not for analysts';
REVOKE ALL ON contacts FROM PUBLIC, baton_analyst;
GRANT SELECT, INSERT, UPDATE, DELETE ON contacts TO baton_projector;
GRANT SELECT ON contacts TO baton_gateway;
"""
_DOWN = """
DROP TABLE contacts;
DELETE FROM projection_offsets WHERE topic LIKE '%contacts';
"""
"""The offsets go with the rows, or the rows would not come again."""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
