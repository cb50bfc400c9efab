"""What two things say differently, field by field."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from dispatch.contract import codec
from dispatch.contract.errors import ContractError

_LONGEST = 80
ABSENT = "(absent)"


class Field(NamedTuple):
    """One field that differs."""

    where: str
    """`decision`, or the event: `event 3 DriverAssigned`."""
    field: str
    logged: str
    again: str


def fields(where: str, logged: Any, again: Any) -> list[Field]:
    """The fields of two records (or plain values) that differ, by their paths."""
    pairs = _pairs("", msgspec.to_builtins(logged), msgspec.to_builtins(again))
    return [Field(where, path, said(ours), said(theirs)) for path, ours, theirs in pairs]


def said(value: Any) -> str:
    """A value in a few characters."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def event_bytes(logged: bytes | None, event: Any, encoded: bytes) -> tuple[Any, list[Field]]:
    """The logged event, None if it cannot be read, and where it differs from one that was decided again.

    An event of an older version of its schema is compared in that version.
    """
    name = type(event).__name__
    where = f"event {event.version} {name}"
    if logged == encoded:
        return event, []
    try:
        read = codec.decode(logged)
    except ContractError as error:
        return None, [Field(where, "bytes", str(error), f"a {name} of {len(encoded)} bytes")]
    if type(read) is not type(event):
        return read, [Field(where, "kind", type(read).__name__, name)]
    if found := fields(where, read, event):
        return read, found
    if logged is not None and codec.schema_id_in(logged) != codec.schema_id_in(encoded):
        values = msgspec.to_builtins(event, builtin_types=(bytes,))
        encoded = codec.written_as(values, codec.schema_id_in(logged))
    return read, _bytes(where, logged or b"", encoded)


def _bytes(where: str, logged: bytes, encoded: bytes) -> list[Field]:
    """Two encodings of the same values: where they part."""
    if logged == encoded:
        return []
    at = next((place for place, (one, other) in enumerate(zip(logged, encoded, strict=False)) if one != other), None)
    at = min(len(logged), len(encoded)) if at is None else at
    return [Field(where, f"byte {at}", logged[at : at + 8].hex() or "(end)", encoded[at : at + 8].hex() or "(end)")]


def _pairs(path: str, logged: Any, again: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(logged, dict) and isinstance(again, dict):
        for name in dict.fromkeys((*logged, *again)):
            inner = f"{path}.{name}" if path else str(name)
            yield from _pairs(inner, logged.get(name, ABSENT), again.get(name, ABSENT))
    elif isinstance(logged, list | tuple) and isinstance(again, list | tuple):
        if len(logged) != len(again):
            yield f"{path} (how many)", len(logged), len(again)
        for place, (one, other) in enumerate(zip(logged, again, strict=False)):
            yield from _pairs(f"{path}[{place}]", one, other)
    elif logged != again or type(logged) is not type(again):
        yield path, logged, again
