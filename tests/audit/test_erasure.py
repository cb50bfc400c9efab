"""A person is erased, and the audit stays whole: it never held them."""

import filled
import psycopg
import pytest
from filled import look

from dispatch.contract import codec
from dispatch.contract.personal import OF_DRIVER
from dispatch.contract.records.system import Contact
from dispatch.log.application import Record
from projections.audit.keys import Signer
from projections.runtime import Projection, fold, positions

pytestmark = pytest.mark.servers
PLACE = ("contacts", 0)
TOLD = ("Clara", "5550123", "Basler", "Ana B.", "48.012345")


def a_contact(subject: str, name: str) -> Contact:
    return Contact(subject_id=subject, name=name, phone="+49 761 5550123", address="Basler Str. 1", lat=48.012345,
                   lng=7.861234, note="")  # fmt: skip


def project(dsn: str, *records: Record) -> None:
    with psycopg.connect(dsn) as connection:
        at = positions(connection, [PLACE])
        Projection(connection).write(fold(records, at, ""), at)


def everything(dsn: str, *tables: str) -> str:
    with psycopg.connect(dsn) as connection:
        rows = [connection.execute(f"SELECT t::text FROM {table} t".encode()).fetchall() for table in tables]
        values = connection.execute("SELECT value FROM delivery_audit_logs").fetchall()
    return str(rows) + str([bytes(value) for (value,) in values])


def test_erasing_customer_and_driver_leaves_it_whole(audit: str, signer: Signer) -> None:
    one, driver = filled.delivery(2), f"{OF_DRIVER}driver-2"
    project(
        audit,
        Record(*PLACE, 0, 0, one.encode(), codec.encode(a_contact(one, "Clara Q."))),
        Record(*PLACE, 1, 0, driver.encode(), codec.encode(a_contact(driver, "Ana B."))),
    )
    before = look(audit, signer)
    assert before.findings == []
    held = everything(audit, "contacts", "driver_contacts")
    assert all(word in held for word in ("Clara", "5550123", "Ana B.")), "they were there"
    project(audit, Record(*PLACE, 2, 0, one.encode(), None), Record(*PLACE, 3, 0, driver.encode(), None))
    after = look(audit, signer)
    assert (after.findings, after.rows, after.anchors) == ([], before.rows, before.anchors)
    left = everything(audit, "contacts", "driver_contacts", "delivery_audit_logs", "audit_anchors", "audit_exports")
    assert not [word for word in TOLD if word in left]
