"""Migrations on filled tables: each up and down, nothing lost that both sides hold, and the same tables afterwards."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filling import a_life, as_records, filled, ms, project
from psycopg import sql
from sqlalchemy.exc import SQLAlchemyError

import projections
from projections.migrate import LOCK, down, revisions, up
from projections.runtime import Projection

VERSIONS = Path(projections.__file__).parent / "migrations" / "versions"
CATALOG = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), a.attidentity, col_description(c.oid, a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE {mine}""",
    "tables": """
        SELECT c.relname, c.relkind, obj_description(c.oid), pg_get_partkeydef(c.oid) FROM pg_class c WHERE {mine}""",
    "indexes": """
        SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisvalid FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid WHERE {mine}""",
    "constraints": """
        SELECT c.relname, n.conname, pg_get_constraintdef(n.oid), n.convalidated FROM pg_constraint n
        JOIN pg_class c ON c.oid = n.conrelid WHERE n.contype <> 'n' AND {mine}""",
    "triggers": """
        SELECT c.relname, pg_get_triggerdef(t.oid), t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND {mine}""",
    "grants": """
        SELECT c.relname, a.grantee::regrole::text, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
        WHERE a.grantee <> c.relowner AND {mine}""",
    "functions": """
        SELECT p.proname, pg_get_functiondef(p.oid), obj_description(p.oid), p.proacl::text FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'""",
}
"""What a table is, but for its months and the order of its columns."""
MINE = (
    "c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    " AND c.relname <> 'alembic_version'"
)
FILL_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE a.attidentity = '' AND """
MOMENTS = ("2026-09-30T23:59:59.500", "2026-10-01T00:00:00", "2026-11-15T12:00:00")
SECOND = {"webhook_lines": 1, "webhook_messages": 2, "webhook_attempts": 3}
"""Tables that refer to others are filled after them."""
MADE_ANEW = ("projection_offsets", "projection_retention", "economics_rollup")
"""Offsets go where a topic is to be read again, start values are put in, sums are made of the rows."""


def catalog(connection: psycopg.Connection[Any]) -> dict[str, set[Any]]:
    return {
        what: set(connection.execute(statement.replace("{mine}", MINE).encode()).fetchall())
        for what, statement in CATALOG.items()
    }


def names(connection: psycopg.Connection[Any]) -> list[str]:
    found = connection.execute(f"SELECT c.relname FROM pg_class c WHERE {MINE} ORDER BY 1".encode()).fetchall()
    return sorted((name for (name,) in found), key=lambda name: (SECOND.get(name, 0), name))


def contents(connection: psycopg.Connection[Any]) -> dict[str, list[dict[str, Any]]]:
    """By table: its rows as JSON."""
    return {
        name: [row for (row,) in connection.execute(
            sql.SQL("SELECT to_jsonb(t) FROM {} t ORDER BY to_jsonb(t)::text").format(sql.Identifier(name))
        ).fetchall()]
        for name in names(connection)
    }  # fmt: skip


def common(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The rows of both, of the columns that both have."""
    shared = (one[0].keys() & other[0].keys()) if one and other else set()
    return tuple(  # type: ignore[return-value]
        sorted(repr(sorted((key, row[key]) for key in shared)) for row in rows) for rows in (one, other)
    )


def fill_by_sql(connection: psycopg.Connection[Any], only: str = "") -> None:
    """Three rows in each table that has none, with something in every column, whatever the tables are just then."""
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in connection.execute((FILL_COLUMNS + MINE).encode()).fetchall():
        columns.setdefault(table, []).append((column, kind))
    parted = {name for (name,) in connection.execute("SELECT partrelid::regclass::text FROM pg_partitioned_table")}
    for table in [only] if only else names(connection):
        if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(table))).rowcount:
            continue
        if table in parted:
            for moment in MOMENTS:
                connection.execute("SELECT baton_month('public', %s, %s)", (table, moment[:10]))
        checked = connection.execute(
            "SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint WHERE conrelid = %s::regclass"
            " AND contype = 'c'", (table,),
        ).fetchone()  # fmt: skip
        words = {
            match[1]: re.findall(r"'([^']*)'::text", match[2])
            for match in re.finditer(r"\((\w+) = ANY \(ARRAY\[(.*?)\]\)", str(checked and checked[0]))
        }
        for number, moment in enumerate(MOMENTS):
            values = {
                column: words[column][-1] if column in words else _value(column, kind, number, moment)
                for column, kind in columns[table]
            }
            connection.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(sql.Placeholder() * len(values)),
                ),
                list(values.values()),
            )  # fmt: skip


def _value(column: str, kind: str, number: int, moment: str) -> Any:
    from dispatch.contract import identity

    match kind:
        case "uuid":
            return identity.derived(f"{column} {number}")
        case "timestamp with time zone":
            return moment + "+00"
        case "jsonb":
            return "{}"
        case "text[]":
            return ["a", "b"]
        case "boolean":
            return number == 1
        case "bytea":
            return bytes([number])
        case "text":
            return identity.derived(f"{column} {number}") if column == "delivery_id" else f"{column}{number}"
        case "bigint" | "integer" | "smallint" | "double precision":
            return 0 if column.endswith("_minor") else number + 1
    raise AssertionError(f"no value for {column} {kind}")


def test_the_line_has_no_branches_and_files_are_named_by_their_moment() -> None:
    line = revisions()
    files = sorted(VERSIONS.glob("*.py"))
    assert len(line) == len(files)
    for file in files:
        assert re.fullmatch(r"20\d{10}_[a-z_]+\.py", file.name), file.name
        text = file.read_text()
        assert "def upgrade() -> None:" in text
        assert "def downgrade() -> None:" in text
    in_order = [re.search(r'^revision = "(.*)"', file.read_text(), re.MULTILINE) for file in files]
    named = [match[1] for match in in_order if match]
    assert [one for one in named if one in line] == line, "the files' moments are the order in which they run"
    assert all(one == file.name[:12] for one, file in zip(named, files, strict=True) if len(one) > 4)


@pytest.mark.servers
def test_all_the_way_down_and_up_again_on_folded_tables(database: str) -> None:
    up(database)
    with psycopg.connect(database, autocommit=True) as connection:
        fresh = catalog(connection)
        with psycopg.connect(database) as projector:
            filled(projector, *MOMENTS)
        fill_by_sql(connection)
        whole = contents(connection)
        assert all(whole.values()), [name for name, rows in whole.items() if not rows]
        line, seen = revisions(), [("head", whole)]
        for to in ["base", *line[:-1]][::-1]:
            down(database, to)
            after = contents(connection)
            for table in after.keys() & seen[-1][1].keys() - {"projection_offsets"}:
                lost, kept = common(seen[-1][1][table], after[table])
                assert kept == lost, f"{table}, from {seen[-1][0]} down to {to}"
            seen.append((to, after))
        assert seen[-1][1] == {}
        up(database)
        again = catalog(connection)
        for what in fresh:
            assert again[what] == fresh[what], what
    down(database)


@pytest.mark.servers
@pytest.mark.parametrize("revision", revisions())
def test_each_revision_goes_up_on_tables_filled_before_it_and_the_rest_follows(database: str, revision: str) -> None:
    line = revisions()
    before = ["base", *line][line.index(revision)]
    with psycopg.connect(database, autocommit=True) as connection:
        try:
            if before != "base":
                up(database, before)
                fill_by_sql(connection)
            known = contents(connection)
            up(database, revision)
            fill_by_sql(connection)
            after = contents(connection)
            for table, rows in known.items():
                if table not in MADE_ANEW:
                    lost, kept = common(rows, after[table])
                    assert kept == lost, table
            up(database)
            whole = contents(connection)
            for table, rows in after.items():
                if table not in MADE_ANEW:
                    lost, kept = common(rows, whole[table])
                    assert kept == lost, table
            with psycopg.connect(database) as projector:
                project(Projection(projector), as_records(a_life("after", ms(MOMENTS[2]) + 1)))
        finally:
            down(database)


@pytest.mark.servers
def test_tables_are_the_same_wherever_one_comes_from(database: str) -> None:
    """Indexes, triggers and grants at each revision; at the newest, where setup has settled, all there is."""
    with psycopg.connect(database, autocommit=True) as connection:
        risen = {}
        for to in revisions()[:-1]:
            up(database, to)
            risen[to] = catalog(connection)
        up(database)
        newest = catalog(connection)
        for to in revisions()[:-1][::-1]:
            down(database, to)
            found = catalog(connection)
            for what in ("indexes", "triggers", "grants"):
                assert found[what] == risen[to][what], f"{what}, down to {to}"
        for to in (revisions()[-2], "0001"):
            up(database)
            down(database, to)
            up(database)
            found = catalog(connection)
            for what in newest:
                assert found[what] == newest[what], f"{what}, from {to} up again"
        down(database)


@pytest.mark.servers
def test_a_migration_killed_in_the_middle_leaves_nothing_half(database: str) -> None:
    ends: list[Exception] = []

    def migrate() -> None:
        try:
            up(database)
        except (SQLAlchemyError, psycopg.Error) as error:
            ends.append(error)

    with psycopg.connect(database) as blocking, psycopg.connect(database, autocommit=True) as watching:
        up(database, "0013")
        fill_by_sql(watching)
        there = names(watching)
        blocking.execute("SELECT FROM zone_health_metrics")
        running = threading.Thread(target=migrate)
        running.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        until = time.monotonic() + 30
        while not (found := watching.execute(waiting).fetchone()):
            assert time.monotonic() < until
            time.sleep(0.05)
        watching.execute("SELECT pg_terminate_backend(%s)", found)
        running.join()
        assert len(ends) == 1
        assert names(watching) == there
        assert watching.execute("SELECT version_num FROM alembic_version").fetchall() == [("0013",)]
        blocking.rollback()
        up(database)
        assert watching.execute("SELECT version_num FROM alembic_version").fetchall() == [(revisions()[-1],)]
    down(database)


@pytest.mark.servers
def test_of_several_setups_at_once_one_works_and_the_others_find_nothing_to_do(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as watching:
        watching.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        command = [sys.executable, "-c", "import sys; from projections.migrate import up; up(sys.argv[1])", database]
        setups = [subprocess.Popen(command, cwd=Path(projections.__file__).parents[1]) for _ in range(3)]
        try:
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            until = time.monotonic() + 60
            while (watching.execute(waiting).fetchone() or (0,))[0] < 3:
                assert time.monotonic() < until
                time.sleep(0.05)
            assert names(watching) == []
            watching.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
            assert [one.wait(60) for one in setups] == [0, 0, 0]
        finally:
            for one in setups:
                one.kill()
                one.wait()
        assert "deliveries" in names(watching)
    down(database)


@pytest.mark.servers
def test_a_setup_that_is_done_stands_in_nobodys_way(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as rebuilding:
        for _ in range(20):
            up(database)
            assert rebuilding.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone() == (True,)
            rebuilding.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
    down(database)


@pytest.mark.servers
def test_setup_says_what_an_upgrade_left_to_be_rebuilt_and_which_old_rows_do_not_fit(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        up(database, "0013")
        fill_by_sql(connection, only="deliveries")
        connection.execute(
            "UPDATE deliveries SET assigned_how = 'by magic', unassigned_reason = NULL, proof_wanted = 'pin'"
        )
        said = up(database)
        assert len(said) == 2
        assert said[0] == (
            "older rows of deliveries do not keep to deliveries_assigned_how_words; those written from now on do"
        )
        assert "`baton projections rebuild` fills them" in said[1]
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("UPDATE deliveries SET assigned_how = 'by hand'")
        connection.execute("UPDATE deliveries SET assigned_how = 'manual'")
        connection.execute("DELETE FROM deliveries")
        assert up(database) == []
    down(database)
