"""Browsers: which pages may ask (CORS), and that no foreign page acts or opens a socket in somebody's name."""

from urllib.parse import urlsplit

from gateways.problems import Problem
from gateways.shell.heads import Headers, one

EXPOSED = (
    "location", "retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "x-request-id",
    "idempotency-replayed",
)  # fmt: skip
ASKED = ("authorization", "content-type", "idempotency-key", "last-event-id", "x-api-key", "x-request-id")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SAFE = ("GET", "HEAD", "OPTIONS")


def allowed_from(setting: str) -> frozenset[str]:
    """The allow list of a setting: origins parted by blanks. Raises ValueError for what is no origin."""
    origins = setting.split()
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(f"{origin!r} is no origin; wanted is scheme://host or scheme://host:port")
    return frozenset(origins)


def refused(method: str, headers: Headers, allowed: frozenset[str]) -> Problem | None:
    """A page of another origin that is not in the list may not act; reading is the browser's to refuse (CORS)."""
    origin = one(headers, b"origin")
    if not origin or method in _SAFE or origin in allowed:
        return None
    if origin.partition("://")[2] == one(headers, b"host"):
        return None
    return Problem(403, "foreign_origin", "A page of this origin may not ask here (BATON_CORS_ORIGINS).")
