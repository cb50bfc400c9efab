"""Pages by key: each begins behind the last row of the one before, so that inserts neither repeat nor hide a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Row = dict[str, Any]
Type = Literal["timestamptz", "uuid", "text", "bigint", "boolean", "float8"]
Filter = tuple[str, Any]
"""A condition in SQL with one placeholder, and its value."""


@dataclass(frozen=True, slots=True)
class Key:
    """What rows are ordered by: one of several expressions, the last of which tells all rows apart."""

    expression: str
    type: Type


@dataclass(frozen=True, slots=True)
class Ordering:
    """All keys go the same way, so that an index of them is walked."""

    keys: tuple[Key, ...]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Which page: at most `limit` rows behind the row whose keys are `after`; None: from the beginning."""

    limit: int
    after: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and the keys of the last one if more follow."""

    rows: list[Row]
    after: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class Select:
    """Which columns of what. Fragments of SQL are ours; whatever comes from outside is bound."""

    columns: str
    source: str


async def page(
    connection: AsyncConnection[Any], select: Select, filters: Sequence[Filter], ordering: Ordering, asked: Asked
) -> Page:
    """A page of what is selected. Raises psycopg.Error."""
    conditions = [condition for condition, _ in filters]
    values = [value for _, value in filters]
    if asked.after is not None:
        side = "<" if ordering.descending else ">"
        wanted = ", ".join(f"%s::{key.type}" for key in ordering.keys)
        conditions.append(f"({', '.join(key.expression for key in ordering.keys)}) {side} ({wanted})")
        values += asked.after
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    way = " DESC" if ordering.descending else ""
    order = ", ".join(key.expression + way for key in ordering.keys)
    names = [f"key_{number}" for number in range(len(ordering.keys))]
    keys = ", ".join(f"({key.expression}) AS {name}" for key, name in zip(ordering.keys, names, strict=True))
    statement = f"SELECT {select.columns}, {keys} FROM {select.source}{where} ORDER BY {order} LIMIT %s"
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), [*values, asked.limit + 1])
        found = await cursor.fetchall()
    marks = [tuple(row.pop(name) for name in names) for row in found]
    more = len(found) > asked.limit
    return Page(found[: asked.limit], marks[asked.limit - 1] if more else None)
