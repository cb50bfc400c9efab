"""tracking_links: one row a link by which somebody follows a delivery, the last record of its key."""

from dispatch.contract import codec
from dispatch.contract.errors import Undecodable
from dispatch.contract.records.system import TrackingLink
from projections.models.model import Latest, Row, moment


def read(key: bytes | None, value: bytes | None) -> tuple[str, Row | None]:
    """The token's hash and its row, or None for a row to delete. Raises ContractError."""
    name = (key or b"").decode("ascii", "replace")
    if value is None:
        return name, None
    link = codec.decode_checked(value)
    if not isinstance(link, TrackingLink) or link.token_hash != name:
        raise Undecodable("not a link of its key", "key")
    return name, {
        "delivery_id": link.delivery_id,
        "issued_at": moment(link.issued_at_ms),
        "issued_by": link.issued_by,
        "expires_at": moment(link.expires_at_ms),
        "after_s": link.after_s,
        "revoked_at": moment(link.revoked_at_ms),
        "revoked_by": link.revoked_by,
    }


TRACKING_LINKS = Latest(
    table="tracking_links",
    key="token_hash",
    key_type="text",
    columns=("delivery_id", "issued_at", "issued_by", "expires_at", "after_s", "revoked_at", "revoked_by"),
    types=("uuid", "timestamptz", "text", "timestamptz", "int", "timestamptz", "text"),
    read=read,
)
