"""driver_contacts: how drivers are called and reached, one row a driver; a tombstone takes the row away."""

from dispatch.contract.personal import OF_DRIVER
from projections.models.contacts import contact_of
from projections.models.model import Latest, Row


def read(key: bytes | None, value: bytes | None) -> tuple[str, Row | None] | None:
    """The driver and their row, or None for a row to delete; None for another's contact. Raises ContractError."""
    name = (key or b"").decode("ascii", "replace")
    if not name.startswith(OF_DRIVER):
        return None
    contact = contact_of(name, value)
    row = None if contact is None else {column: getattr(contact, column) for column in DRIVER_CONTACTS.columns}
    return name.removeprefix(OF_DRIVER), row


DRIVER_CONTACTS = Latest(
    table="driver_contacts",
    key="driver_id",
    key_type="text",
    columns=("name", "phone", "language"),
    types=("text", "text", "text"),
    read=read,
)
