"""Views and tables as files: the same figures in DuckDB as in Postgres, whole or not at all, and nothing personal."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest
from histories import START_MS, History, folded

from projections import export as exports
from projections.analytics.document import main
from projections.migrate import down, up

START = datetime.fromtimestamp(START_MS / 1000, UTC)
ALL = (START - timedelta(days=1), START + timedelta(days=9))
PERSONAL = {"contacts", "driver_contacts", "tracking_links", "notices", "webhook_endpoints", "webhook_messages",
            "idempotent_answers", "delivery_audit_logs", "dead_letters"}  # fmt: skip


@pytest.fixture(scope="module")
def filled(database: str) -> Iterator[str]:
    up(database)
    folded(database, History(21, 150, 100).events)
    yield database
    down(database)


def exported(dsn: str, name: str, path: Path, form: exports.Form = "parquet", period: Any = (None, None)) -> int:
    with exports.snapshot(dsn) as connection:
        return exports.export(connection, exports.sources()[name], path, form, period)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("name", "sums"),
    [
        ("offers", "count(*), sum(response_ms)::bigint, count(DISTINCT zone), max(sent_at)::text"),
        ("assignments", "count(*), sum(search_ms)::bigint, count(DISTINCT driver_id), min(assigned_at)::text"),
        ("economics_rollup", "count(*), sum(net_minor)::bigint, sum(deliveries)::bigint"),
        ("driver_availability_history", "count(*), max(\"at\")::text, count(DISTINCT to_state)"),
        ("deliveries", "count(*), count(ended_at), sum(ready_to_end_s)::bigint, count(DISTINCT delivery_id)"),
    ],
)  # fmt: skip
def test_duckdb_sums_a_file_as_postgres_sums_the_rows(filled: str, tmp_path: Path, name: str, sums: str) -> None:
    path = tmp_path / f"{name}.parquet"
    rows = exported(filled, name, path)
    with exports.snapshot(filled) as connection:
        schema = exports.sources()[name].schema
        wanted = connection.execute(f"SELECT {sums} FROM {schema}.{name}".encode()).fetchone()
    with duckdb.connect() as duck:
        duck.execute("SET TimeZone = 'UTC'")
        seen = duck.execute(f"SELECT {sums} FROM '{path}'").fetchone()
    assert wanted is not None
    assert seen == wanted
    assert rows == wanted[0] > 0


@pytest.mark.servers
@pytest.mark.parametrize("name", exports.sources())
def test_everything_that_is_listed_can_be_exported_in_both_forms(filled: str, tmp_path: Path, name: str) -> None:
    source = exports.sources()[name]
    period = ALL if source.time or source.by_session else (None, None)
    counts = {exported(filled, name, tmp_path / f"{name}.{form}", form, period) for form in ("parquet", "csv")}
    assert len(counts) == 1
    table = pq.read_table(tmp_path / f"{name}.parquet")
    assert table.num_rows in counts
    with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == table.column_names
    assert len(lines) - 1 in counts
    assert not set(table.column_names) & {"note", "review_reason"}
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.parquet", f"{name}.csv"}


@pytest.mark.servers
def test_columns_keep_their_types(filled: str, tmp_path: Path) -> None:
    exported(filled, "offers", tmp_path / "offers.parquet")
    exported(filled, "acceptance_by_zone", tmp_path / "a.parquet", "parquet", ALL)
    offers, sums = pq.read_schema(tmp_path / "offers.parquet"), pq.read_schema(tmp_path / "a.parquet")
    kinds = {name: str(offers.field(name).type) for name in ("sent_at", "response_ms", "pickup_distance_m", "outcome")}
    assert kinds["sent_at"] == "timestamp[us, tz=UTC]"
    assert kinds["response_ms"] == "int64"
    assert kinds["pickup_distance_m"] == "int32"
    assert kinds["outcome"].startswith("dictionary<values=string")
    assert str(sums.field("acceptance_percent").type) == "decimal128(20, 4)"


@pytest.mark.servers
def test_a_time_is_kept_to_by_views_and_by_tables(filled: str, tmp_path: Path) -> None:
    half = (START, START + timedelta(hours=15))
    for name, time in (("offers", "sent_at"), ("assignments", "assigned_at")):
        part = exported(filled, name, tmp_path / "part.parquet", "parquet", half)
        assert 0 < part < exported(filled, name, tmp_path / "all.parquet")
        column = pq.read_table(tmp_path / "part.parquet").column(time).to_pylist()
        assert all(half[0] <= at < half[1] for at in column)
    early = exported(filled, "completion_over_time", tmp_path / "c.parquet", "parquet", half)
    assert 0 < early <= 16
    with pytest.raises(exports.NotExported, match="tells of now"):
        exported(filled, "unassigned_now", tmp_path / "now.parquet", "parquet", half)


@pytest.mark.servers
def test_a_file_is_whole_or_what_it_was_before(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "ROWS", 40)
    path = tmp_path / "offers.csv"
    path.write_text("before")

    def stop(rows: int) -> None:
        if rows > 40:
            raise OSError(28, "No space left on device")

    with exports.snapshot(filled) as connection, pytest.raises(OSError, match="No space left"):
        exports.export(connection, exports.sources()["offers"], path, "csv", (None, None), stop)
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["offers.csv"]


@pytest.mark.servers
def test_no_more_rows_than_a_lot_are_held_and_all_come(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ROWS", 25)
    seen: list[int] = []
    with exports.snapshot(filled) as connection:
        source = exports.sources()["offers"]
        rows = exports.export(connection, source, tmp_path / "o.parquet", "parquet", (None, None), seen.append)
    assert seen[:3] == [25, 50, 75]
    file = pq.ParquetFile(tmp_path / "o.parquet")
    assert file.metadata.num_row_groups == len(seen) == -(-rows // 25)


@pytest.mark.servers
def test_the_moment_of_several_files_is_one(filled: str, tmp_path: Path) -> None:
    with exports.snapshot(filled) as connection:
        source = exports.sources()["driver_zone_preferences"]
        first = exports.export(connection, source, tmp_path / "1.csv", "csv", (None, None))
        with psycopg.connect(filled) as other:
            other.execute(
                "INSERT INTO driver_zone_preferences VALUES ('ana', 'north', 'PREFERRED', now(), 'driver', 'ana')"
            )
        second = exports.export(connection, source, tmp_path / "2.csv", "csv", (None, None))
    with psycopg.connect(filled) as other:
        other.execute("DELETE FROM driver_zone_preferences")
    assert (first, second) == (0, 0)


@pytest.mark.servers
def test_what_is_personal_is_not_in_the_list_and_an_analyst_could_read_the_views(filled: str) -> None:
    known = exports.sources()
    assert not set(known) & PERSONAL
    with psycopg.connect(filled) as connection:
        for source in known.values():
            if source.schema == "public":  # tables are exported by their owner
                continue
            allowed = connection.execute(
                "SELECT has_table_privilege('baton_analyst', %s, 'SELECT')", (f"{source.schema}.{source.name}",)
            ).fetchone()
            assert allowed == (True,), source.name


def test_the_page_of_the_views_is_made_from_their_heads() -> None:
    assert main(["--check"]) == 0
