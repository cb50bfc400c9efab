"""The views by name, as the heads of their files describe them: question, row, period, columns, caveats.

A head is a block of comments of a fixed form, and `read` refuses another one, so that no view is without its words.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

FOLDER = Path(__file__).parent
SCHEMA = "analytics"
SHARED = (FOLDER / "period.sql").read_text()
"""The functions that views use."""
_DAYS = re.compile(r"(?P<column>\w+), (?P<days>\d+) days?")


class BadHead(Exception):
    """A file whose head is not of the form."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view; its unit is in the words."""

    name: str
    kind: str
    about: str


@dataclass(frozen=True, slots=True)
class View:
    """A named query. It tells of a period that the session says, of all rows, or of now."""

    name: str
    question: str
    row: str
    time: str
    """The column by which a row is of a period; empty: it tells of now."""
    usual: timedelta | None
    """The period without one that is asked for. None: the view has no period of its own."""
    by: str
    columns: tuple[Column, ...]
    nulls: str
    caveats: str
    sql: str

    @property
    def rests_on(self) -> set[str]:
        """The views that it reads."""
        return set(re.findall(rf"(?:FROM|JOIN) {SCHEMA}\.(\w+)", self.sql)) & {path.stem for path in _files()}


@cache
def views() -> dict[str, View]:
    """All by name, each behind those that it reads."""
    found = {path.stem: read(path.stem, path.read_text()) for path in _files()}
    order = TopologicalSorter({name: sorted(view.rests_on) for name, view in found.items()}).static_order()
    return {name: found[name] for name in order}


def read(name: str, text: str) -> View:
    """A view from its file. Raises BadHead."""
    lines = text.split("\n")
    count = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    head, sql = lines[:count], "\n".join(lines[count:]).strip()
    parts = _parts(name, head)
    time, usual = _period(name, parts["Period"])
    return View(
        name=name, question=parts[name], row=parts["One row"], time=time, usual=usual, by=parts["By"],
        columns=_columns(name, head), nulls=parts["Null"], caveats=parts["Caveats"], sql=sql,
    )  # fmt: skip


def _files() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*.sql") if path.stem != "period")


def _parts(name: str, head: list[str]) -> dict[str, str]:
    """The parts of a head, which come in this order; what goes on in the next line is indented."""
    wanted = [name, "One row", "Period", "By", "Columns", "Null", "Caveats"]
    parts: dict[str, str] = {}
    for line in head:
        key, colon, rest = line.removeprefix("-- ").partition(":")
        if colon and line.startswith("-- ") and not line.startswith("--   "):
            parts[key] = rest.strip()
        elif parts and list(parts)[-1] != "Columns":
            last = list(parts)[-1]
            parts[last] += " " + line.removeprefix("--").strip()
    if list(parts) != wanted or not all(words for key, words in parts.items() if key != "Columns"):
        raise BadHead(f"{name}: the head has {list(parts)}, {wanted} is wanted")
    return parts


def _columns(name: str, head: list[str]) -> tuple[Column, ...]:
    lines = head[head.index("-- Columns:") + 1 :]
    found = []
    for line in lines:
        if not line.startswith("--   "):
            break
        told = re.fullmatch(r"--   (\w+) ([a-z]+): (.+)", line)
        if told is None:
            raise BadHead(f"{name}: {line!r} describes no column")
        found.append(Column(*told.groups()))
    return tuple(found)


def _period(name: str, words: str) -> tuple[str, timedelta | None]:
    if words == "now":
        return "", None
    if words.startswith("WHERE "):
        return words.removeprefix("WHERE "), None
    told = _DAYS.match(words)
    if told is None and words == "as in the views that it rests on, 7 days":
        return "", timedelta(days=7)
    if told is None:
        raise BadHead(f"{name}: {words!r} is no period")
    return told["column"], timedelta(days=int(told["days"]))
