"""contacts: personal data, one row a delivery, the last record of its key; a tombstone takes the row away.

Written by INSERT, never by COPY: an error in COPY tells the line it was at, in the server's log too.
"""

import uuid

from dispatch.contract import codec
from dispatch.contract.errors import ContractError, Undecodable
from dispatch.contract.records.system import Contact
from projections.models.model import Latest, Row

UNTOLD = "not a contact of its key; what it holds is left out"
"""Why a record was set aside. The cause itself may quote the data."""


def read(key: bytes | None, value: bytes | None) -> tuple[str, Row | None] | None:
    """The delivery and its row, or None for a row to delete; None for a driver's contact. Raises ContractError."""
    name = (key or b"").decode("ascii", "replace")
    contact = contact_of(name, value)
    row = None if contact is None else {column: getattr(contact, column) for column in CONTACTS.columns}
    return (name, row) if _is_delivery(name) else None


def contact_of(name: str, value: bytes | None) -> Contact | None:
    """The contact in a record of this key; None: erased. Raises Undecodable, which quotes nothing."""
    if value is None:
        return None
    try:
        contact = codec.decode_checked(value)
    except ContractError as error:
        raise Undecodable(UNTOLD, error.place) from None
    if not isinstance(contact, Contact) or contact.subject_id != name:
        raise Undecodable(UNTOLD, "key")
    return contact


def _is_delivery(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


CONTACTS = Latest(
    table="contacts",
    key="delivery_id",
    columns=("name", "phone", "address", "note", "lat", "lng", "language", "pin"),
    types=("text", "text", "text", "text", "float8", "float8", "text", "text"),
    read=read,
)
