"""Reads files of orders: CSV with a header, or JSON lines. A mistake is told with its line and column."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    "prep_s", "vehicle", "size", "age_check", "cash", "customer_name", "customer_phone", "dropoff_address",
    "dropoff_note",
)  # fmt: skip
_LONGEST_LINE = 65_536


class BadOrderFile(Exception):
    """The file is not what it should be; the message names file, line and column."""


@dataclass(frozen=True, slots=True)
class TimedOrder:
    """An order and its moment, in seconds from the start of the file."""

    arrives_s: float
    order: InboundOrderReady


def read(path: Path) -> Iterator[TimedOrder]:
    """The file's orders as they stand. Raises BadOrderFile at the first row that is wrong."""
    if not path.is_file():
        raise BadOrderFile(f"{path}: no such file")
    rows = _json_rows(path) if path.suffix in (".jsonl", ".ndjson", ".json") else _csv_rows(path)
    try:
        for line, values, columns in rows:
            yield _order(path, line, values, columns)
    except UnicodeDecodeError as error:
        raise BadOrderFile(f"{path}: not UTF-8 text at byte {error.start}") from error


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any], list[str]]]:
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        try:
            columns = next(reader, [])
            if missing := [name for name in REQUIRED if name not in columns]:
                raise BadOrderFile(f"{path}: line 1: the header lacks the column {', '.join(missing)}")
            if unknown := [name for name in columns if name not in REQUIRED + OPTIONAL]:
                raise BadOrderFile(f"{path}: line 1, column {columns.index(unknown[0]) + 1}: {unknown[0]!r} is unknown")
            for row in reader:
                if not row:
                    continue
                if len(row) != len(columns):
                    raise BadOrderFile(f"{path}: line {reader.line_num}: {len(row)} cells; {len(columns)} are wanted")
                filled = {name: cell for name, cell in zip(columns, row, strict=True) if cell != "" or name in REQUIRED}
                yield reader.line_num, filled, columns
        except csv.Error as error:
            raise BadOrderFile(f"{path}: line {reader.line_num}: {error}") from error


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any], list[str]]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            if len(line) > _LONGEST_LINE:
                raise BadOrderFile(f"{path}: line {number}: {len(line)} characters; at most {_LONGEST_LINE} are read")
            try:
                values = json.loads(line)
            except json.JSONDecodeError as error:
                raise BadOrderFile(f"{path}: line {number}, column {error.colno}: {error.msg}") from error
            if not isinstance(values, dict):
                raise BadOrderFile(f"{path}: line {number}, column 1: an object is wanted")
            yield number, values, list(values)


def _order(path: Path, line: int, values: dict[str, Any], columns: list[str]) -> TimedOrder:
    def wrong(name: str, reason: str) -> BadOrderFile:
        place = f"column {columns.index(name) + 1} ({name})" if name in columns else f"column {name}"
        return BadOrderFile(f"{path}: line {line}, {place}: {reason}")

    for name in REQUIRED:
        if values.get(name) in (None, ""):
            raise wrong(name, "is missing")
    for name in values:
        if name not in REQUIRED + OPTIONAL:
            raise wrong(name, "is unknown")
    try:
        arrives_s = float(values["arrives_s"])
    except (TypeError, ValueError) as error:
        raise wrong("arrives_s", f"{values['arrives_s']!r} is not a number of seconds") from error
    if not 0 <= arrives_s <= 10_000_000:
        raise wrong("arrives_s", f"is {arrives_s}; 0 to 10000000 seconds are allowed")
    fields = {name: value for name, value in values.items() if name != "arrives_s"}
    message_id = identity.derived("file", str(fields["seller_id"]), str(fields["seller_order_id"]))
    try:
        order = msgspec.convert(
            {**fields, "message_id": message_id, "placed_at_ms": 0}, InboundOrderReady, strict=False
        )
        check(order)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at `$.")
        name = field.rstrip("`")
        raise wrong(name, f"{values.get(name)!r}: {reason}") from error
    except OutOfLimits as error:
        raise wrong(error.place, error.reason) from error
    return TimedOrder(arrives_s, order)
