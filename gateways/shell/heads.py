"""What a request's target and headers may be: whatever two programs could read differently is refused."""

import re
from collections.abc import Sequence
from typing import Any

from gateways.problems import Problem

TARGET_MAX = 8_192
"""Bytes of path and query."""
HEADERS_MAX = 100
HEADER_BYTES_MAX = 16_384
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})|%(?:00|2[fF]|5[cC])|[\x00-\x20\x7f-\xff\\]")
_DOTS = re.compile(r"(^|/)\.{1,2}(/|$)")
_HOST = re.compile(rb"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$")
_ONCE = frozenset(
    (b"host", b"content-length", b"content-type", b"idempotency-key", b"origin", b"x-actor-id", b"content-encoding",
     b"last-event-id"),
)  # fmt: skip
"""More than one credential is the gate's to refuse."""
_LENGTH = re.compile(rb"^\d{1,18}$")
Headers = Sequence[tuple[bytes, bytes]]


def refused(scope: dict[str, Any]) -> Problem | None:
    """What is wrong with a request's head, before anything of it is believed; None: nothing."""
    return _target(scope) or _headers(scope["headers"], scope.get("http_version", "1.1"))


def _target(scope: dict[str, Any]) -> Problem | None:
    raw, query = scope.get("raw_path") or b"", scope.get("query_string", b"")
    if len(raw) + len(query) > TARGET_MAX:
        return Problem(414, "target_too_long", f"Path and query have more than {TARGET_MAX} bytes.")
    path: str = scope["path"]
    if _BAD_ESCAPE.search(raw) or "\ufffd" in path or not path.isprintable():
        return Problem(400, "bad_path", "The path has an escape that is not taken: %2F, %5C, %00, or not of UTF-8.")
    if _DOTS.search(path) or "//" in path:
        return Problem(400, "bad_path", "The path has an empty segment, or one of dots only.")
    return None


def _headers(headers: Headers, version: str) -> Problem | None:
    if len(headers) > HEADERS_MAX:
        return Problem(431, "too_many_headers", f"The request has {len(headers)} headers; {HEADERS_MAX} are taken.")
    if sum(len(name) + len(value) for name, value in headers) > HEADER_BYTES_MAX:
        return Problem(431, "headers_too_large", f"The headers have more than {HEADER_BYTES_MAX} bytes.")
    seen = set()
    for name, value in headers:
        if name not in _ONCE:
            continue
        if name in seen:
            return Problem(400, "repeated_header", f"The header {name.decode()} came more than once.")
        seen.add(name)
        if name == b"host" and not _HOST.match(value):
            return Problem(400, "bad_host", "The header host is not a name or address with a port.")
        if name == b"content-length" and not _LENGTH.match(value):
            return Problem(400, "bad_length", "The header content-length is not a number of bytes.")
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return Problem(415, "encoding_not_taken", "Bodies are taken as they are, not compressed.")
    if b"host" not in seen and version != "1.0":
        return Problem(400, "bad_host", "The header host is missing.")
    return None


def one(headers: Headers, name: bytes) -> str:
    """A header's value; empty when it is not there. Bytes that are no ASCII are replaced."""
    return next((value.decode("ascii", "replace") for key, value in headers if key == name), "")
