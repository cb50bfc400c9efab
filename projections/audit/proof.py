"""What a row of the audit proves by itself: its bytes give its hash, and every other column follows from the bytes."""

import re
from functools import cache
from typing import Any

import msgspec

from dispatch.contract import codec, registry
from dispatch.contract.errors import ContractError
from projections.models.audit import AUDIT, WORDS, chained, row
from projections.models.model import Row

_OF_THE_CHAIN = ("topic", "partition", "record_offset", "prev_hash", "hash", "value", "body")
_COLUMNS = tuple(name for name in AUDIT.columns if name not in _OF_THE_CHAIN)
_MINUS_ZERO = re.compile(rb"(?<=[:,\[])-0\.0(?=[,\]}])")
"""As Postgres' JSON does not keep it."""
_KINDS = {kind.__name__: kind for kind in WORDS}


def rebuilt(stored: Row) -> bytes | None:
    """The bytes of a row that has none, written before they were kept: from its body, if that gives its hash.

    The body gives the bytes under some version of its subject, unless JSON lost something: the sign of a zero, a number
    that is none, a field that the projector's release did not know.
    """
    if (kind := _KINDS.get(stored["event"])) is None:
        return None
    for schema_id, defaults in _versions(kind):
        try:
            value = codec.written_as({**defaults, **stored["body"]}, schema_id)
        except ContractError:
            continue
        if chained(stored["prev_hash"], value) == stored["hash"]:
            return value
    return None


def misfits(stored: Row, value: bytes, *, kept: bool = True) -> list[str]:
    """The columns that do not say what the bytes say; ["value"]: the bytes are no event. `kept`: the row has bytes."""
    try:
        event = codec.decode(value)
    except ContractError:
        return ["value"]
    if type(event) not in WORDS:
        return ["value"]
    place = (stored["topic"], stored["partition"], stored["record_offset"])
    wanted = row(event, value, place, b"")
    wrong = [name for name in _COLUMNS if not _says(stored[name], wanted[name]) and (kept or name != "schema_id")]
    if not kept and stored["schema_id"] not in {schema_id for schema_id, _ in _versions(type(event))}:
        wrong.append("schema_id")
    return wrong if is_body_of(stored["body"], event, value) else [*wrong, "body"]


def _says(stored: Any, wanted: Any) -> bool:
    return stored == wanted or (wanted is not None and stored is not None and str(stored) == wanted)


def is_body_of(body: Any, event: msgspec.Struct, value: bytes) -> bool:
    """Whether some release reads the bytes so: a projector may have been older or newer than we are."""
    wanted = msgspec.json.encode(event, order="sorted")
    kept = _MINUS_ZERO.sub(b"0.0", wanted) if b"-0.0" in wanted else wanted
    if msgspec.json.encode(body, order="sorted") == kept:  # most are, and it is several times as fast
        return True
    if same(body, msgspec.json.decode(wanted)):
        return True
    for schema_id, _ in _versions(type(event)):
        try:
            read = codec.read_as(value, schema_id)
        except ContractError:
            continue
        if same(body, msgspec.json.decode(msgspec.json.encode(read))):
            return True
    return False


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1, and an object has the same names."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case (bool(), _) | (_, bool()):
            return one is other
        case _:
            return bool(one == other)


@cache
def _versions(kind: type[msgspec.Struct]) -> tuple[tuple[int, dict[str, Any]], ...]:
    """Every version of the subject, newest first: its id, and the defaults of its fields."""
    subject = codec.subject(kind)
    found = [
        (known.id, {field["name"]: field["default"] for field in known.schema["fields"] if "default" in field})
        for known in registry.registered()
        if known.subject == subject
    ]
    return tuple(reversed(found))
