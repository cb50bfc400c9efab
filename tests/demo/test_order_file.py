"""Order files are read as they stand, and a mistake is told with its place."""

import io
from pathlib import Path

import pytest

from deploy.demo import city
from deploy.demo.order_file import BadOrderFile, read

SAMPLE = Path(city.__file__).parent / "data" / "freiburg-evening-600.csv"


def test_the_sample_is_what_its_generator_makes() -> None:
    made = io.StringIO()
    city.write(600, made)
    assert SAMPLE.read_text() == made.getvalue()


def test_the_sample_holds_600_different_orders_within_three_hours() -> None:
    orders = list(read(SAMPLE))
    assert len({(timed.order.seller_id, timed.order.seller_order_id) for timed in orders}) == 600
    assert all(0 <= timed.arrives_s <= 3 * 3600 for timed in orders)


def _changed(tmp_path: Path, column: str, value: str) -> Path:
    header, first, second, *_ = SAMPLE.read_text().splitlines()
    cells = second.split(",", 14)
    cells[header.split(",").index(column)] = value
    path = tmp_path / "orders.csv"
    path.write_text("\n".join([header, first, ",".join(cells)]) + "\n")
    return path


@pytest.mark.parametrize(
    ("column", "value", "number", "reason"),
    [
        ("pickup_lat", "97.0", 5, "is 97.0; -90 to 90 is allowed"),
        ("pickup_lng", "nan", 6, "is not a number"),
        ("order_value_minor", "-1", 9, "is -1; 0 to"),
        ("order_value_minor", "1.5", 9, "Expected `int`"),
        ("currency", "euro", 11, "at most 3 are allowed"),
        ("seller_id", "", 2, "is missing"),
        ("arrives_s", "soon", 1, "'soon' is not a number of seconds"),
        ("arrives_s", "-1", 1, "0 to 10000000 seconds are allowed"),
        ("store_name", "x" * 1_000_000, 4, ""),
    ],
)
def test_a_wrong_cell_is_told_with_line_and_column(
    tmp_path: Path, column: str, value: str, number: int, reason: str
) -> None:
    path = _changed(tmp_path, column, value)
    with pytest.raises(BadOrderFile) as told:
        list(read(path))
    assert f"{path}: line 3" in str(told.value)
    assert reason in str(told.value)
    assert len(str(told.value)) < 400
    if column != "store_name":
        assert f"column {number} ({column})" in str(told.value)


def test_a_row_with_a_cell_too_many_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    header, first, *_ = SAMPLE.read_text().splitlines()
    path.write_text(f"{header}\n{first},more\n")
    with pytest.raises(BadOrderFile, match=r"line 2: 18 cells; 16 are wanted|line 2: 17 cells; 16 are wanted"):
        list(read(path))


@pytest.mark.parametrize(
    ("header", "reason"),
    [("arrives_s,seller_id", "line 1: the header lacks the column seller_order_id"), ("", "the header lacks")],
)
def test_a_header_that_lacks_columns_is_told(tmp_path: Path, header: str, reason: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(header + "\n")
    with pytest.raises(BadOrderFile, match=reason):
        list(read(path))


def test_a_column_nobody_knows_is_told(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(SAMPLE.read_text().splitlines()[0] + ",colour\n")
    with pytest.raises(BadOrderFile, match="line 1, column 17: 'colour' is unknown"):
        list(read(path))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"arrives_s": }', "line 1, column 15"),
        ("[1, 2]", "line 1, column 1: an object is wanted"),
        ('{"arrives_s": 1}', r"line 1, column seller_id: is missing"),
        ("x" * 70_000, "line 1: 70001 characters"),
    ],
)
def test_a_json_line_that_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text(text + "\n")
    with pytest.raises(BadOrderFile, match=reason):
        list(read(path))


def test_json_lines_give_the_same_orders_as_csv(tmp_path: Path) -> None:
    import csv
    import json

    with SAMPLE.open(newline="") as lines:
        rows = [{key: value for key, value in row.items() if value} for row in csv.DictReader(lines)][:5]
    path = tmp_path / "orders.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(read(path)) == list(read(SAMPLE))[:5]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_what_is_no_text_or_no_file_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "orders.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadOrderFile, match=r"not UTF-8 text|no such file"):
        list(read(path))
