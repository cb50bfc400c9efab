"""One delivery looked at by itself, and the whole table beside the log."""

import filled
import pytest
from filled import ONE, as_the_owner

from dispatch.log.application import Record
from projections.audit.against_log import compare
from projections.audit.delivery import look
from projections.audit.keys import Known, Signer
from projections.audit.rows import noted, snapshot
from projections.audit.verify import Report

pytestmark = pytest.mark.servers
MINE, ANOTHERS = filled.delivery(2), filled.delivery(4)
WHERE = "WHERE topic = 'delivery.events' AND partition = 0"


def of(dsn: str, delivery_id: str, signer: Signer) -> Report:
    with snapshot(dsn) as connection:
        return look(connection, delivery_id, Known(signer.public))


def beside(dsn: str, log: list[Record]) -> Report:
    with snapshot(dsn) as connection:
        return compare(connection, noted(connection, ""), log, "")


def change(dsn: str, statement: str) -> None:
    with as_the_owner(dsn) as connection:
        assert connection.execute(statement.encode()).rowcount


def test_one_delivery_is_clean(audit: str, signer: Signer) -> None:
    report = of(audit, MINE, signer)
    assert (report.findings, report.rows, report.anchors) == ([], 3, 3)


def test_one_that_is_not_known_has_no_rows(audit: str, signer: Signer) -> None:
    assert of(audit, filled.delivery(1_000), signer).rows == 0


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE delivery_audit_logs SET actor_id = 'eva' WHERE delivery_id = '{MINE}' AND version = 2",
        f"UPDATE delivery_audit_logs SET value = value || '\\x00' WHERE delivery_id = '{MINE}' AND version = 2",
        f"DELETE FROM delivery_audit_logs WHERE delivery_id = '{MINE}' AND version = 1",
        f"DELETE FROM delivery_audit_logs WHERE delivery_id = '{MINE}' AND version = 2",
        f"UPDATE audit_anchors SET root = sha256('x') {WHERE} AND number = 1",
    ],
    ids=["column", "bytes", "first", "middle", "anchor"],
)
def test_what_is_done_to_one_delivery_is_found_in_it(audit: str, signer: Signer, statement: str) -> None:
    change(audit, statement)
    assert of(audit, MINE, signer).findings


def test_what_is_done_to_another_delivery_is_not_laid_to_this_one(audit: str, signer: Signer) -> None:
    change(audit, f"UPDATE delivery_audit_logs SET actor_id = 'eva' WHERE delivery_id = '{ANOTHERS}'")
    assert of(audit, MINE, signer).findings == []
    assert len(of(audit, ANOTHERS, signer).findings) == 3


def test_the_table_is_the_log(audit: str) -> None:
    report = beside(audit, filled.records(30))
    assert (report.findings, report.rows, report.dropped, report.partitions) == ([], 120, 0, 3)


def test_a_log_that_begins_later_is_compared_from_there(audit: str) -> None:
    report = beside(audit, [record for record in filled.records(30) if record.offset >= 10])
    assert (report.findings, report.rows, report.dropped) == ([], 96, 24)


def test_a_chain_made_anew_is_found_by_the_log(audit: str) -> None:
    change(
        audit,
        f"UPDATE delivery_audit_logs SET value = value || '\\x00', hash = sha256('x') {WHERE} AND record_offset > 30",
    )
    found = beside(audit, filled.records(30)).findings
    assert {finding.kind for finding in found} == {"changed"}
    assert found[0].offset > 30
    assert len(found) == 21


def test_rows_without_bytes_are_proved_by_the_log(audit: str) -> None:
    change(audit, "UPDATE delivery_audit_logs SET value = NULL")
    assert beside(audit, filled.records(30)).findings == []


def test_missing_rows_and_rows_that_were_never_said_are_found_by_the_log(audit: str) -> None:
    change(audit, f"DELETE FROM delivery_audit_logs {WHERE} AND record_offset = 5")
    change(audit, f"UPDATE delivery_audit_logs SET record_offset = 7 {WHERE} AND record_offset = 6")
    found = [(finding.kind, finding.offset) for finding in beside(audit, filled.records(30)).findings]
    assert found == [("missing", 5), ("missing", 6), ("log", 7)]


def test_what_the_projector_has_not_read_yet_is_not_missed(audit: str) -> None:
    more = [record for record in filled.records(33) if (record.topic, record.partition) == ONE]
    assert len(more) > len([record for record in filled.records(30) if (record.topic, record.partition) == ONE])
    assert beside(audit, more).findings == []
