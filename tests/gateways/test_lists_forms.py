"""Forms of lists, without servers: cursors that come back, cursors that are refused, cells that are no formulas."""

import base64
import csv
import io
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.contract import codec, identity
from dispatch.contract.records.delivery_commands import RejectOffer
from dispatch.contract.records.system import DeadLetter
from gateways.operations import csv_form, cursors
from gateways.operations.letter_desk import content_of
from gateways.problems import Problem
from projections.queries_paging import Key, Ordering, Type

KINDS: dict[Type, st.SearchStrategy[Any]] = {
    "timestamptz": st.datetimes(timezones=st.just(UTC)),
    "uuid": st.uuids(),
    "text": st.text(st.characters(blacklist_characters="\x00", blacklist_categories=("Cs",)), max_size=60),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "float8": st.floats(allow_nan=False, allow_infinity=False),
}
EVERY = Ordering(tuple(Key(f"c{number}", kind) for number, kind in enumerate(KINDS)))
KEYS = (datetime(2026, 3, 1, 12, 30, 1, 123457, UTC), uuid.UUID(int=7), "ana", -3, True, 0.1)


@given(st.tuples(*KINDS.values()))
def test_a_cursor_comes_back_as_it_was_given(keys: tuple[Any, ...]) -> None:
    cursor = cursors.write("list", EVERY, keys)
    assert cursor is not None
    assert cursor.isascii()
    back = cursors.read("list", EVERY, cursor)
    assert back == tuple(str(key) if isinstance(key, uuid.UUID) else key for key in keys)


@given(st.text(max_size=300))
def test_whatever_was_not_given_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        cursors.read("list", EVERY, text)
    assert (caught.value.status, caught.value.code) == (422, "bad_cursor")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_cursor_with_one_byte_changed_is_refused(place: int, change: int) -> None:
    cursor = cursors.write("list", EVERY, KEYS) or ""
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[place % len(raw)] ^= change
    with pytest.raises(Problem):
        cursors.read("list", EVERY, base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="))


def test_a_cursor_of_another_list_filter_or_order_is_refused() -> None:
    cursor = cursors.write("list zone=a", EVERY, KEYS)
    downwards = Ordering(EVERY.keys, descending=True)
    for question, ordering in (("list zone=b", EVERY), ("other zone=a", EVERY), ("list zone=a", downwards)):
        with pytest.raises(Problem):
            cursors.read(question, ordering, cursor)
    with pytest.raises(Problem):
        cursors.read("list zone=a", EVERY, f"{cursor}" * 20)
    assert cursors.read("list zone=a", EVERY, None) is None
    assert cursors.write("list zone=a", EVERY, None) is None


@given(st.text(max_size=40))
def test_no_text_in_a_cell_begins_a_formula(text: str) -> None:
    said = csv_form.cell(text)
    assert not said.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))
    assert said.removeprefix("'") == text.removeprefix("'") or said == text
    ((head,), (cell,)) = csv.reader(
        io.StringIO(csv_form.text([{"a": "x" + text.replace("\x00", "")}], ["a"]), newline="")
    )
    assert (head, cell) == ("a", "x" + text.replace("\x00", ""))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"), ("  +1", "'  +1"), ("\t@SUM", "'\t@SUM"), ("Anker", "Anker"), (None, ""),
        (-3, "-3"), (True, "true"), (datetime(2026, 1, 2, 4, tzinfo=timezone(timedelta(hours=1))),
        "2026-01-02T03:00:00.000Z"),
    ],
    ids=["formula", "after blanks", "after a tab", "a name", "nothing", "a number", "a word of truth", "a time"],
)  # fmt: skip
def test_cells(value: Any, cell: str) -> None:
    assert csv_form.cell(value) == cell


def test_of_a_dead_letter_s_content_what_people_wrote_is_left_out() -> None:
    name = identity.derived("x")
    command = RejectOffer(
        command_id=name, delivery_id=name, at_ms=1, actor_type="driver", actor_id="ana", correlation_id="x",
        offer_id=name, driver_id="ana", reason="other", note="Clara Q. was rude",
    )  # fmt: skip
    value = codec.encode(command)
    letter = DeadLetter(
        source_topic="t.delivery.commands", partition=0, offset=1, key=b"k", value=value, value_bytes=len(value),
        error="BadRecord", reason="r", place="p", at_ms=1, worker="w",
    )  # fmt: skip
    shown = content_of("delivery.commands", letter)
    assert shown is not None
    assert (shown["fields"]["driver_id"], shown["fields"]["note"]) == ("ana", None)
    assert content_of("orders.inbound", letter) is None
    assert content_of("driver.locations", letter) is None
