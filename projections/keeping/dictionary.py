"""The data dictionary: put into Postgres as comments, and made into docs/tables.md.

`python -m projections.keeping.dictionary` writes the page; `--check` says whether it is as it should be.
"""

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]
PAGE = Path(__file__).parents[2] / "docs" / "tables.md"
_FILE = Path(__file__).with_name("dictionary.toml")
RIGHTS = {"read": "SELECT", "add": "INSERT", "change": "UPDATE", "delete": "DELETE"}
_THERE = """
SELECT c.relname, a.attname, col_description(c.oid, a.attnum) FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
UNION ALL
SELECT c.relname, '', obj_description(c.oid, 'pg_class') FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
_MONTHS = """
SELECT c.relname, p.relname, obj_description(c.oid, 'pg_class') FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    WHERE p.relnamespace = 'public'::regnamespace AND p.relkind = 'p' AND c.relkind = 'r'
"""


@dataclass(frozen=True, slots=True)
class Described:
    """A table: what it is, what each role may do with it (rights in SQL's words), what its columns mean."""

    about: str
    may: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, str]
    shared: Mapping[str, str]

    def column(self, name: str) -> str | None:
        """What a column means: in the table's own words, or in those for all tables."""
        return self.columns.get(name) or self.shared.get(name)


@cache
def tables() -> dict[str, Described]:
    """By name."""
    said = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    shared = said.pop("columns")
    return {
        name: Described(
            table["about"],
            {f"baton_{role}": tuple(RIGHTS[word] for word in words.split())
             for role, words in table.get("may", {}).items()},
            table.get("columns", {}),
            shared,
        )
        for name, table in said.items()
    }  # fmt: skip


def comment(connection: Connection) -> int:
    """Puts the texts that differ into Postgres; gives how many. Tables that are not there yet are passed over."""
    changed = 0
    with connection.transaction():
        for table, column, there in connection.execute(_THERE.encode()).fetchall():
            described = tables().get(table)
            wanted = described and (described.column(column) if column else described.about)
            if wanted and wanted != there:
                _say(connection, table, column, wanted)
                changed += 1
        for month, table, there in connection.execute(_MONTHS.encode()).fetchall():
            if table in tables() and tables()[table].about != there:
                _say(connection, month, "", tables()[table].about)
                changed += 1
    return changed


def _say(connection: Connection, table: str, column: str, text: str) -> None:
    what = sql.SQL("COLUMN {}").format(sql.Identifier("public", table, column)) if column else (
        sql.SQL("TABLE {}").format(sql.Identifier("public", table))
    )  # fmt: skip
    connection.execute(sql.SQL("COMMENT ON {} IS {}").format(what, sql.Literal(text)))


def page() -> str:
    """docs/tables.md."""
    lines = [
        "# Tables", "",
        "Made of `projections/keeping/dictionary.toml` by `python -m projections.keeping.dictionary`; the same texts",
        "are the comments in Postgres (`\\d+ deliveries`). For how long rows are kept, and who logs in as what:",
        "[keeping](keeping.md). Times are `timestamptz`, amounts `bigint` in minor units. What a column of several",
        "tables means is said once, below.",
    ]  # fmt: skip
    names = sorted(tables())
    shared = tables()[names[0]].shared
    lines += ["", "## Columns of several tables", "", "| column | meaning |", "|---|---|"]
    lines += [f"| `{column}` | {text} |" for column, text in sorted(shared.items())]
    for name in names:
        described = tables()[name]
        lines += ["", f"## {name}", "", described.about, ""]
        may = [f"`{role}` {', '.join(rights)}" for role, rights in described.may.items()]
        if may:
            lines += [f"Granted: {'; '.join(may)}.", ""]
        if described.columns:
            lines += ["| column | meaning |", "|---|---|"]
            lines += [f"| `{column}` | {text} |" for column, text in described.columns.items()]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Writes the page, or with --check says whether it is current."""
    wanted = page()
    if arguments == ["--check"]:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted
        if not current:
            sys.stderr.write("docs/tables.md is not of the dictionary: run python -m projections.keeping.dictionary\n")
        return 0 if current else 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
