"""Order files are read as they stand, and a mistake is told with its place."""

import csv
import io
import json
import re
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
    """The sample's first two orders, a cell of the second changed."""
    header, first, second = list(csv.reader(SAMPLE.read_text().splitlines()[:3]))
    second[header.index(column)] = value
    path = tmp_path / "orders.csv"
    with path.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, first, second])
    return path


@pytest.mark.parametrize(
    ("column", "value", "number", "reason"),
    [
        ("pickup_lat", "97.0", 5, "is 97.0; -90 to 90 is allowed"),
        ("pickup_lng", "nan", 6, "is not a number"),
        ("order_value_minor", "-1", 9, "is -1; 0 to"),
        ("order_value_minor", "1.5", 9, "'1.5' is not a whole number"),
        ("order_value_minor", "9" * 30, 9, "; 0 to"),
        ("delivery_fee_minor", "-0.01", 10, "'-0.01' is not a whole number"),
        ("dropoff_lat", "48,0", 7, "'48,0' is not a number"),
        ("dropoff_lng", "180.1", 8, "is 180.1; -180 to 180 is allowed"),
        ("dropoff_lat", "-inf", 7, "is -inf; -90 to 90 is allowed"),
        ("vehicle", "tank", 16, "'tank' is not known; any, bicycle, car, motorbike, scooter, van are"),
        ("customer_name", "a" * 5_000, 13, "has 5000 characters; at most"),
        ("store_name", "a\x00b", 4, "holds a NUL character"),
        ("arrives_s", "nan", 1, "is nan; 0 to 10000000 seconds are allowed"),
        ("arrives_s", "1e300", 1, "0 to 10000000 seconds are allowed"),
        ("arrives_s", "253402300800", 1, "0 to 10000000 seconds are allowed"),
        ("currency", "euro", 11, "at most 3 are allowed"),
        ("seller_id", "", 2, "is missing"),
        ("arrives_s", "soon", 1, "'soon' is not a number of seconds"),
        ("arrives_s", "-1", 1, "0 to 10000000 seconds are allowed"),
        ("store_name", "x" * 1_000_000, 4, "the line has more than 65536 characters"),
    ],
)
def test_a_wrong_cell_is_told_with_line_and_column(
    tmp_path: Path, column: str, value: str, number: int, reason: str
) -> None:
    path = _changed(tmp_path, column, value)
    with pytest.raises(BadOrderFile) as told:
        list(read(path))
    assert reason in str(told.value)
    assert len(str(told.value)) < 400
    assert f"line 3, column {number}" in str(told.value)


def test_a_row_with_a_cell_too_many_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    header, first, *_ = SAMPLE.read_text().splitlines()
    path.write_text(f"{header}\n{first},more\n")
    with pytest.raises(BadOrderFile, match=r"line 2, column 17: 17 cells; 16 are wanted, as in the header"):
        list(read(path))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("arrives_s,seller_id", "line 1: the header lacks the column seller_order_id"),
        ("\n" + "arrives_s", "line 1: is empty"),
        ("arrives_s;seller_id", "line 1: the columns are parted by semicolons; commas are wanted"),
        ("arrives_s\tseller_id", "line 1: the columns are parted by tabs; commas are wanted"),
        ("arrives_s,seller_id,arrives_s", "line 1, column 3: 'arrives_s' is there twice"),
    ],
)
def test_a_header_that_is_wrong_is_told(tmp_path: Path, header: str, reason: str) -> None:
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
        ("[1, 2]", "line 1, column 1: one order a line is wanted"),
        ('{"arrives_s": ' + "9" * 5_000 + "}", "line 1: no JSON that can be read: Exceeds the limit"),
        ("[" * 60_000, "line 1: no JSON that can be read"),
        ('{"arrives_s": 1}', r"line 1, column seller_id: is missing"),
        ("x" * 70_000, "line 1, column 65537: the line has more than 65536 characters"),
    ],
)
def test_a_json_line_that_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text(text + "\n")
    with pytest.raises(BadOrderFile, match=reason):
        list(read(path))


def _as_objects(count: int) -> list[dict[str, object]]:
    """The first orders of the sample, as JSON lines hold them."""
    with SAMPLE.open(newline="") as lines:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(lines)][:count]


def test_json_lines_give_the_same_orders_as_csv(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in _as_objects(5)))
    assert list(read(path)) == list(read(SAMPLE))[:5]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("orders.csv", b"\xff\xfe\x00", ": not UTF-8 text at byte 0"),
        ("orders.jsonl", b"\x80", ": not UTF-8 text at byte 0"),
        ("orders.csv", b"\x7fELF\x02\x01\x00\x00", ": line 1: the header lacks the column arrives_s"),
        ("orders.csv", None, ": no such file"),
        ("", b"", ": is a folder; a file is wanted"),
        ("orders.csv", b"", ": line 1: is empty"),
        ("orders.jsonl", b"", ": line 1: holds no orders"),
        ("orders.csv", SAMPLE.read_bytes().splitlines(True)[0], ": line 1: holds no orders"),
        ("a" * 300, b"", ": cannot be read: File name too long"),
    ],
)
def test_what_is_no_file_of_orders_is_told(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    path = tmp_path / name
    if name and len(name) < 255 and content is not None:
        path.write_bytes(content)
    with pytest.raises(BadOrderFile) as told:
        list(read(path))
    assert f"{path}{reason}" in str(told.value)


def test_a_quotation_mark_that_is_not_closed_is_told_with_the_line_where_it_opens(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    header, first, second, *rest = SAMPLE.read_text().splitlines()
    cells = second.split(",", 14)
    cells[3] = '"Anker'
    path.write_text("\n".join([header, first, ",".join(cells), *rest[:300]]) + "\n")
    with pytest.raises(BadOrderFile, match=r"line 3: "):
        list(read(path))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("pickup_lat", float("nan"), "is not a number; -90 to 90 is allowed"),
        ("pickup_lat", "far", "'far' is not a number"),
        ("pickup_lat", [1], r"\[1\] is not a number"),
        ("pickup_lat", 10**400, "is not a number that can be used"),
        ("order_value_minor", -1, "is -1; 0 to"),
        ("order_value_minor", 1.5, "1.5 is not a whole number"),
        ("store_name", 7, "7 is not text"),
        ("store_name", "\ud800", "which is no character"),
        ("cash", "perhaps", "'perhaps' is not true or false"),
        ("vehicle", 10**6 * "x", "the line has more than"),
        ("arrives_s", 10**400, "is not a number of seconds"),
        ("arrives_s", {}, "is not a number of seconds"),
        ("seller_id", None, "is missing"),
        ("colour", "red", "is unknown"),
    ],
)
def test_a_wrong_value_of_a_json_line_is_told_with_line_and_column(
    tmp_path: Path, field: str, value: object, reason: str
) -> None:
    path = tmp_path / "orders.jsonl"
    good = _as_objects(2)
    path.write_text(json.dumps(good[0]) + "\n" + json.dumps({**good[1], field: value}) + "\n")
    with pytest.raises(BadOrderFile, match=reason) as told:
        list(read(path))
    place = "65537" if "more than" in reason else rf"\d+ \({field}\)"
    assert re.search(f"orders.jsonl: line 2, column {place}: ", str(told.value))
    assert len(str(told.value)) < 400


def test_the_same_order_again_is_a_repeat_and_with_other_content_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    first, second, _ = _as_objects(3)
    path.write_text("".join(json.dumps(row) + "\n" for row in (first, second, {**first, "arrives_s": 9})))
    once, _, again = (timed.order for timed in read(path))
    assert once == again
    path.write_text("".join(json.dumps(row) + "\n" for row in (first, second, {**first, "currency": "USD"})))
    with pytest.raises(BadOrderFile, match=r"line 3, column 3 \(seller_order_id\): '1-000001' is in line 1 with other"):
        list(read(path))


def test_a_file_sent_again_repeats_its_messages_and_a_changed_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    row = _as_objects(1)[0]
    ids = []
    for value in ("2000", "2000", "2001"):
        path.write_text(json.dumps({**row, "order_value_minor": value}) + "\n")
        ids.append(next(read(path)).order.message_id)
    assert ids[0] == ids[1] != ids[2]


def test_a_file_that_a_spreadsheet_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    text = "\r\n".join(SAMPLE.read_text().splitlines()[:4]) + "\r\n\r\n"
    path.write_bytes(text.encode("utf-8-sig"))
    assert list(read(path)) == list(read(SAMPLE))[:3]
