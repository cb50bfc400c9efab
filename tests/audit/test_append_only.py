"""Nobody changes the audit: not by their grants, and not past the triggers."""

import filled
import psycopg
import pytest
from filled import as_the_owner, look
from psycopg import errors

from projections.audit.keys import Signer
from projections.migrate import down, up

pytestmark = pytest.mark.servers
KEPT = ("delivery_audit_logs", "audit_anchors", "audit_exports")
CHANGES = ("UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {}")
ROLES = ("baton_projector", "baton_gateway", "baton_analyst")
MAY_WRITE = {("baton_projector", "delivery_audit_logs"), ("baton_projector", "audit_anchors"),
             ("baton_gateway", "audit_exports")}  # fmt: skip


@pytest.fixture(scope="module")
def filled_with_an_export(table: str) -> str:
    with psycopg.connect(table, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO audit_exports VALUES (gen_random_uuid(), gen_random_uuid(), now(), 'eva', 'asked', 1, '', '')"
        )
    return table


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("change", CHANGES)
def test_no_role_changes_what_is_kept(filled_with_an_export: str, role: str, name: str, change: str) -> None:
    with psycopg.connect(filled_with_an_export, autocommit=True) as connection:
        connection.execute(f"SET ROLE {role}".encode())
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(change.format(name).encode())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", KEPT)
def test_a_role_adds_only_where_it_writes(filled_with_an_export: str, role: str, name: str) -> None:
    with psycopg.connect(filled_with_an_export, autocommit=True) as connection:
        connection.execute(f"SET ROLE {role}".encode())
        statement = f"INSERT INTO {name} SELECT * FROM {name} WHERE false".encode()
        if (role, name) in MAY_WRITE:
            connection.execute(statement)
        else:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_is_refused_by_the_triggers(filled_with_an_export: str, name: str, change: str) -> None:
    refused = pytest.raises(errors.RaiseException, match="is append only")
    with psycopg.connect(filled_with_an_export, autocommit=True) as connection, refused:
        connection.execute(change.format(name).encode())


def test_the_tables_of_a_filled_audit_go_and_come(table: str, signer: Signer) -> None:
    before = "202611282230"
    down(table, before)
    with psycopg.connect(table) as connection:
        assert connection.execute("SELECT to_regclass('audit_anchors')").fetchone() == (None,)
        assert connection.execute("SELECT count(*) FROM delivery_audit_logs").fetchone() == (120,)
    up(table)
    report = look(table, signer)
    assert {finding.kind for finding in report.findings} == {"unproved"}, "the bytes went, most bodies give them back"
    assert report.found == 30
    with as_the_owner(table) as connection:
        for name in KEPT:
            connection.execute(f"DELETE FROM {name}".encode())
        connection.execute("DELETE FROM projection_offsets")
    with psycopg.connect(table) as connection:
        filled.project(connection, filled.records(30))
    filled.anchor(table, signer, 20)
    assert look(table, signer).findings == [], "made anew from the log"
