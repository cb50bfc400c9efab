"""Whatever is changed, taken or put into the audit is found and named; what nobody touched is clean."""

from typing import Any

import filled
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from filled import ONE, as_the_owner, look

from projections.audit.anchor import read
from projections.audit.findings import Finding
from projections.audit.keys import Signer
from projections.audit.rows import anchors_of, snapshot
from projections.models.audit import AUDIT, chained

pytestmark = pytest.mark.servers
WHERE = "WHERE topic = 'delivery.events' AND partition = 0"
CHANGES = {
    "event_id": "gen_random_uuid()", "event": "'DeliveryReturned'", "audit_word": "'delivery_returned'",
    "delivery_id": "gen_random_uuid()", "driver_id": "'ben'", "version": "version + 1",
    "at": "at + interval '1 ms'", "actor_type": "'admin'", "actor_id": "'eva'", "causation_id": "gen_random_uuid()",
    "correlation_id": "'other'", "schema_id": "schema_id + 1", "body": "body || '{\"version\": 7}'",
    "prev_hash": "sha256('x')", "hash": "sha256('x')", "value": "value || '\\x00'",
}  # fmt: skip


def change(dsn: str, statement: str) -> None:
    with as_the_owner(dsn) as connection:
        assert connection.execute(statement.encode()).rowcount


def kinds(findings: list[Finding]) -> set[str]:
    return {finding.kind for finding in findings}


def at(findings: list[Finding], kind: str) -> list[int]:
    return [finding.offset for finding in findings if finding.kind == kind]


def offsets(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(f"SELECT record_offset FROM delivery_audit_logs {WHERE} ORDER BY 1".encode())
        return [offset for (offset,) in rows.fetchall()]


def test_the_untouched_table_is_clean(audit: str, signer: Signer) -> None:
    report = look(audit, signer)
    assert report.findings == []
    assert (report.rows, report.partitions, report.found, report.dropped) == (120, 3, 0, 0)
    assert (report.anchors, report.unanchored) == (6, 15)


def test_every_column_has_its_way_of_being_changed() -> None:
    assert {*CHANGES, "topic", "partition", "record_offset"} == {*AUDIT.columns}


@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_column_is_found_with_its_name(audit: str, signer: Signer, column: str) -> None:
    change(audit, f"UPDATE delivery_audit_logs SET {column} = {CHANGES[column]} {WHERE} AND record_offset = 5")
    found = [finding for finding in look(audit, signer).findings if finding.kind != "anchor"]
    assert [(finding.kind, finding.offset, finding.columns) for finding in found] == [("changed", 5, (column,))], found
    assert found[0].delivery_id
    assert column in found[0].sentence()


@pytest.mark.parametrize(("column", "value"), [("topic", "'driver.events'"), ("partition", "1")])
def test_a_row_put_elsewhere_is_found_at_both(audit: str, signer: Signer, column: str, value: str) -> None:
    change(
        audit,
        f"UPDATE delivery_audit_logs SET {column} = {value}, record_offset = 7 {WHERE} AND record_offset = 5",
    )
    found = look(audit, signer).findings
    assert {("missing", 0, 6), ("inserted", 0 if column == "topic" else 1, 7)} <= {
        (finding.kind, finding.partition, finding.offset) for finding in found
    }, found


def test_a_row_at_another_offset_is_found_by_the_anchor(audit: str, signer: Signer) -> None:
    change(audit, f"UPDATE delivery_audit_logs SET record_offset = 3 {WHERE} AND record_offset = 2")
    found = look(audit, signer).findings
    assert [(finding.kind, finding.text) for finding in found] == [
        ("anchor", "anchor 1 does not fit: the rows are not those, it was written over 20 rows, offsets 0 to 25")
    ]


def test_a_body_that_only_looks_the_same_is_found(audit: str, signer: Signer) -> None:
    change(audit, f"UPDATE delivery_audit_logs SET body = body || '{{\"more\": 1}}' {WHERE} AND record_offset = 5")
    assert [finding.columns for finding in look(audit, signer).findings] == [("body",)]


@pytest.mark.parametrize("gone", [[0], [5], [5, 6], [5, 8], [0, 1, 2, 4]])
def test_missing_rows_are_found_with_their_place(audit: str, signer: Signer, gone: list[int]) -> None:
    there = [offset for offset in offsets(audit) if offset not in gone]
    after = [min(offset for offset in there if offset > one) for one in gone]
    change(audit, f"DELETE FROM delivery_audit_logs {WHERE} AND record_offset = ANY(ARRAY{gone})")
    found = look(audit, signer).findings
    assert at(found, "missing") == sorted(set(after)), found
    assert kinds(found) == {"missing", "anchor"}


def test_rows_missing_at_the_end_are_found(audit: str, signer: Signer) -> None:
    *_, one, two, three = offsets(audit)
    change(audit, f"DELETE FROM delivery_audit_logs {WHERE} AND record_offset IN ({two}, {three})")
    found = look(audit, signer).findings
    assert [(finding.kind, finding.offset) for finding in found] == [("cut", one)]


def test_a_whole_partition_that_is_missing_is_found(audit: str, signer: Signer) -> None:
    change(audit, f"DELETE FROM delivery_audit_logs {WHERE}")
    assert kinds(look(audit, signer).findings) == {"cut", "anchor"}


def test_a_row_put_between_is_found(audit: str, signer: Signer) -> None:
    with as_the_owner(audit) as connection:
        forge(connection, after=6, at_offset=7)
    found = look(audit, signer).findings
    assert at(found, "inserted") == [7], found
    assert kinds(found) == {"inserted", "anchor"}


def test_a_row_put_at_the_end_with_a_right_looking_chain_is_found(audit: str, signer: Signer) -> None:
    last = offsets(audit)[-1]
    with as_the_owner(audit) as connection:
        forge(connection, after=last, at_offset=last + 1)
    found = look(audit, signer).findings
    assert [(finding.kind, finding.offset) for finding in found] == [("inserted", last + 1)]


def test_a_doubled_row_is_found(audit: str, signer: Signer) -> None:
    columns = ", ".join(name for name in AUDIT.columns if name != "record_offset")
    with as_the_owner(audit) as connection:
        connection.execute(
            f"INSERT INTO delivery_audit_logs (record_offset, {columns}) SELECT 7, {columns} FROM delivery_audit_logs"
            f" {WHERE} AND record_offset = 6".encode()
        )
    found = look(audit, signer).findings
    assert [(finding.offset, finding.text) for finding in found if finding.kind == "doubled"] == [
        (7, "the same row stands at offset 6")
    ], found


def test_two_rows_in_each_others_place_are_found(audit: str, signer: Signer) -> None:
    with as_the_owner(audit) as connection:
        for one, other in ((8, 7), (9, 8), (7, 9)):
            connection.execute(
                f"UPDATE delivery_audit_logs SET record_offset = {other} {WHERE} AND record_offset = {one}".encode()
            )
    found = look(audit, signer).findings
    assert at(found, "out of order") == [8, 9], found


def test_a_row_hashed_anew_is_found(audit: str, signer: Signer) -> None:
    with as_the_owner(audit) as connection:
        rehash(connection, 5, only=1)
    found = [finding for finding in look(audit, signer).findings if finding.kind != "anchor"]
    assert [(finding.kind, finding.offset) for finding in found] == [("changed", 5)]
    assert "hashed anew" in found[0].text


def test_a_chain_made_anew_from_a_changed_row_on_is_found_by_the_anchors_alone(audit: str, signer: Signer) -> None:
    with as_the_owner(audit) as connection:
        last = rehash(connection, 5)
        connection.execute("UPDATE projection_offsets SET last_hash = %s WHERE topic = %s AND partition = %s",
                           (last, *ONE))  # fmt: skip
    found = look(audit, signer).findings
    assert kinds(found) == {"anchor"}
    assert found[0].text.startswith("anchor 1 does not fit: the rows are not those")


def test_anchors_made_anew_with_another_key_are_found(audit: str, signer: Signer) -> None:
    with as_the_owner(audit) as connection:
        last = rehash(connection, 5)
        connection.execute("UPDATE projection_offsets SET last_hash = %s WHERE topic = %s AND partition = %s",
                           (last, *ONE))  # fmt: skip
        connection.execute("DELETE FROM audit_anchors")
    filled.anchor(audit, Signer(Ed25519PrivateKey.generate()), 20)
    found = look(audit, signer).findings
    assert kinds(found) == {"anchor"}
    assert "which is not among those given" in found[0].text
    assert look(audit).findings == [], "without a key there is nothing that tells"


def test_a_changed_anchor_and_a_missing_one_are_found(audit: str, signer: Signer) -> None:
    change(audit, f"UPDATE audit_anchors SET root = sha256('x') {WHERE} AND number = 1")
    texts = [finding.text for finding in look(audit, signer).findings]
    assert any("has a signature that is not of the key" in text for text in texts), texts
    assert any("anchor 2 does not go on from the one before it" in text for text in texts), texts
    filled.restore(audit)
    change(audit, f"DELETE FROM audit_anchors {WHERE} AND number = 1")
    assert [finding.text for finding in look(audit, signer).findings] == ["anchor 1 is missing"]


def test_anchors_kept_elsewhere_tell_when_the_last_ones_are_gone(audit: str, signer: Signer) -> None:
    with snapshot(audit) as connection:
        lines = [anchor.line() for anchor in anchors_of(connection, ONE)]
    outside = [read(line) for line in lines]
    assert look(audit, signer, outside=outside).findings == []
    change(audit, f"DELETE FROM audit_anchors {WHERE} AND number = {len(lines)}")
    assert look(audit, signer).findings == [], "the table alone does not tell"
    found = look(audit, signer, outside=outside).findings
    assert [finding.text for finding in found] == [f"anchor {len(lines)} of the file is not in the table"]


def test_since_the_last_anchor_only_the_newest_rows_are_looked_at(audit: str, signer: Signer) -> None:
    report = look(audit, signer, since_anchor=True)
    assert (report.findings, report.rows) == ([], 15)
    change(audit, f"UPDATE delivery_audit_logs SET actor_id = 'eva' {WHERE} AND record_offset = 5")
    assert look(audit, signer, since_anchor=True).findings == []
    last = offsets(audit)[-1]
    change(audit, f"UPDATE delivery_audit_logs SET actor_id = 'eva' {WHERE} AND record_offset = {last}")
    assert at(look(audit, signer, since_anchor=True).findings, "changed") == [last]


def test_a_trigger_that_is_off_or_gone_is_found(audit: str, signer: Signer) -> None:
    with psycopg.connect(audit, autocommit=True) as connection:
        connection.execute("ALTER TABLE delivery_audit_logs DISABLE TRIGGER audit_append_only")
        try:
            assert kinds(look(audit, signer).findings) == {"guard"}, "of the table and of each month"
        finally:
            connection.execute("ALTER TABLE delivery_audit_logs ENABLE TRIGGER audit_append_only")


def test_rows_from_before_bytes_were_kept_prove_themselves_by_their_body(audit: str, signer: Signer) -> None:
    change(audit, "UPDATE delivery_audit_logs SET value = NULL")
    found = look(audit, signer).findings
    lossy = [offset for place, offset in candidates(audit) if place == ONE]
    assert kinds(found) == {"unproved"}, found
    assert at([finding for finding in found if finding.partition == 0], "unproved") == lossy, "a zero has lost its sign"
    change(audit, f'UPDATE delivery_audit_logs SET body = body || \'{{"note": "x"}}\' {WHERE} AND record_offset = 2')
    assert 2 in at(look(audit, signer).findings, "unproved")


def candidates(dsn: str) -> list[tuple[tuple[str, int], int]]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT topic, partition, record_offset FROM delivery_audit_logs WHERE event = 'DriverCandidatesFound'"
            " ORDER BY 1, 2, 3"
        ).fetchall()
    return [((topic, partition), offset) for topic, partition, offset in rows]


def forge(connection: psycopg.Connection[Any], *, after: int, at_offset: int) -> None:
    """Puts a row with a right hash behind another."""
    columns = [name for name in AUDIT.columns if name not in ("record_offset", "prev_hash", "hash")]
    names = ", ".join(columns)
    connection.execute(
        f"INSERT INTO delivery_audit_logs (record_offset, prev_hash, hash, {names}) SELECT {at_offset}, hash,"
        f" sha256(hash || (SELECT value FROM delivery_audit_logs {WHERE} AND record_offset = 0)),"
        f" {', '.join(columns)} FROM delivery_audit_logs {WHERE} AND record_offset = {after}".encode()
    )
    sets = ", ".join(f"{name} = other.{name}" for name in columns)
    connection.execute(
        f"UPDATE delivery_audit_logs AS mine SET {sets} FROM delivery_audit_logs AS other"
        " WHERE mine.topic = 'delivery.events' AND mine.partition = 0 AND other.topic = mine.topic"
        f" AND other.partition = 0 AND other.record_offset = 0 AND mine.record_offset = {at_offset}".encode()
    )


def rehash(connection: psycopg.Connection[Any], first: int, only: int = 1_000) -> bytes:
    """Writes another reason into an event and makes the chain anew from there on; gives its last hash."""
    rows = connection.execute(
        f"SELECT record_offset, prev_hash, hash, value FROM delivery_audit_logs {WHERE} AND record_offset >= {first}"
        " ORDER BY record_offset".encode()
    ).fetchall()
    running = rows[0][1]
    for offset, _, _, value in rows[:only]:
        if offset == first:
            value = value.replace(b"corr-", b"corr=")
        previous, running = running, chained(running, value)
        connection.execute(
            f"UPDATE delivery_audit_logs SET prev_hash = %s, hash = %s, value = %s {WHERE}"
            " AND record_offset = %s".encode(),
            (previous, running, value, offset),
        )
    connection.execute(
        "UPDATE delivery_audit_logs SET correlation_id = replace(correlation_id, '-', '='),"
        " body = jsonb_set(body, '{correlation_id}', to_jsonb(replace(correlation_id, '-', '=')))"
        f" {WHERE} AND record_offset = {first}".encode()
    )
    return running
