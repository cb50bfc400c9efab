"""Anchors are written as rows come, by whoever is first, and over nothing that does not hold."""

import threading
import time
from pathlib import Path
from typing import Any

import filled
import psycopg
import pytest
from filled import ONE, as_the_owner, look
from structlog.testing import capture_logs

from projections.audit import anchors
from projections.audit.anchor import read
from projections.audit.anchors import anchor_place, anchoring
from projections.audit.keys import Signer
from projections.audit.rows import anchors_of, put, snapshot

pytestmark = pytest.mark.servers


def numbers(dsn: str) -> list[int]:
    with snapshot(dsn) as connection:
        return [anchor.number for anchor in anchors_of(connection, ONE)]


def until(true: Any, what: str) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.fixture
def key_file(tmp_path: Path, signer: Signer) -> Path:
    (tmp_path / "audit.pem").write_bytes(filled.private_pem(signer))
    return tmp_path / "audit.pem"


def test_the_projectors_thread_anchors_what_there_is(
    audit: str, signer: Signer, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "_LOOK_S", 0.05)
    with anchoring(audit, key_file):
        until(lambda: numbers(audit) == [1, 2, 3], "anchored")
        with psycopg.connect(audit) as connection:
            filled.project(connection, filled.records(31)[-1:])
    assert "anchors" not in [thread.name for thread in threading.enumerate()]
    report = look(audit, signer)
    assert (report.findings, report.anchors) == ([], 9)


def test_a_full_stretch_is_anchored_at_once_and_the_rest_when_it_is_due(audit: str, signer: Signer) -> None:
    with psycopg.connect(audit) as connection:
        assert anchor_place(connection, signer, ONE, rows=3, least=6) == []
        written = anchor_place(connection, signer, ONE, rows=3, least=3)
    assert [anchor.rows for anchor in written] == [3], "two are left"


def test_of_two_projectors_one_writes_each_anchor(audit: str, signer: Signer) -> None:
    with psycopg.connect(audit) as one, psycopg.connect(audit) as other:
        (written,) = anchor_place(one, signer, ONE)
        assert put(other, written) is False
    assert numbers(audit) == [1, 2, 3]


def test_a_broken_chain_is_told_once_and_the_others_go_on(
    audit: str, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "_LOOK_S", 0.01)
    with as_the_owner(audit) as connection:
        connection.execute("UPDATE delivery_audit_logs SET value = '\\x00' WHERE topic = 'delivery.events'"
                           " AND partition = 0 AND record_offset = 54")  # fmt: skip
    with capture_logs() as lines, anchoring(audit, key_file):
        time.sleep(1)
    assert [line for line in lines if line["event"] == "audit_broken"] == [
        {"event": "audit_broken", "log_level": "error", "topic": "delivery.events", "partition": 0, "offset": 54}
    ]
    assert numbers(audit) == [1, 2]
    with snapshot(audit) as connection:
        assert len(anchors_of(connection, ("delivery.events", 1))) == 3


def test_without_a_key_nothing_is_anchored_and_that_is_told(audit: str) -> None:
    with capture_logs() as lines, anchoring(audit, None):
        assert numbers(audit) == [1, 2]
    assert [line["event"] for line in lines] == ["audit_unanchored"]


def test_while_postgres_is_away_it_waits(key_file: Path) -> None:
    with capture_logs() as lines, anchoring("postgresql://127.0.0.1:1/x", key_file):
        until(lambda: lines, "told")
    assert {line["event"] for line in lines} == {"postgres_unreachable"}


def test_an_anchor_is_read_from_its_line_as_it_was(audit: str) -> None:
    with snapshot(audit) as connection:
        for anchor in anchors_of(connection, ONE):
            assert read(anchor.line()) == anchor
    for line in (
        "",
        "[]",
        "{}",
        '{"format":"baton-audit-anchor/1"}',
        anchor.line().replace('"number":2', '"number":"x"'),
    ):
        with pytest.raises(ValueError, match=r"."):
            read(line)
