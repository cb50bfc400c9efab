"""Cursors: where a list goes on, opaque to who asks, checked when they come back.

A cursor holds the keys of the last row that was told, and a checksum over them and the question, so that one of another
list, of other filters, or cut short on its way is told from a good one. It is no secret and no right: whoever makes
one up comes to rows of a list that they may read anyway.
"""

import base64
import binascii
import hashlib
import math
import uuid
from datetime import datetime
from typing import Any

import orjson

from gateways.problems import Problem
from projections.queries_paging import Ordering, Type

_LARGEST = 2**63
_LONGEST = 1_000
_SUM_BYTES = 8


def write(question: str, ordering: Ordering, after: tuple[Any, ...] | None) -> str | None:
    """The cursor behind a row with these keys; None: nothing follows."""
    if after is None:
        return None
    keys = [_plain(value) for value in after]
    body = orjson.dumps(keys)
    return base64.urlsafe_b64encode(_sum(question, ordering, body) + body).rstrip(b"=").decode()


def read(question: str, ordering: Ordering, cursor: str | None) -> tuple[Any, ...] | None:
    """The keys in a cursor; None for no cursor. Raises Problem 422 for one that was not given for this question."""
    if cursor is None:
        return None
    try:
        if len(cursor) > _LONGEST:
            raise ValueError("too long")
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        told, body = raw[:_SUM_BYTES], raw[_SUM_BYTES:]
        if told != _sum(question, ordering, body):
            raise ValueError("another question's")
        keys = orjson.loads(body)
        if not isinstance(keys, list) or len(keys) != len(ordering.keys):
            raise ValueError("other keys")
        return tuple(_checked(value, key.type) for value, key in zip(keys, ordering.keys, strict=True))
    except (ValueError, binascii.Error) as error:
        detail = "The cursor was not given for this list and these filters; begin again without one."
        raise Problem(422, "bad_cursor", detail) from error


def _sum(question: str, ordering: Ordering, body: bytes) -> bytes:
    said = [question, ordering.descending, [key.expression for key in ordering.keys]]
    return hashlib.sha256(orjson.dumps(said) + b"\x00" + body).digest()[:_SUM_BYTES]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value


def _checked(value: Any, kind: Type) -> Any:
    """As Postgres takes it. Raises ValueError."""
    match kind, value:
        case "boolean", bool():
            return value
        case "bigint", int() if not isinstance(value, bool) and -_LARGEST <= value < _LARGEST:
            return value
        case "float8", float() | int() if not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        case "text", str() if "\x00" not in value and len(value) <= _LONGEST:
            return value
        case "uuid", str():
            return str(uuid.UUID(value))
        case "timestamptz", str():
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError("a time without its zone")
            return moment
    raise ValueError(f"no {kind}")
