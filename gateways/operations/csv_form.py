"""Lists as CSV, when CSV is asked for."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import Request, Response

from projections.queries_csv import cell


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
