"""Rows of Postgres as Parquet, each column of the type that it has there. Loaded only when Parquet is written."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_WORDS = frozenset({
    "ended_as", "from_state", "how", "left_how", "outcome", "preference", "queue_status", "reason", "reassign_reason",
    "source", "stage", "status", "to_state", "trend", "why", "zone", "currency", "by", "assigned_how", "actor_type",
})  # fmt: skip
"""Columns of few different words: a dictionary of them is kept, and their numbers."""
_DECIMAL = pa.decimal128(20, 4)
_TYPES: dict[int, pa.DataType] = {
    16: pa.bool_(), 20: pa.int64(), 21: pa.int32(), 23: pa.int32(), 701: pa.float64(), 1700: _DECIMAL,
    1184: pa.timestamp("us", tz="UTC"), 1009: pa.list_(pa.string()),
}  # fmt: skip
"""By Postgres' number of a type; all others are texts: uuid, jsonb, text."""


class Parquet:
    """A file of row groups."""

    def __init__(self, path: Path, columns: list[tuple[str, int]]) -> None:
        """`columns`: names with Postgres' numbers of their types."""
        self._schema = pa.schema([(name, _type(name, number)) for name, number in columns])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """A row group."""
        columns = zip(*rows, strict=True)
        arrays = [pa.array([_value(one) for one in column], field.type)
                  for column, field in zip(columns, self._schema, strict=True)]  # fmt: skip
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema), row_group_size=len(rows))

    def close(self) -> None:
        """With the footer: the file is whole."""
        self._writer.close()


def _type(name: str, number: int) -> pa.DataType:
    found = _TYPES.get(number, pa.string())
    return pa.dictionary(pa.int32(), pa.string()) if found == pa.string() and name in _WORDS else found


def _value(value: Any) -> Any:
    match value:
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case None | str() | int() | float() | list():
            return value
    return str(value) if type(value).__name__ == "UUID" else value
