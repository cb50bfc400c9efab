"""Personal data in Postgres: one row a delivery, erased by a tombstone, and shown to nobody who need not see it."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from deploy.local import Addresses
from dispatch.contract import codec, identity
from dispatch.contract.records.system import Contact, DeadLetter
from dispatch.log.application import Record
from projections.lane import Lane
from projections.migrate import down, up
from projections.runtime import Folding, Poison, Position, Projection, fold, positions
from projections.setting_aside import letter_of

PLACE = ("contacts", 0)
ONE, TWO = identity.delivery_id("s1", "o1"), identity.delivery_id("s1", "o2")
CLARA = Contact(
    subject_id=ONE, name="Clara Q.", phone="+49 761 5550123", address="Basler Str. 1", lat=48.012345, lng=7.86,
    note="ring twice",
)  # fmt: skip
ALL = "SELECT delivery_id::text, name, phone, address, note, lat, lng FROM contacts ORDER BY name"
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
COLUMNS = "SELECT has_any_column_privilege('baton_analyst', 'contacts', %s)"
VIEWS = (
    "SELECT count(*) FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = pg_depend.objid"
    " WHERE pg_depend.refobjid = 'contacts'::regclass AND pg_depend.classid = 'pg_rewrite'::regclass"
)


def a_record(offset: int, contact: Contact | None, key: str = ONE) -> Record:
    return Record(*PLACE, offset, 0, key.encode(), None if contact is None else codec.encode(contact))


@pytest.fixture
def tables(database: str) -> Iterator[psycopg.Connection[Any]]:
    up(database)
    with psycopg.connect(database) as connection:
        yield connection
    down(database)


def project(connection: psycopg.Connection[Any], *records: Record) -> Folding:
    at = positions(connection, [PLACE])
    folding = fold(records, at, "")
    Projection(connection).write(folding, at)
    connection.execute("DISCARD TEMP")
    connection.commit()
    return folding


def rows(connection: psycopg.Connection[Any]) -> list[Any]:
    found = connection.execute(ALL).fetchall()
    connection.commit()
    return found


@pytest.mark.servers
def test_the_last_contact_of_a_delivery_is_its_row(tables: psycopg.Connection[Any]) -> None:
    project(tables, a_record(0, CLARA), a_record(1, replace(CLARA, subject_id=TWO, name="Dan"), TWO))
    project(tables, a_record(5, replace(CLARA, phone="1")), a_record(6, replace(CLARA, phone="2", lat=None)))
    assert rows(tables) == [
        (ONE, "Clara Q.", "2", "Basler Str. 1", "ring twice", None, 7.86),
        (TWO, "Dan", "+49 761 5550123", "Basler Str. 1", "ring twice", 48.012345, 7.86),
    ]
    assert positions(tables, [PLACE])[PLACE] == Position(7, b"")


@pytest.mark.servers
def test_a_tombstone_erases_the_row_and_a_later_contact_makes_it_again(tables: psycopg.Connection[Any]) -> None:
    project(tables, a_record(0, CLARA))
    project(tables, a_record(1, None))
    assert rows(tables) == []
    project(tables, a_record(2, CLARA), a_record(3, None), a_record(4, None, TWO))
    assert rows(tables) == []
    project(tables, a_record(5, None), a_record(6, CLARA))
    assert [row[1] for row in rows(tables)] == ["Clara Q."]


@pytest.mark.servers
def test_contacts_are_in_no_audit_and_drivers_contacts_are_not_kept_here(tables: psycopg.Connection[Any]) -> None:
    folding = project(tables, a_record(0, CLARA), a_record(1, replace(CLARA, subject_id="ana"), "ana"))
    assert (folding.audit, folding.events, folding.poison) == ([], [], [])
    assert tables.execute("SELECT count(*) FROM delivery_audit_logs").fetchone() == (0,)
    assert len(rows(tables)) == 1


@pytest.mark.servers
def test_analysts_see_contacts_neither_in_the_table_nor_through_a_view(tables: psycopg.Connection[Any]) -> None:
    for right in RIGHTS:
        allowed = tables.execute("SELECT has_table_privilege('baton_analyst', 'contacts', %s)", (right,)).fetchone()
        assert allowed == (False,), right
    for right in ("SELECT", "INSERT", "UPDATE", "REFERENCES"):
        assert tables.execute(COLUMNS, (right,)).fetchone() == (False,), right
    assert tables.execute(VIEWS).fetchone() == (0,)
    tables.execute("SET ROLE baton_analyst")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        tables.execute("SELECT name FROM contacts")
    tables.rollback()


@pytest.mark.servers
def test_the_table_goes_with_its_offsets_so_that_it_is_filled_again(database: str) -> None:
    up(database)
    with psycopg.connect(database) as connection:
        project(connection, a_record(7, CLARA))
    down(database, "0001")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regclass('contacts')").fetchone() == (None,)
        assert connection.execute("SELECT count(*) FROM projection_offsets").fetchone() == (0,)
    up(database)
    with psycopg.connect(database) as connection:
        assert rows(connection) == []
    down(database)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (ONE, b'{"name": "Clara Q."}'),
        (ONE, codec.encode(CLARA)[:-3]),
        (ONE, codec.encode(replace(CLARA, name="Clara Q." * 99))),
        (ONE, codec.encode(replace(CLARA, subject_id="Clara Q."))),
        (TWO, codec.encode(CLARA)),
    ],
    ids=["no wire format", "cut short", "too long", "no id", "another key"],
)
def test_a_contact_that_cannot_be_read_is_set_aside_without_what_it_holds(key: str, value: bytes) -> None:
    folding = fold([Record("n.contacts", 0, 3, 0, key.encode(), value)], {("n.contacts", 0): Position()}, "n.")
    assert folding.latest == {}
    assert folding.positions["n.contacts", 0].next_offset == 4
    (poison,) = folding.poison
    letter = letter_of(poison, personal=True)
    assert (letter.value, letter.value_bytes, letter.offset) == (None, len(value), 3)
    assert "Clara" not in repr((letter, poison.reason, poison.place))


def test_what_else_cannot_be_read_is_set_aside_whole() -> None:
    letter = letter_of(Poison(Record("driver.events", 0, 3, 0, b"k", b"{}"), "r", "p"), personal=False)
    assert isinstance(letter, DeadLetter)
    assert letter.value == b"{}"


@pytest.mark.servers
def test_an_error_of_the_server_is_told_without_the_rows_it_quotes(
    tables: psycopg.Connection[Any], servers: Addresses, capsys: pytest.CaptureFixture[str]
) -> None:
    tables.execute("ALTER TABLE contacts ADD CHECK (phone <> '13')")
    tables.commit()
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        project(tables, a_record(0, replace(CLARA, phone="13")))
    assert "Clara" in str(caught.value)
    lane = Lane(servers.kafka, "", "")
    lane._stop.set()
    lane._lost(caught.value)
    assert "Clara" not in json.dumps(lane.state)
    assert "violates check constraint" in lane.state
    assert "Clara" not in "".join(capsys.readouterr())
