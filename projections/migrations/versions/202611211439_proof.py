"""What was asked for as proof of a hand-over, what came, and the customer's PIN beside their other data."""

from alembic import op

revision = "0013"
down_revision = "0009"

_UP = """
ALTER TABLE deliveries
  ADD COLUMN proof_wanted text, ADD COLUMN pickup_photo_ref text, ADD COLUMN pickup_signature_ref text,
  ADD COLUMN photo_ref text, ADD COLUMN signature_ref text, ADD COLUMN pin_checked boolean,
  ADD COLUMN wrong_pins integer, ADD COLUMN proof_note text;
COMMENT ON COLUMN deliveries.proof_note IS 'Why an admin took it for delivered; null: a driver did';
ALTER TABLE contacts ADD COLUMN pin text;
COMMENT ON COLUMN contacts.pin IS 'What the customer says at the door; told to them only';
"""
_DOWN = """
ALTER TABLE contacts DROP COLUMN pin;
ALTER TABLE deliveries
  DROP COLUMN proof_wanted, DROP COLUMN pickup_photo_ref, DROP COLUMN pickup_signature_ref, DROP COLUMN photo_ref,
  DROP COLUMN signature_ref, DROP COLUMN pin_checked, DROP COLUMN wrong_pins, DROP COLUMN proof_note;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
