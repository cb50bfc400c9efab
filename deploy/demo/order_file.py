"""Reads files of orders: CSV with a header, or JSON lines. A mistake is told with its line and column."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import msgspec

from dispatch.contract import identity
from dispatch.contract.errors import OutOfLimits
from dispatch.contract.limits import check
from dispatch.contract.records.inbound import InboundOrderReady

REQUIRED = (
    "arrives_s", "seller_id", "seller_order_id", "store_name", "pickup_lat", "pickup_lng", "dropoff_lat", "dropoff_lng",
    "order_value_minor", "delivery_fee_minor", "currency",
)  # fmt: skip
OPTIONAL = (
    "prep_s", "vehicle", "size", "age_check", "cash", "customer_name", "customer_phone", "customer_language",
    "dropoff_address", "dropoff_note",
)  # fmt: skip
_LONGEST_LINE = 65_536
_LATEST_S = 10_000_000
_WANTED = {
    "Expected `int`": "a whole number",
    "Expected `float`": "a number",
    "Expected `str`": "text",
    "Expected `bool`": "true or false",
    "Integer value out of range": "a number that can be used",
    "Number out of range": "a number that can be used",
}
"""What msgspec says, and what it means."""


class BadOrderFile(Exception):
    """The file is not what it should be; the message names file, line and column."""


@dataclass(frozen=True, slots=True)
class TimedOrder:
    """An order and its moment, in seconds from the start of the file."""

    arrives_s: float
    order: InboundOrderReady


class _Row(NamedTuple):
    line: int
    values: dict[str, Any]
    columns: list[str]
    """Their names in the order in which they stand."""


def read(path: Path) -> Iterator[TimedOrder]:
    """The file's orders as they stand, at least one. Raises BadOrderFile at the first row that is wrong."""
    json_lines = path.suffix.lower() in (".jsonl", ".ndjson", ".json")
    known: dict[tuple[str, str], tuple[int, InboundOrderReady]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            for row in _json_rows(path, text) if json_lines else _csv_rows(path, text):
                timed = _order(path, row)
                _refuse_other_content(path, row, timed.order, known)
                yield timed
    except UnicodeDecodeError as error:
        raise BadOrderFile(f"{path}: not UTF-8 text at byte {error.start}") from error
    except FileNotFoundError as error:
        raise BadOrderFile(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise BadOrderFile(f"{path}: is a folder; a file is wanted") from error
    except OSError as error:
        raise BadOrderFile(f"{path}: cannot be read: {error.strerror or error}") from error
    if not known:
        raise BadOrderFile(f"{path}: line 1: holds no orders")


def _lines(path: Path, text: TextIO, column_of: Callable[[str], int]) -> Iterator[str]:
    """Lines of a length that can be worked with."""
    number = 0
    while line := text.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            place = f"line {number}, column {column_of(line)}"
            raise BadOrderFile(f"{path}: {place}: the line has more than {_LONGEST_LINE} characters")
        yield line


def _last_cell(line: str) -> int:
    """In which cell a line breaks off."""
    return len(next(csv.reader([line]), []))


def _csv_rows(path: Path, text: TextIO) -> Iterator[_Row]:
    reader = csv.reader(_lines(path, text, _last_cell), strict=True)
    begins = 1
    try:
        columns = next(reader, [])
        _refuse_header(path, columns)
        begins = reader.line_num + 1
        for row in reader:
            if row and len(row) != len(columns):
                place = f"line {begins}, column {min(len(row), len(columns)) + 1}"
                raise BadOrderFile(f"{path}: {place}: {len(row)} cells; {len(columns)} are wanted, as in the header")
            if row:
                cells = zip(columns, row, strict=True)
                yield _Row(begins, {name: cell for name, cell in cells if cell != "" or name in REQUIRED}, columns)
            begins = reader.line_num + 1
    except csv.Error as error:
        reason = str(error)
        if "unexpected end" in reason or "field limit" in reason:
            reason = "a quotation mark is opened and not closed"
        raise BadOrderFile(f"{path}: line {begins}: {reason}") from error


def _refuse_header(path: Path, columns: list[str]) -> None:
    if not columns:
        raise BadOrderFile(f"{path}: line 1: is empty; the names of the columns are wanted (docs/orders.md)")
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(columns) == 1 and sign in columns[0]:
            raise BadOrderFile(f"{path}: line 1: the columns are parted by {name}; commas are wanted")
    for number, name in enumerate(columns, 1):
        if name in columns[: number - 1]:
            raise BadOrderFile(f"{path}: line 1, column {number}: {name[:60]!r} is there twice")
    if missing := [name for name in REQUIRED if name not in columns]:
        raise BadOrderFile(f"{path}: line 1: the header lacks the column {', '.join(missing)}")
    for number, name in enumerate(columns, 1):
        if name not in REQUIRED + OPTIONAL:
            raise BadOrderFile(f"{path}: line 1, column {number}: {name[:60]!r} is unknown")


def _json_rows(path: Path, text: TextIO) -> Iterator[_Row]:
    for number, line in enumerate(_lines(path, text, len), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadOrderFile(f"{path}: line {number}, column {error.colno}: {error.msg}") from error
        except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
            raise BadOrderFile(f"{path}: line {number}: no JSON that can be read: {str(error)[:80]}") from error
        if not isinstance(values, dict):
            raise BadOrderFile(f"{path}: line {number}, column 1: one order a line is wanted, as an object {{...}}")
        yield _Row(number, values, list(values))


def _wrong(path: Path, row: _Row, name: str, reason: str) -> BadOrderFile:
    place = f"column {row.columns.index(name) + 1} ({name[:60]})" if name in row.columns else f"column {name}"
    return BadOrderFile(f"{path}: line {row.line}, {place}: {reason}")


def _order(path: Path, row: _Row) -> TimedOrder:
    values = row.values
    for name in REQUIRED:
        if values.get(name) in (None, ""):
            raise _wrong(path, row, name, "is missing")
    for name in values:
        if name not in REQUIRED + OPTIONAL:
            raise _wrong(path, row, name, "is unknown")
    arrives_s = _moment(path, row)
    fields = {name: value for name, value in values.items() if name != "arrives_s"}
    try:
        order = msgspec.convert({**fields, "message_id": "", "placed_at_ms": 0}, InboundOrderReady, strict=False)
        content = msgspec.json.encode(order).decode()
        order = msgspec.structs.replace(order, message_id=identity.derived("file", content))
        check(order)
    except msgspec.ValidationError as error:
        name, reason = _in_words(str(error), values)
        raise _wrong(path, row, name, reason) from error
    except OutOfLimits as error:
        raise _wrong(path, row, error.place, error.reason.removeprefix(f"{error.place} ")) from error
    except UnicodeEncodeError as error:  # JSON may spell half a character
        name = next(name for name, value in fields.items() if value == error.object)
        raise _wrong(path, row, name, f"holds {error.object[error.start]!r}, which is no character") from error
    return TimedOrder(arrives_s, order)


def _moment(path: Path, row: _Row) -> float:
    said = row.values["arrives_s"]
    try:
        arrives_s = float(said)
    except (TypeError, ValueError, OverflowError) as error:
        raise _wrong(path, row, "arrives_s", f"{_short(said)} is not a number of seconds") from error
    if not 0 <= arrives_s <= _LATEST_S:
        raise _wrong(path, row, "arrives_s", f"is {arrives_s}; 0 to {_LATEST_S} seconds are allowed")
    return arrives_s


def _refuse_other_content(
    path: Path, row: _Row, order: InboundOrderReady, known: dict[tuple[str, str], tuple[int, InboundOrderReady]]
) -> None:
    """A repeat is what happens; a second order under the name of the first would be dropped."""
    line, first = known.setdefault((order.seller_id, order.seller_order_id), (row.line, order))
    if first != order:
        differing = [name for name in REQUIRED[1:] + OPTIONAL if getattr(first, name) != getattr(order, name)]
        reason = f"{_short(order.seller_order_id)} is in line {line} with other content: {', '.join(differing)}"
        raise _wrong(path, row, "seller_order_id", reason)


def _in_words(problem: str, values: dict[str, Any]) -> tuple[str, str]:
    """The field, and what is wrong with it, from what msgspec says."""
    reason, _, field = problem.partition(" - at `$.")
    name = field.rstrip("`")
    for sign, words in _WANTED.items():
        if reason.startswith(sign):
            return name, f"{_short(values.get(name))} is not {words}"
    if reason.startswith("Invalid enum value"):
        known = msgspec.json.schema(InboundOrderReady)["$defs"]["InboundOrderReady"]["properties"][name]["enum"]
        allowed = ", ".join(word for word in known if word != "UNKNOWN")
        return name, f"{_short(values.get(name))} is not known; {allowed} are"
    return name, f"{_short(values.get(name))}: {reason}"


def _short(value: Any) -> str:
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"
