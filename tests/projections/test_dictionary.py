"""What the tables are made of, asked of Postgres' own catalogue: words, types, checks, rights."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import psycopg
import pytest

from dispatch.contract.records import shared
from projections.keeping import dictionary
from projections.keeping.catalogue import CATALOGUE, ELSEWHERE
from projections.migrate import up

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
TABLES = """
SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
"""
CHECKS = """
SELECT c.relname, n.conname, pg_get_constraintdef(n.oid), n.convalidated FROM pg_constraint n
JOIN pg_class c ON c.oid = n.conrelid
WHERE n.contype = 'c' AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
"""
RIGHTS = """
SELECT c.relname, a.grantee::regrole::text, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND a.grantee <> c.relowner
"""
IDS = {
    "delivery_id", "offer_id", "event_id", "causation_id", "notice_id", "ticket_id", "message_id", "endpoint_id",
    "change_id", "request_id", "export_id",
}  # fmt: skip
TEXT_IDS = {("notices", "delivery_id")}
"""Some notices are about no delivery: theirs is empty."""
MIRRORS: dict[tuple[str, str], Any] = {
    ("deliveries", "assigned_how"): shared.AssignHow,
    ("deliveries", "unassigned_reason"): shared.UnassignedReason,
    ("deliveries", "proof_wanted"): shared.Proof,
    ("driver_offers", "reason"): (shared.RejectReason, shared.WithdrawReason),
    ("drivers", "availability"): shared.Availability,
    ("drivers", "vehicle"): shared.Vehicle,
    ("delivery_audit_logs", "actor_type"): shared.ActorType,
    ("assignments", "how"): shared.AssignHow,
    ("assignments", "reassign_reason"): shared.ReassignReason,
    ("driver_availability_history", "from_state"): shared.Availability,
    ("driver_availability_history", "to_state"): shared.Availability,
    ("driver_availability_history", "actor_type"): shared.ActorType,
    ("driver_zone_preferences", "preference"): shared.ZonePreference,
    ("driver_zone_preferences", "actor_type"): shared.ActorType,
    ("delivery_costs", "outcome"): shared.SettledAs,
    ("delivery_revenue", "outcome"): shared.SettledAs,
    ("unassigned_orders", "why"): shared.UnassignedReason,
    ("zone_health_metrics", "trend"): shared.ZoneTrend,
    ("dead_letter_acts", "act"): shared.DeadLetterAct,
    ("notices", "audience"): shared.Audience,
    ("support_tickets", "why"): shared.UnassignedReason,
    ("webhook_changes", "act"): shared.WebhookAct,
    ("webhook_changes", "actor_type"): shared.ActorType,
}
"""By table and column: the words of the contract that it may hold."""
OWN_WORDS = {
    ("deliveries", "status"), ("driver_offers", "outcome"), ("assignments", "ended_as"),
    ("unassigned_orders", "queue_status"), ("unassigned_orders", "left_how"), ("economics_rollup", "by"),
    ("notices", "state"), ("webhook_endpoints", "state"), ("webhook_lines", "state"), ("webhook_messages", "state"),
    ("webhook_attempts", "outcome"),
}  # fmt: skip
"""Words that Baton itself made: a newer release brings its own migration."""
pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def tables(database: str) -> Iterator[psycopg.Connection[Any]]:
    up(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT baton_month('public', 'deliveries', '2026-11-01')")
        yield connection


def rows(tables: psycopg.Connection[Any], statement: str) -> list[Any]:
    return tables.execute(statement.encode()).fetchall()


def test_every_table_month_and_column_says_what_it_is(tables: psycopg.Connection[Any]) -> None:
    found = rows(tables, COLUMNS)
    assert len(found) > 300
    assert [(table, column) for table, column, _, said in found if not said] == []
    assert [table for table, said in rows(tables, TABLES) if not said] == []
    said = dict(rows(tables, TABLES))
    assert said["deliveries_2026_11"] == said["deliveries"]


def test_the_dictionary_is_what_postgres_says_and_names_nothing_else(tables: psycopg.Connection[Any]) -> None:
    words = {(table, column): said for table, column, _, said in rows(tables, COLUMNS)}
    for table, described in dictionary.tables().items():
        for column in described.columns:
            assert words.get((table, column)) == described.columns[column], f"{table}.{column}"
    assert {table for table, _ in words} == set(dictionary.tables())


def test_changed_texts_are_put_in_by_the_next_setup(tables: psycopg.Connection[Any]) -> None:
    tables.execute("COMMENT ON COLUMN deliveries.status IS 'as it was said before'")
    tables.execute("COMMENT ON TABLE deliveries_2026_11 IS 'as it was said before'")
    assert dictionary.comment(tables) == 2
    assert dictionary.comment(tables) == 0


def test_the_page_of_tables_is_made_of_the_dictionary() -> None:
    assert dictionary.main(["--check"]) == 0


def test_times_amounts_and_ids_have_their_types(tables: psycopg.Connection[Any]) -> None:
    wrong = []
    for table, column, kind, _ in rows(tables, COLUMNS):
        if kind.startswith(("timestamp", "date", "time")):
            fits = kind == "timestamp with time zone"
        elif column.endswith("_minor"):
            fits = kind == "bigint"
        elif column in IDS and (table, column) not in TEXT_IDS:
            fits = kind == "uuid"
        elif column.endswith(("_at", "_until", "_since")):
            fits = kind == "timestamp with time zone"
        else:
            fits = kind not in ("real", "numeric", "json", "character varying", "character")
        if not fits and table != "alembic_version":
            wrong.append((table, column, kind))
    assert wrong == []


def checks(tables: psycopg.Connection[Any]) -> dict[tuple[str, str], set[str]]:
    """By table and column: the words of a check that is nothing but a list of words."""
    found = {}
    for table, _, text, _ in rows(tables, CHECKS):
        match = re.fullmatch(r"CHECK \(\((\w+) = ANY \(ARRAY\[(.*)\]\)\)\)", text)
        if match:
            found[table, match[1]] = set(re.findall(r"'([^']*)'::text", match[2]))
    return found


@pytest.mark.parametrize("where", MIRRORS, ids=".".join)
def test_a_check_has_the_words_of_the_contract(tables: psycopg.Connection[Any], where: tuple[str, str]) -> None:
    kinds = MIRRORS[where] if isinstance(MIRRORS[where], tuple) else (MIRRORS[where],)
    words = {word for kind in kinds for word in get_args(kind)}
    assert "UNKNOWN" in words
    assert checks(tables)[where] == words


def test_every_list_of_words_is_named_here_and_all_are_validated(tables: psycopg.Connection[Any]) -> None:
    assert set(checks(tables)) == set(MIRRORS) | OWN_WORDS
    assert [name for _, name, _, validated in rows(tables, CHECKS) if not validated] == []


def test_each_role_is_granted_what_the_dictionary_says_and_nothing_else(tables: psycopg.Connection[Any]) -> None:
    granted = {
        (table, role, right) for table, role, right in rows(tables, RIGHTS) if role not in ("-", "pg_read_all_data")
    }
    wanted = {
        (table, role, right)
        for table, described in dictionary.tables().items()
        for role, rights in described.may.items()
        for right in rights
    }
    assert granted == wanted
    assert "baton_analyst" not in {role for _, role, _ in granted}
    assert not rows(tables, RIGHTS.replace("a.grantee <> c.relowner", "a.grantee = 0"))


def test_functions_of_the_owner_are_for_the_projector_alone_and_look_nowhere_else(
    tables: psycopg.Connection[Any],
) -> None:
    found = rows(
        tables,
        "SELECT proname, proconfig, array(SELECT grantee::regrole::text FROM aclexplode(proacl)"
        " WHERE grantee <> proowner) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef",
    )
    assert {name for name, _, _ in found} >= {"baton_month", "baton_drop_month", "baton_drop_rows", "baton_end_slow"}
    for name, settings, grantees in found:
        assert "search_path=pg_catalog, pg_temp" in settings, name
        assert grantees == ["baton_projector"], name


def test_every_table_is_kept_for_so_long_for_a_reason(tables: psycopg.Connection[Any]) -> None:
    kinds = {(table, column): kind for table, column, kind, _ in rows(tables, COLUMNS)}
    kept = {one.table for one in CATALOGUE}
    assert not kept & set(ELSEWHERE)
    assert kept | set(ELSEWHERE) == {table for table, _ in kinds}
    assert all(kinds[one.table, one.column] == "timestamp with time zone" for one in CATALOGUE)
    parted = {table for (table,) in rows(tables, "SELECT partrelid::regclass::text FROM pg_partitioned_table")}
    assert parted <= kept
