"""A row proves itself: of every event, whatever it holds, under every version of its schema."""

import string
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.contract import codec, registry
from dispatch.contract.errors import ContractError
from dispatch.contract.records.delivery_events import AssignmentStarted
from projections.audit import proof
from projections.models.audit import WORDS, row

PLACE = ("delivery.events", 0, 7)
VERSIONS = [
    pytest.param(kind, known.id, id=f"{kind.__name__}-{known.version}")
    for kind in WORDS
    for known in registry.registered()
    if known.subject == codec.subject(kind)
]


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(string.printable + "äß☃", max_size=20), int: st.integers(-(2**31), 2**31 - 1),
        float: st.floats(), bool: st.booleans(), bytes: st.binary(max_size=20), type(None): st.none(),
    }  # fmt: skip
    if kind in simple:
        return simple[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {name: values(hint) for name, hint in get_type_hints(kind).items()}
        if "at_ms" in fields:
            fields["at_ms"] = st.integers(0, 4_102_444_800_000)
        return st.builds(kind, **fields)
    arguments = get_args(kind)
    if kind is not None and getattr(kind, "__origin__", None) is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if all(isinstance(one, str) for one in arguments):
        return st.sampled_from(arguments)
    return st.one_of([values(one) for one in arguments])


def stored(event: Any, value: bytes) -> dict[str, Any]:
    """The row as Postgres gives it back: JSON knows one zero, and no number that is none."""
    made = row(event, value, PLACE, b"before")
    body = msgspec.json.decode(made["body"])
    return {**made, "body": unsigned(body)}


def unsigned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: unsigned(one) for name, one in value.items()}
    if isinstance(value, list):
        return [unsigned(one) for one in value]
    return 0.0 if isinstance(value, float) and value == 0 else value


@pytest.mark.parametrize(("kind", "schema_id"), VERSIONS)
def test_the_row_of_every_event_fits_its_bytes(kind: Any, schema_id: int) -> None:
    @settings(max_examples=15, deadline=None)
    @given(values(kind))
    def fits(event: Any) -> None:
        try:
            value = codec.written_as(msgspec.to_builtins(event, builtin_types=(bytes,)), schema_id)
        except ContractError:  # an older version lacks a word of an enum
            return
        read = codec.decode(value)
        kept = stored(read, value)
        assert kept["schema_id"] == schema_id
        assert proof.misfits(kept, value) == []
        assert proof.misfits({**kept, "body": {**kept["body"], "version": kept["version"] + 1}}, value) == ["body"]
        if (again := proof.rebuilt(kept)) is not None:
            assert again == value
        else:
            assert lossy(read, value, schema_id), "the body holds all that the bytes hold"

    fits()


def lossy(event: Any, value: bytes, schema_id: int) -> bool:
    """Whether JSON in Postgres, or our version of the schema, loses something of these bytes."""
    body = unsigned(msgspec.json.decode(msgspec.json.encode(event)))
    try:
        return codec.written_as(body, schema_id) != value
    except ContractError:
        return True


@settings(deadline=None)
@given(values(AssignmentStarted))
def test_a_body_as_an_older_release_read_it_fits(event: Any) -> None:
    kind = AssignmentStarted
    oldest, *_, newest = [known.id for known in registry.registered() if known.subject == codec.subject(kind)]
    value = codec.encode(event)
    assert codec.schema_id_in(value) == newest
    older = {**stored(event, value), "body": msgspec.to_builtins(codec.read_as(value, oldest))}
    assert older["body"].keys() < stored(event, value)["body"].keys()
    assert proof.misfits(older, value) == []
    assert proof.misfits({**older, "body": {**older["body"], "radius_m": -1}}, value) == ["body"]


def test_true_is_not_one_and_an_object_has_its_names() -> None:
    assert proof.same({"a": [1, 2.0, None]}, {"a": [1.0, 2, None]})
    assert not proof.same({"a": 1}, {"a": True})
    assert not proof.same({"a": 0}, {"a": False})
    assert not proof.same({"a": None}, {})
    assert not proof.same([1], [1, 1])


@settings(deadline=None)
@given(values(AssignmentStarted))
def test_bytes_that_are_no_event_are_told_apart(event: Any) -> None:
    kept = stored(event, codec.encode(event))
    assert proof.misfits(kept, b"") == ["value"]
    assert proof.misfits(kept, codec.encode(event) + b"\x00") == ["value"]
    assert proof.rebuilt({**kept, "event": "Nothing"}) is None
