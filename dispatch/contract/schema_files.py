"""Where the Avro schemas are, and how they are read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

_INSTALLED = Path(__file__).parent / "schemas"
_SOURCE = Path(__file__).parents[2] / "schemas"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _SOURCE
LOCK_FILE = FOLDER / "registry.lock.json"


def rooms() -> list[str]:
    """Folders of schemas, in the order in which ids are given."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def load(room: str) -> list[Schema]:
    """The record schemas of one folder, by file name."""
    return [json.loads(path.read_text()) for path in sorted((FOLDER / room).glob("*.avsc"))]


def load_all() -> Iterator[Schema]:
    """Every record schema."""
    for room in rooms():
        yield from load(room)


def full_name(schema: Schema) -> str:
    """Namespace and name, which is also the registry's subject (record-name strategy)."""
    return f"{schema['namespace']}.{schema['name']}"


def without_logical_types(schema: Any) -> Any:
    """The same schema as the codec reads it: milliseconds stay whole numbers instead of becoming datetimes."""
    if isinstance(schema, dict):
        return {key: without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [without_logical_types(item) for item in schema]
    return schema
