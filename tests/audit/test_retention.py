"""When old months are dropped the audit goes on from an anchor; what else is missing is still found."""

from collections.abc import Iterator
from datetime import UTC, datetime

import filled
import psycopg
import pytest
from filled import ONE, as_the_owner, look

from projections.audit.keys import Signer
from projections.migrate import down, up

pytestmark = pytest.mark.servers
MONTH = datetime(2026, 10, 1, tzinfo=UTC)
HOUR_MS = 3_600_000


def begun(number: int) -> int:
    """An hour between deliveries, the month ends in the midst, and every third one is told late."""
    return int(MONTH.timestamp() * 1000) + (number - 16 - 3 * (number % 3 == 0)) * HOUR_MS


@pytest.fixture
def two_months(database: str, signer: Signer) -> Iterator[str]:
    up(database)
    with psycopg.connect(database) as connection:
        filled.project(connection, filled.records(30, begun))
    filled.anchor(database, signer, 10)
    yield database
    down(database)


def drop_the_older(dsn: str) -> int:
    with as_the_owner(dsn) as connection:
        return connection.execute("DELETE FROM delivery_audit_logs WHERE at < %s", (MONTH,)).rowcount


def test_the_month_that_is_kept_is_clean_and_what_was_dropped_is_said(two_months: str, signer: Signer) -> None:
    assert look(two_months, signer).findings == []
    dropped = drop_the_older(two_months)
    report = look(two_months, signer)
    assert report.findings == []
    assert (report.dropped, report.rows, report.kept_from) == (dropped, 120 - dropped, MONTH)


def test_the_chain_goes_on_from_the_anchor_where_the_month_ends_with_it(two_months: str, signer: Signer) -> None:
    with as_the_owner(two_months) as connection:
        for topic, partition in filled.PLACES:
            connection.execute(
                "DELETE FROM delivery_audit_logs WHERE topic = %s AND partition = %s AND record_offset <="
                " (SELECT last_offset FROM audit_anchors WHERE topic = %s AND partition = %s AND number = 1)",
                (topic, partition, topic, partition),
            )
        dropped = connection.execute("DELETE FROM delivery_audit_logs WHERE at < %s", (MONTH,)).rowcount
    assert dropped
    assert look(two_months, signer).findings == []


def test_what_is_missing_from_the_kept_month_is_found(two_months: str, signer: Signer) -> None:
    drop_the_older(two_months)
    with as_the_owner(two_months) as connection:
        connection.execute(
            "DELETE FROM delivery_audit_logs WHERE topic = %s AND partition = %s AND record_offset = 50", ONE
        )
    found = look(two_months, signer).findings
    assert {(finding.kind, finding.offset) for finding in found} >= {("missing", 52)}
    assert {finding.kind for finding in found} == {"missing", "anchor"}


def test_what_is_changed_where_the_month_was_cut_is_found(two_months: str, signer: Signer) -> None:
    drop_the_older(two_months)
    with as_the_owner(two_months) as connection:
        offset = connection.execute(
            "UPDATE delivery_audit_logs SET actor_id = 'eva' WHERE (topic, partition, record_offset) = (SELECT topic,"
            " partition, min(record_offset) FROM delivery_audit_logs WHERE topic = %s AND partition = %s"
            " GROUP BY topic, partition) RETURNING record_offset", ONE,
        ).fetchone()  # fmt: skip
    assert [(finding.kind, finding.offset) for finding in look(two_months, signer).findings] == [("changed", *offset)]


def test_rows_dropped_within_the_first_month_are_no_retention(two_months: str, signer: Signer) -> None:
    with as_the_owner(two_months) as connection:
        connection.execute("DELETE FROM delivery_audit_logs WHERE partition = 0 AND record_offset < 3")
    kinds = {finding.kind for finding in look(two_months, signer).findings}
    assert kinds == {"missing", "anchor"}
