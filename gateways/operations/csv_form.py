"""Lists as CSV (RFC 4180), safe to open in a spreadsheet: a text that would be taken for a formula is made text."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""How a formula, or a call of another program, may begin. OWASP, "CSV Injection"."""


def wanted(request: Request, form: str | None) -> bool:
    """Whether CSV is asked for: `?format=csv`, or an Accept that prefers it to JSON."""
    if form is not None:
        return form == "csv"
    kinds = [part.split(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return "text/csv" in kinds and "application/json" not in kinds[: kinds.index("text/csv")]


def response(rows: Iterable[dict[str, Any]], columns: Sequence[str], name: str, cursor: str | None) -> Response:
    """The rows as a file; X-Next-Cursor says where it goes on."""
    headers = {"content-disposition": f'attachment; filename="{name}.csv"', "vary": "accept"}
    if cursor is not None:
        headers["x-next-cursor"] = cursor
    return Response(text(rows, columns), 200, headers, media_type="text/csv; charset=utf-8")


def text(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """A line of names, and one a row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
    return out.getvalue()


def cell(value: Any) -> str:
    """A value as a cell. Numbers stay numbers; text that a program might run begins with an apostrophe."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    words = str(value)
    return f"'{words}" if words.lstrip(" \u00a0\ufeff").startswith(_FORMULA) else words
