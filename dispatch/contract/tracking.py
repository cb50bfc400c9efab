"""Links by which somebody follows a delivery. The token is 192 random bits; only its SHA-256 is kept anywhere."""

import hashlib
import secrets

from dispatch.contract.limits import check
from dispatch.contract.records.system import TrackingLink

TOKEN_BYTES = 24
LONGEST_MS = 7 * 86_400_000
"""No link opens anything for longer, whatever becomes of the delivery."""


def hashed(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def new_link(delivery_id: str, by: str, at_ms: int, after_s: int) -> tuple[str, TrackingLink]:
    """A token, to be shown once, and its record, which is keyed by the hash. Raises OutOfLimits."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link = TrackingLink(
        token_hash=hashed(token), delivery_id=delivery_id, issued_at_ms=at_ms, issued_by=by,
        expires_at_ms=at_ms + LONGEST_MS, after_s=after_s,
    )  # fmt: skip
    check(link)
    return token, link
