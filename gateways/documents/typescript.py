"""Writes `clients/typescript/baton.d.ts` from the two documents: types of bodies, answers and messages, and every door.

`python -m gateways.documents.typescript` writes, `--check` only compares and exits 1 when the file is stale.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from gateways.documents import asyncapi, messages, openapi

TARGET = Path(__file__).parents[2] / "clients" / "typescript" / "baton.d.ts"
_HEAD = """// Generated from GET /openapi.json and GET /asyncapi.json by gateways.documents.typescript. Do not edit.
// Readers pass over fields that they do not know; new ones may come in any release.

"""
_NAME = re.compile(r"^[A-Za-z_$][A-Za-z0-9_$]*$")
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
Schema = dict[str, Any]


def written() -> str:
    """The whole file."""
    document = openapi.of_no_gateway()
    said = asyncapi.document()["components"]["schemas"]
    schemas = {**said, **document["components"]["schemas"]}
    parts = [_type(name, schema) for name, schema in sorted(schemas.items())]
    parts.append(_union("ToDriver", "What a driver's socket says.", messages.TO_DRIVERS))
    parts.append(_union("FromDriver", "What a driver's app says.", messages.FROM_DRIVERS))
    parts.append(_streams())
    parts.append(_operations(document["paths"]))
    return _HEAD + "\n".join(parts)


def _type(name: str, schema: Schema) -> str:
    about = _comment(schema.get("description", ""))
    if schema.get("type") == "object" and schema.get("properties"):
        return f"{about}export interface {name} {_object(schema, '')}\n"
    return f"{about}export type {name} = {_of(schema)};\n"


def _of(schema: Schema, indent: str = "") -> str:
    """A schema as a type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for either in ("anyOf", "oneOf"):
        if either in schema:
            return " | ".join(dict.fromkeys(_of(one, indent) for one in schema[either]))
    if "allOf" in schema:
        return " & ".join(_of(one, indent) for one in schema["allOf"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_of({**schema, "type": one}, indent) for one in kind)
    if kind == "array":
        inner = _of(schema.get("items", {}), indent)
        return f"({inner})[]" if "|" in inner or "&" in inner else f"{inner}[]"
    if kind == "object":
        return _object(schema, indent)
    return _PLAIN.get(str(kind), "unknown")


def _object(schema: Schema, indent: str) -> str:
    properties, more = schema.get("properties"), schema.get("additionalProperties")
    if not properties:
        return f"Record<string, {_of(more, indent) if isinstance(more, dict) and more else 'unknown'}>"
    inner, wanted = f"{indent}  ", schema.get("required", [])
    lines = []
    for name, one in properties.items():
        about = _comment(one.get("description", ""), inner)
        shown = name if _NAME.match(name) else json.dumps(name)
        lines.append(f"{about}{inner}{shown}{'' if name in wanted else '?'}: {_of(one, inner)};\n")
    return "{\n" + "".join(lines) + f"{indent}}}"


def _union(name: str, about: str, shapes: Any) -> str:
    return f"/** {about} */\nexport type {name} = {' | '.join(shape.__name__ for shape in shapes)};\n"


def _streams() -> str:
    rows = "".join(f"  {name}: {shape.__name__};\n" for name, shape in messages.TRACKING.items())
    return f"/** Server-sent events of a delivery, by name. */\nexport interface TrackingEvents {{\n{rows}}}\n"


def _operations(paths: Schema) -> str:
    """By operation id: method, path, what the path, the query and the body hold, and what is answered."""
    rows = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            rows[operation["operationId"]] = _operation(method.upper(), path, operation)
    body = "".join(f"  {name}: {row};\n" for name, row in sorted(rows.items()))
    return f"/** Every door, by its operation id. */\nexport interface Operations {{\n{body}}}\n"


def _operation(method: str, path: str, operation: Schema) -> str:
    asked = operation.get("parameters", [])
    parts = {where: [one for one in asked if one["in"] == where] for where in ("path", "query")}
    fields = [f'method: "{method}"', f"path: {json.dumps(path)}"]
    for where, name in (("path", "parts"), ("query", "query")):
        inner = "; ".join(
            f"{json.dumps(one['name'])}{'' if one.get('required') else '?'}: {_of(one['schema'])}"
            for one in parts[where]
        )
        if inner:
            fields.append(f"{name}: {{ {inner} }}")
    if body := operation.get("requestBody"):
        content = next(iter(body["content"].values()))["schema"]
        fields.append(f"body{'' if body.get('required') else '?'}: {_of(content)}")
    answers = [
        _of(next(iter(one["content"].values()))["schema"]) if one.get("content") else "void"
        for status, one in operation["responses"].items()
        if status.startswith("2")
    ]
    fields.append(f"answer: {' | '.join(dict.fromkeys(answers))}")
    return "{ " + "; ".join(fields) + " }"


def _comment(about: str, indent: str = "") -> str:
    said = " ".join(about.replace("*/", "* /").split())
    return f"{indent}/** {said} */\n" if said else ""


def main(arguments: list[str]) -> int:
    """Writes, or with --check compares."""
    now = written()
    if "--check" in arguments:
        if not TARGET.exists() or TARGET.read_text() != now:
            print(f"{TARGET.name} is stale; run python -m gateways.documents.typescript")
            return 1
        return 0
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(now)
    print(f"{TARGET} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
