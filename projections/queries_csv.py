"""How values are written in CSV (RFC 4180), safe to open in a spreadsheet: a text that it would run is made text."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""How a formula, or a call of another program, may begin. OWASP, "CSV Injection"."""


def cell(value: Any) -> str:
    """A value as a cell. Numbers stay numbers; text that a program might run begins with an apostrophe."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case list() | dict():
            value = json.dumps(value, ensure_ascii=False)
    words = str(value)
    return f"'{words}" if words.lstrip(" \u00a0\ufeff").startswith(_FORMULA) else words
