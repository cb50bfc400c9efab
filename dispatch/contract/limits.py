"""What values a record may hold: the schemas' own attributes `min`, `max`, `max_len`, `pattern` and `known`.

Avro carries extra attributes along without giving them meaning; here they are the one statement of every limit, and
both doors (HTTP and Kafka) and both processors judge by it.
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from dispatch.contract import schema_files
from dispatch.contract.errors import OutOfLimits

_Judge = Callable[[Any], str | None]


class _Rule(NamedTuple):
    field: str
    judge: _Judge


def check(record: msgspec.Struct) -> None:
    """Raises OutOfLimits, naming the field, the value seen and what was wanted, for the first value out of limits."""
    if not _all_within(type(record))(record):
        _check(record, "")


def _check(record: msgspec.Struct, prefix: str) -> None:
    for field, judge in _rules(type(record)):
        value = getattr(record, field)
        if value is not None and (wrong := judge(value)):
            raise OutOfLimits(f"{prefix}{field} {wrong}", f"{prefix}{field}")
    for field in _nested(type(record)):
        value = getattr(record, field)
        if isinstance(value, msgspec.Struct):
            _check(value, f"{prefix}{field}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for place, item in enumerate(value):
                if isinstance(item, msgspec.Struct):
                    _check(item, f"{prefix}{field}[{place}].")


@cache
def _all_fields() -> dict[str, list[dict[str, Any]]]:
    """Record name -> its Avro fields, nested records included."""
    found: dict[str, list[dict[str, Any]]] = {}

    def visit(schema: Any) -> None:
        if isinstance(schema, list):
            for item in schema:
                visit(item)
        elif isinstance(schema, dict):
            if schema["type"] == "record":
                found[schema["name"]] = schema["fields"]
                for field in schema["fields"]:
                    visit(field["type"])
            elif schema["type"] == "array":
                visit(schema["items"])

    for schema in schema_files.load_all():
        visit(schema)
    return found


@cache
def _all_within(record_type: type[msgspec.Struct]) -> Callable[[Any], bool]:
    """Whether every value is within its limits, as one expression of Python: every record is judged, few are wrong."""
    names: dict[str, Any] = {"within": _within}
    nested, terms = _nested(record_type), []
    for field in _all_fields()[record_type.__name__]:
        wanted = []
        if "min" in field:
            wanted.append(f"{field['min']!r} <= v <= {field['max']!r}")
        if "max_len" in field:
            wanted.append(f"len(v) <= {field['max_len']} and '\\0' not in v")
            if pattern := field.get("pattern"):
                names[f"match_{field['name']}"] = re.compile(pattern).fullmatch
                wanted.append(f"match_{field['name']}(v)")
        if field.get("known"):
            wanted.append("v != 'UNKNOWN'")
        if field["name"] in nested:
            wanted.append("within(v)")
        if wanted:
            terms.append(f"((v := r.{field['name']}) is None or {' and '.join(wanted)})")
    judge: Callable[[Any], bool] = eval(f"lambda r: {' and '.join(terms) or True}", names)
    return judge


def _within(value: Any) -> bool:
    if isinstance(value, msgspec.Struct):
        return _all_within(type(value))(value)
    return not isinstance(value, list | tuple) or all(map(_within, value))


@cache
def _rules(record_type: type[msgspec.Struct]) -> tuple[_Rule, ...]:
    rules = []
    for field in _all_fields()[record_type.__name__]:
        if "min" in field:
            rules.append(_Rule(field["name"], _in_range(field["min"], field["max"])))
        if "max_len" in field:
            rules.append(_Rule(field["name"], _text(field["max_len"], field.get("pattern"))))
        if field.get("known"):
            rules.append(_Rule(field["name"], _known))
    return tuple(rules)


@cache
def _nested(record_type: type[msgspec.Struct]) -> tuple[str, ...]:
    """Fields that hold records or sequences of records."""
    names = []
    for field in _all_fields()[record_type.__name__]:
        options = field["type"] if isinstance(field["type"], list) else [field["type"]]
        if any(isinstance(option, dict) and option["type"] in ("record", "array") for option in options):
            names.append(field["name"])
    return tuple(names)


def _in_range(low: float, high: float) -> _Judge:
    def judge(value: float) -> str | None:
        if low <= value <= high:
            return None
        seen = "is not a number" if isinstance(value, float) and math.isnan(value) else f"is {value}"
        return f"{seen}; {low} to {high} is allowed"

    return judge


def _text(longest: int, pattern: str | None) -> _Judge:
    match = re.compile(pattern).fullmatch if pattern else None

    def judge(value: str) -> str | None:
        if len(value) > longest:
            return f"has {len(value)} characters; at most {longest} are allowed"
        if "\x00" in value:
            return "holds a NUL character, which text may not"
        if match and not match(value):
            return f"is {value[:60]!r}; the form {pattern} is wanted"
        return None

    return judge


def _known(value: str) -> str | None:
    return "is not a value that this version knows" if value == "UNKNOWN" else None
