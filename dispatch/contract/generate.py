"""Writes `records/` from `schemas/`: one module a folder, one frozen msgspec struct a record.

`python -m dispatch.contract.generate` writes, `--check` only compares and exits 1 when something is stale.
"""

import json
import sys
from pathlib import Path
from typing import Any

from dispatch.contract import schema_files
from dispatch.contract.schema_files import Schema

TARGET = Path(__file__).parent / "records"
PRIMITIVES = {"string": "str", "boolean": "bool", "int": "int", "long": "int", "double": "float", "bytes": "bytes"}
HEADER = '"""Generated from schemas/{room} by dispatch.contract.generate. Do not edit."""\n'


class _Shared:
    """Named types used inside records: enums and nested records, written once into `shared.py`."""

    def __init__(self) -> None:
        self.code: dict[str, str] = {}

    def add(self, schema: Schema) -> str:
        name = str(schema["name"])
        if name not in self.code:
            self.code[name] = ""  # holds the place, so that a type used inside comes first in the text
            code = _enum(schema) if schema["type"] == "enum" else _struct(schema, self)
            del self.code[name]
            self.code[name] = code
        return name


def _enum(schema: Schema) -> str:
    symbols = ", ".join(json.dumps(symbol) for symbol in schema["symbols"])
    return f"{schema['name']} = Literal[{symbols}]\n"


def _python_type(avro: Any, shared: _Shared) -> str:
    if isinstance(avro, list):
        inner = next(item for item in avro if item != "null")
        return f"{_python_type(inner, shared)} | None"
    if isinstance(avro, dict):
        match avro["type"]:
            case "array":
                return f"tuple[{_python_type(avro['items'], shared)}, ...]"
            case "map":
                return f"dict[str, {_python_type(avro['values'], shared)}]"
            case "enum" | "record":
                return shared.add(avro)
            case primitive:
                return PRIMITIVES[primitive]
    return PRIMITIVES.get(avro) or str(avro).rsplit(".", 1)[-1]


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return ""
    value = field["default"]
    return f" = {value!r}" if not isinstance(value, list) else " = ()"


def _struct(schema: Schema, shared: _Shared) -> str:
    lines = [
        f"class {schema['name']}(msgspec.Struct, frozen=True, kw_only=True, gc=False):",
        f'    """{schema["doc"]}"""',
        "",
    ]
    for field in schema["fields"]:
        lines.append(f"    {field['name']}: {_python_type(field['type'], shared)}{_default(field)}")
        if doc := field.get("doc"):
            lines.append(f'    """{doc}"""')
    return "\n".join(lines) + "\n"


def _room_alias(room: str) -> str:
    """delivery_commands -> DeliveryCommand: the union of the room's records."""
    return "".join(part.capitalize() for part in room.split("_")).removesuffix("s")


def generate() -> dict[str, str]:
    """File name -> text of every generated module."""
    shared = _Shared()
    files: dict[str, str] = {}
    for room in schema_files.rooms():
        schemas = schema_files.load(room)
        classes = [_struct(schema, shared) for schema in schemas]
        names = [schema["name"] for schema in schemas]
        used = sorted(name for name in shared.code if any(name in text for text in classes))
        parts = [HEADER.format(room=room), "import msgspec\n"]
        if used:
            parts.append(f"from dispatch.contract.records.shared import {', '.join(used)}\n")
        parts += [*classes, f"{_room_alias(room)} = {' | '.join(names)}\n"]
        words = {schema["name"]: schema["audit"] for schema in schemas if "audit" in schema}
        if words:
            rows = "".join(f'    {name}: "{word}",\n' for name, word in words.items())
            parts.append(f"AUDIT_WORDS: dict[type[{_room_alias(room)}], str] = {{\n{rows}}}\n")
        files[f"{room}.py"] = "\n\n".join(parts)
    files["shared.py"] = "\n\n".join(
        [HEADER.format(room="*"), "from typing import Literal\n\nimport msgspec\n", *shared.code.values()]
    )
    files["__init__.py"] = HEADER.format(room="*")
    return files


def main(arguments: list[str]) -> int:
    """Writes, or with --check compares; 1 when stale."""
    files = generate()
    stale = [
        name for name, text in files.items() if not (TARGET / name).exists() or (TARGET / name).read_text() != text
    ]
    stale += [path.name for path in TARGET.glob("*.py") if path.name not in files]
    if "--check" in arguments:
        if stale:
            print(f"stale: {', '.join(stale)}; run python -m dispatch.contract.generate")
        return 1 if stale else 0
    for path in TARGET.glob("*.py"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (TARGET / name).write_text(text)
    print(f"{len(files)} modules, {len(stale)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
