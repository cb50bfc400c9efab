"""Bodies: read whole, within a limit of bytes and of time, before a handler sees the request."""

import asyncio
import re

from starlette.types import Message, Receive

from gateways.problems import Problem
from gateways.shell.heads import Headers, one

DEPTH_MAX = 64
_DRAINED_MAX = 1_048_576
"""So much of a body too large is read and dropped, so that the client reads its answer; more is cut off."""
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


class ClientGone(Exception):
    """The client ended the connection before its body was whole: nobody waits for an answer."""


async def whole(headers: Headers, receive: Receive, limit: int, timeout_s: float) -> bytes:
    """The body. Raises Problem 413 beyond `limit` bytes, 408 when it is not there in time; ClientGone."""
    length = one(headers, b"content-length")
    if not one(headers, b"transfer-encoding") and length in ("", "0"):
        return b""
    stated = int(length or 0)
    if stated > max(limit, _DRAINED_MAX):
        raise _too_large(f"has {stated} bytes", limit)
    try:
        async with asyncio.timeout(timeout_s):
            body = await _read(receive, limit)
    except TimeoutError as error:
        raise Problem(408, "body_too_slow", f"The body was not whole within {timeout_s:g} s.") from error
    if body is None:
        raise _too_large(f"has {stated} bytes" if stated else "has more", limit)
    return body


async def _read(receive: Receive, limit: int) -> bytes | None:
    """None: larger than the limit, and read to its end or to what is dropped at most."""
    parts, size, more = [], 0, True
    while more and size <= max(limit, _DRAINED_MAX):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size <= limit:
            parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts) if size <= limit else None


def _too_large(what: str, limit: int) -> Problem:
    problem = Problem(413, "too_large", f"The body {what}; at most {limit} bytes are taken.")
    problem.headers = {"connection": "close"}
    return problem


def too_deep(body: bytes) -> Problem | None:
    """A JSON text nested more than 64 deep; what parsers do with it differs, up to a crash."""
    if body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return None
    depth = 0
    for token in _TOKENS.finditer(body):
        first = body[token.start()]
        if first in b"[{":
            depth += 1
            if depth > DEPTH_MAX:
                return Problem(400, "not_json", f"The body is not taken as JSON: it is nested deeper than {DEPTH_MAX}.")
        elif first in b"]}":
            depth -= 1
    return None


def replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` for the handler: the whole body first, then whatever comes on the connection."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
