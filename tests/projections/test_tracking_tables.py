"""Links to follow a delivery and drivers' names in Postgres: the last record of each key, erased by a tombstone."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from dispatch.contract import codec, identity
from dispatch.contract.records.system import Contact, TrackingLink
from dispatch.log.application import Record
from projections.migrate import down, up
from projections.runtime import Folding, Projection, fold, positions

pytestmark = pytest.mark.servers
ONE = identity.delivery_id("s1", "o1")
HASH = "ab" * 32
LINK = TrackingLink(
    token_hash=HASH, delivery_id=ONE, issued_at_ms=1_000, issued_by="s1", expires_at_ms=9_000, after_s=60
)  # fmt: skip
ANA = Contact(subject_id="driver:ana", name="Ana B.", phone="+49 1", address="", language="de")
LINKS = ("tracking.links", 0)
CONTACTS = ("contacts", 0)


@pytest.fixture
def tables(database: str) -> Iterator[psycopg.Connection[Any]]:
    up(database)
    with psycopg.connect(database, autocommit=False) as connection:
        yield connection
    down(database)


def project(connection: psycopg.Connection[Any], *records: Record) -> Folding:
    at = positions(connection, [LINKS, CONTACTS])
    folding = fold(records, at, "")
    Projection(connection).write(folding, at)
    connection.execute("DISCARD TEMP")
    connection.commit()
    return folding


def a_link(offset: int, link: TrackingLink | None, key: str = HASH) -> Record:
    return Record(*LINKS, offset, 0, key.encode(), codec.encode(link) if link else None)


def a_name(offset: int, contact: Contact | None, key: str = "driver:ana") -> Record:
    return Record(*CONTACTS, offset, 0, key.encode(), codec.encode(contact) if contact else None)


def test_a_link_is_its_last_record_and_a_driver_s_name_is_kept_apart(tables: psycopg.Connection[Any]) -> None:
    project(tables, a_link(0, LINK), a_name(0, ANA), a_name(1, replace(ANA, subject_id=ONE), ONE))
    project(tables, a_link(1, replace(LINK, revoked_at_ms=5_000, revoked_by="eve")))
    rows = tables.execute(
        "SELECT token_hash, delivery_id::text, revoked_by, extract(epoch FROM revoked_at)::int FROM tracking_links"
    ).fetchall()
    assert rows == [(HASH, ONE, "eve", 5)]
    assert tables.execute("SELECT * FROM driver_contacts").fetchall() == [("ana", "Ana B.", "+49 1", "de")]
    assert tables.execute("SELECT count(*) FROM contacts").fetchone() == (1,)
    project(tables, a_link(2, None), a_name(2, None))
    assert tables.execute("SELECT count(*) FROM tracking_links").fetchone() == (0,)
    assert tables.execute("SELECT count(*) FROM driver_contacts").fetchone() == (0,)


def test_a_link_under_another_key_is_set_aside(tables: psycopg.Connection[Any]) -> None:
    folding = project(tables, a_link(0, LINK, key="cd" * 32), a_name(0, ANA, key="driver:ben"))
    assert len(folding.poison) == 2
    assert "Ana" not in repr([(poison.reason, poison.place) for poison in folding.poison])


def test_analysts_do_not_see_drivers_names(tables: psycopg.Connection[Any]) -> None:
    allowed = tables.execute("SELECT has_any_column_privilege('baton_analyst', 'driver_contacts', 'SELECT')")
    assert allowed.fetchone() == (False,)
