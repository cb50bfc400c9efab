"""Records to bytes and back, what is refused, and ids that follow from what they name."""

import contextlib
import re
import string
import uuid
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dispatch.contract import codec, identity, limits, topics
from dispatch.contract.errors import ContractError, OutOfLimits, Undecodable, UnknownSchema
from dispatch.contract.personal import split
from dispatch.contract.records.delivery_events import DriverCandidatesFound
from dispatch.contract.records.inbound import InboundOrderReady
from dispatch.contract.records.shared import Candidate

KINDS = list(codec.RECORD_TYPES.values())
GOOD = InboundOrderReady(
    message_id="m", seller_id="s", seller_order_id="o", store_name="S", pickup_lat=1.0, pickup_lng=2.0,
    dropoff_lat=48.01234, dropoff_lng=7.98765, order_value_minor=1, delivery_fee_minor=1, currency="EUR",
    placed_at_ms=1, customer_name="Clara", customer_phone="123",
)  # fmt: skip


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    if kind is str:
        return st.text(string.printable, max_size=20)
    if kind is int:
        return st.integers(-(2**31), 2**31 - 1)
    if kind is float:
        return st.floats(allow_nan=False)
    if kind is bool:
        return st.booleans()
    if kind is bytes:
        return st.binary(max_size=20)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return records(kind)
    arguments = get_args(kind)
    if type(None) in arguments:
        return st.none() | values(next(argument for argument in arguments if argument is not type(None)))
    origin = getattr(kind, "__origin__", None)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
    return st.sampled_from(arguments)


def blank(kind: type[msgspec.Struct], /, **given: Any) -> Any:
    """A record of nothing else, which limits pass over."""
    return kind(**dict.fromkeys(kind.__struct_fields__) | given)


def records(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.fixed_dictionaries({name: values(hints[name]) for name in kind.__struct_fields__}).map(
        lambda fields: kind(**fields)
    )


@settings(max_examples=6, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_record_comes_back_as_it_was(kind: Any, data: st.DataObject) -> None:
    record = data.draw(records(kind))
    assert codec.decode(codec.encode(record)) == record


@settings(max_examples=12, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_written_is_what_the_library_writes(kind: Any, data: st.DataObject) -> None:
    record, writer = data.draw(records(kind)), codec._writer(kind)
    assert writer.compiled(record) == codec._write_by_library(writer, record)


@given(
    text=st.builds(str.__mul__, st.text(max_size=60), st.integers(1, 60)),
    number=st.integers(-(2**63), 2**63 - 1),
    place=st.floats(allow_nan=False),
)
def test_texts_and_numbers_of_any_size_are_written_as_the_library_writes_them(
    text: str, number: int, place: float
) -> None:
    record, writer = replace(GOOD, store_name=text, placed_at_ms=number, pickup_lat=place), codec._writer(type(GOOD))
    assert writer.compiled(record) == codec._write_by_library(writer, record)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("store_name", None), ("store_name", 5), ("store_name", "\ud800"), ("placed_at_ms", 2**63),
        ("placed_at_ms", "1"), ("placed_at_ms", None), ("vehicle", "submarine"),
    ],
)  # fmt: skip
def test_what_avro_cannot_carry_is_refused_as_the_library_refuses_it(field: str, value: Any) -> None:
    record, writer = replace(GOOD, **{field: value}), codec._writer(type(GOOD))
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever it is
        codec._write_by_library(writer, record)
    with pytest.raises(theirs.type) as ours:
        codec.encode(record)
    assert str(ours.value) == str(theirs.value)


def outcome(read: Any, *arguments: Any) -> str:
    """What came of it, or what was said to be wrong."""
    try:
        return repr(read(*arguments))
    except ContractError as error:
        return re.sub(r"0x[0-9a-f]+", "", f"{type(error).__name__} {error.reason} {error.place}")


@settings(max_examples=12, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_read_is_what_the_library_reads_of_whatever_bytes(kind: Any, data: st.DataObject) -> None:
    written = codec.encode(data.draw(records(kind)))
    reader = codec._reader(codec.schema_id(kind))
    assert reader.compiled is not None
    assert repr(reader.compiled(written)) == repr(codec._read_by_library(reader, written))
    torn = bytearray(written)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(5, len(torn) - 1)) if len(torn) > 5 else 0
        match data.draw(st.sampled_from(("change", "drop", "put", "cut"))):
            case "change" if place:
                torn[place] = data.draw(st.integers(0, 255))
            case "drop" if place:
                del torn[place]
            case "put":
                torn[place or 5 : place or 5] = data.draw(st.binary(min_size=1, max_size=12))
            case _:
                del torn[max(place, 5) :]
    assert outcome(codec.decode, bytes(torn)) == outcome(codec._read_by_library, reader, bytes(torn))


@settings(max_examples=300, deadline=None)
@given(junk=st.binary(max_size=60), id_=st.integers(0, 120))
def test_no_bytes_raise_anything_but_a_contract_error(junk: bytes, id_: int) -> None:
    for data in (junk, b"\x00" + id_.to_bytes(4, "big") + junk):
        with contextlib.suppress(ContractError):
            assert isinstance(codec.decode_checked(data), msgspec.Struct)


@pytest.mark.parametrize(
    ("data", "kind", "place"),
    [
        (None, Undecodable, "byte 0"),
        (b"", Undecodable, "byte 0"),
        (b"\x01\x00\x00\x00\x01x", Undecodable, "byte 0"),
        (b"\x00\x00\x00\xff\xffx", UnknownSchema, "bytes 1-4"),
        (codec.encode(GOOD)[:-3], Undecodable, "byte"),
        (codec.encode(GOOD) + b"xx", Undecodable, "byte"),
    ],
)
def test_bytes_that_are_no_record_are_told_with_their_place(data: bytes | None, kind: type, place: str) -> None:
    with pytest.raises(kind) as told:
        codec.decode(data)
    assert place in told.value.place  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("pickup_lat", float("nan"), "is not a number"),
        ("pickup_lat", float("inf"), "is inf"),
        ("pickup_lng", -180.1, "is -180.1"),
        ("order_value_minor", -1, "is -1"),
        ("currency", "eur", "the form"),
        ("store_name", "x" * 1_000_000, "has 1000000 characters"),
        ("store_name", "a\x00b", "NUL"),
        ("placed_at_ms", 9_999_999_999_999, "is 9999999999999"),
        ("vehicle", "UNKNOWN", "not a value"),
        ("seller_id", "a b", "the form"),
        ("seller_id", "", "the form"),
        ("prep_s", -1, "is -1"),
    ],
)
def test_a_value_out_of_limits_is_told_with_its_field(field: str, value: Any, said: str) -> None:
    with pytest.raises(OutOfLimits) as told:
        limits.check(replace(GOOD, **{field: value}))
    assert told.value.place == field
    assert said in told.value.reason
    assert len(str(told.value)) < 300


def test_limits_reach_into_nested_records() -> None:
    from dispatch.contract.records.delivery_commands import PlaceOrder

    _, order, _ = split(GOOD)
    command = PlaceOrder(
        command_id=identity.derived("x"), delivery_id=identity.derived("y"), at_ms=1, actor_type="order_service",
        actor_id="s", correlation_id="c", order=replace(order, pickup_lat=91.0),
    )  # fmt: skip
    with pytest.raises(OutOfLimits) as told:
        limits.check(command)
    assert told.value.place == "order.pickup_lat"
    seen = (blank(Candidate), blank(Candidate, distance_m=1))
    limits.check(blank(DriverCandidatesFound, candidates=seen))
    seen = (blank(Candidate), blank(Candidate, distance_m=-1))
    with pytest.raises(OutOfLimits) as told:
        limits.check(blank(DriverCandidatesFound, candidates=seen))
    assert told.value.place == "candidates[1].distance_m"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_quick_judgement_is_that_of_the_one_that_names_what_is_wrong(kind: type[msgspec.Struct]) -> None:
    limited = 0
    for field in limits._all_fields()[kind.__name__]:
        tried: list[Any] = [float("nan"), 0, "UNKNOWN", "car", identity.derived("x"), "EUR", "a b", "a\x00", ""]
        if "min" in field:
            tried = [field["min"], field["max"], field["min"] - 1, field["max"] + 1, float("nan"), float("inf")]
        elif "max_len" in field:
            tried = [one for one in tried if isinstance(one, str)]
            tried += ["a" * field["max_len"], "a" * (field["max_len"] + 1)]
        elif not field.get("known"):
            continue
        for value in tried:
            record = blank(kind, **{field["name"]: value})
            wrong = False
            try:
                limits._check(record, "")
            except OutOfLimits:
                wrong = True
            assert limits._all_within(kind)(record) is not wrong, (field["name"], value)
            limited += wrong
    assert limited


def test_ids_are_version_5_and_follow_from_their_parts() -> None:
    assert identity.derived("a", "b") == str(uuid.uuid5(identity.NAMESPACE, "a\x1fb"))
    assert uuid.UUID(identity.event_id("x", 1)).version == 5
    assert len({identity.delivery_id("a", "bc"), identity.delivery_id("ab", "c"), identity.event_id("a", 1)}) == 3


def test_an_order_is_parted_from_its_contact_and_tells_another_contact_apart() -> None:
    name, order, contact = split(GOOD)
    assert (order.dropoff_lat, order.dropoff_lng) == (48.012, 7.988)
    assert (contact.subject_id, contact.lat, contact.name) == (name, 48.01234, "Clara")
    assert "Clara" not in repr(order)
    assert split(replace(GOOD, customer_phone="456"))[1].contact_digest != order.contact_digest
    assert split(replace(GOOD, message_id="other"))[1] == order


def test_topics_keyed_alike_have_the_same_partitions_and_compacted_ones_keep_the_last() -> None:
    keyed = {
        topics.partitions_of(topic, keyed=8, replies=16) for topic in topics.CATALOGUE if topic.partitions == "keyed"
    }
    assert keyed == {8}
    assert topics.partitions_of(topics.REPLIES, keyed=8, replies=16) == 16
    assert topics.partitions_of(topics.POLICIES, keyed=8, replies=16) == 1
    assert topics.DELIVERY_STATE.settings()["cleanup.policy"] == "compact"
    assert topics.DELIVERY_EVENTS.settings()["retention.ms"] == "-1"
    assert len({topic.name for topic in topics.CATALOGUE}) == len(topics.CATALOGUE)
