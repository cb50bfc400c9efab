"""Tells tables of two schemas apart: by a sum over the hashes of their rows, and row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from projections.runtime.offsets import Connection

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Rows of a table, and the sum of their 64-bit hashes (Postgres' hashtextextended over the row as text)."""

    rows: int
    sum: int

    def __str__(self) -> str:
        return f"{self.sum % 2**64:016x}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that differs: by column what is in use, and what the log says. No column: the row is there only once."""

    key: tuple[Any, ...]
    columns: dict[str, tuple[Any, Any]]
    only: str = ""
    """`table`: it does not follow from the log. `log`: it is missing in the table."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is compared of a table: its key, the columns, and since which moment, if old months were dropped."""

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    since: str = ""
    """A condition in SQL of our own; empty: all rows."""


def shape_of(connection: Connection, schema: str, table: str, without: Sequence[str] = ()) -> Shape:
    """All columns but some; rows that retention leaves. Raises psycopg.Error."""
    columns = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " ORDER BY ordinal_position",
        (schema, table),
    ).fetchall()
    key = connection.execute(
        "SELECT a.attname FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k(attnum, place)"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
        " WHERE i.indrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND i.indisprimary ORDER BY k.place",
        (schema, table),
    ).fetchall()
    return Shape(table, tuple(name for (name,) in key), tuple(name for (name,) in columns if name not in without))


def fingerprint(connection: Connection, schema: str, shape: Shape) -> Fingerprint:
    """Of all rows in the connection's snapshot. Both sides must show times in one zone."""
    row = connection.execute(
        sql.SQL(
            "SELECT count(*), coalesce(sum(hashtextextended(one::text, 0)::numeric), 0)::text"
            " FROM (SELECT {} FROM {}.{} {}) one"
        ).format(_names(shape.columns), sql.Identifier(schema), sql.Identifier(shape.table), _where(shape))
    ).fetchone()
    assert row is not None
    return Fingerprint(int(row[0]), int(row[1]))


def differences(used: Connection, made: Connection, live: str, room: str, shape: Shape) -> Iterator[Difference]:
    """Every row that differs, by key, in bounded memory: both sides are read in the order of their keys."""
    left, right = _hashes(used, live, shape), _hashes(made, room, shape)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield Difference(one[0], {}, "table")
            one = next(left, None)
        elif one is None or other[0] < one[0]:
            yield Difference(other[0], {}, "log")
            other = next(right, None)
        else:
            if one[1] != other[1]:
                yield _of_columns(used, made, live, room, shape, one[0])
            one, other = next(left, None), next(right, None)


def _hashes(connection: Connection, schema: str, shape: Shape) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Keys as text, bytewise ordered, so that Python and Postgres agree on the order."""
    keys = sql.SQL(", ").join(
        sql.SQL('one.{}::text COLLATE "C"').format(sql.Identifier(name)) for name in shape.key
    )  # fmt: skip
    statement = sql.SQL(
        "SELECT hashtextextended(one::text, 0), {} FROM (SELECT {} FROM {}.{} {}) one ORDER BY {}"
    ).format(keys, _names(shape.columns), sql.Identifier(schema), sql.Identifier(shape.table), _where(shape), keys)
    with connection.cursor(f"compared_{schema}") as cursor:
        cursor.itersize = 20_000
        cursor.execute(statement)
        for hashed, *key in cursor:
            yield tuple(key), hashed


def _of_columns(
    used: Connection, made: Connection, live: str, room: str, shape: Shape, key: tuple[Any, ...]
) -> Difference:
    one, other = _row(used, live, shape, key), _row(made, room, shape, key)
    return Difference(key, {name: (one[name], other[name]) for name in shape.columns if one[name] != other[name]})


def _row(connection: Connection, schema: str, shape: Shape, key: tuple[Any, ...]) -> dict[str, Any]:
    where = sql.SQL(" AND ").join(sql.SQL("{}::text = %s").format(sql.Identifier(name)) for name in shape.key)
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            sql.SQL("SELECT {} FROM {}.{} WHERE {}").format(
                _names(shape.columns), sql.Identifier(schema), sql.Identifier(shape.table), where
            ),
            key,
        )
        return cursor.fetchone() or {}


def _where(shape: Shape) -> sql.Composable:
    return sql.SQL("WHERE " + shape.since if shape.since else "")


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
