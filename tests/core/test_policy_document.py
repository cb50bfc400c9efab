"""A policy as a document: every mistake is named with field, value seen and value wanted, and nothing else passes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.core.policy import Policy, scaled
from dispatch.core.policy_document import (
    BY_ZONE,
    PolicyRefused,
    contradictions,
    differences,
    flat,
    parse,
    schema,
    whole,
)  # fmt: skip

DOCS = Path(__file__).parents[2] / "docs"


def refused(document: Any) -> str:
    with pytest.raises(PolicyRefused) as error:
        parse(document)
    return error.value.reason


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"search": {"radius_m": -5}}, "search.radius_m is -5: Expected int >= 1"),
        ({"search": {"radius_m": "far"}}, "search.radius_m is 'far': Expected int, got str"),
        ({"search": {"radius_m": True}}, "search.radius_m is true: Expected int, got bool"),
        ({"offer": {"timeout": 30}}, "offer.timeout is 30: no such field; timeout_s is"),
        ({"offers": {}}, "offers is {}: no such field; offer is"),
        ({"offer": 30}, "offer is 30: a chapter of fields is wanted"),
        (
            {"offer": {"on_expiry": "assign"}},
            "offer.on_expiry is 'assign': one of auto_assign, next_driver, auto_assign_after_n is wanted",
        ),
        ({"travel": {"detour_factor": float("nan")}}, "travel.detour_factor is nan: a finite number is wanted"),
        ({"offer": {"timeout_s": float("inf")}}, "offer.timeout_s is inf: a finite number is wanted"),
        (
            {"availability": {"break_min_s": 9000}},
            "availability.break_min_s is 9000: at most availability.break_max_s is wanted, which is 7200",
        ),
        (
            {"escalation": {"level_1_s": 900}},
            "escalation.level_1_s is 900: less than escalation.level_2_s is wanted, which is 900",
        ),
        (
            {"search": {"radius_m": 12_000}},
            "search.radius_m is 12000: at most search.escalated_radius_m is wanted, which is 10000",
        ),
        ({"travel": {"detour_factor": 0.5}}, "travel.detour_factor is 0.5: at least 1 is wanted"),
        (
            {"by_zone": {"centre": {"search": {"radius_m": 12_000}}}},
            "by_zone.centre.search.radius_m is 12000: at most search.escalated_radius_m is wanted, which is 10000",
        ),
        (
            {"by_zone": {"centre": {"offer": {"timeout_s": 0}}}},
            "by_zone.centre.offer.timeout_s is 0: Expected float > 0.0",
        ),
        ({"by_zone": {"old town": {}}}, "by_zone.old town is 'old town': a zone's id has 1 to 128 letters, "),
        (
            {"by_zone": {"centre": {"availability": {}}}},
            "by_zone.centre.availability is {}: only these chapters differ",
        ),
        (
            {"by_zone": {"centre": {"reassignment": {"no_progress_s": 60}}}},
            "by_zone.centre.reassignment.no_progress_s is 60: this one is the same in every zone",
        ),
        ([], "the document is []: a table of chapters is wanted"),
    ],
)
def test_a_mistake_is_named_with_its_field_the_value_seen_and_the_value_wanted(document: Any, sentence: str) -> None:
    assert refused(document).startswith(sentence)


def test_two_currencies_are_refused_in_the_base_and_in_a_zone() -> None:
    assert "pay.currency" in refused({"pay": {"currency": "EUR"}, "cost": {"currency": "USD"}})
    said = refused({"pay": {"currency": "EUR"}, "by_zone": {"geneva": {"pay": {"currency": "CHF"}}}})
    assert said == "by_zone.geneva.pay.currency is 'CHF': one currency in all is wanted, and pay.currency is 'EUR'"
    assert parse({"pay": {"currency": "EUR"}, "cost": {"currency": "EUR"}}).pay.currency == "EUR"


def test_all_mistakes_are_told_at_once() -> None:
    said = refused({"search": {"radius_m": -1, "limit": "ten"}, "foo": 1})
    assert [part.split(" is ")[0] for part in said.split("; ") if " is " in part][:3] == [
        "search.radius_m", "search.limit", "foo",
    ]  # fmt: skip


def test_the_defaults_and_every_fast_city_are_good_policies_and_survive_being_written() -> None:
    for policy in (Policy(), *(scaled(Policy(), speed) for speed in (0.1, 60, 200, 1000))):
        assert list(contradictions(policy)) == []
        assert parse(json.loads(json.dumps(whole(policy)))) == policy


def test_a_zone_has_what_it_overrides_and_the_base_otherwise() -> None:
    policy = parse({"offer": {"timeout_s": 40}, "by_zone": {"centre": {"offer": {"on_expiry": "next_driver"}}}})
    centre = policy.for_zone("centre")
    assert (centre.offer.timeout_s, centre.offer.on_expiry) == (40, "next_driver")
    assert policy.for_zone("elsewhere") is policy
    assert policy.offer.on_expiry == "auto_assign"
    assert centre.for_zone("centre") == centre


def test_a_fast_city_is_fast_in_its_zones_too() -> None:
    policy = parse({"by_zone": {"centre": {"offer": {"timeout_s": 20, "reserve_timeout_s": 4}}}})
    offer = scaled(policy, 10).for_zone("centre").offer
    assert (offer.timeout_s, offer.reserve_timeout_s) == (2, 4)


def test_differences_are_told_field_by_field() -> None:
    old, new = parse({"version": 1}), parse({"version": 2, "offer": {"timeout_s": 20}, "by_zone": {"c": {"pay": {}}}})
    assert [(change.path, change.old, change.new) for change in differences(old, new)] == [
        (("offer", "timeout_s"), 30, 20)
    ]
    zoned = parse({"by_zone": {"c": {"offer": {"timeout_s": 9}}}})
    assert [(c.path, c.old, c.new) for c in differences(zoned, old)] == [
        (("by_zone", "c", "offer", "timeout_s"), 9, None)
    ]


def test_every_chapter_that_differs_by_zone_exists_with_its_exceptions() -> None:
    for chapter, without in BY_ZONE.items():
        assert without <= set(getattr(Policy(), chapter).__struct_fields__)


VALUES = st.one_of(
    st.integers(-10, 10_000_000), st.floats(), st.booleans(), st.text(max_size=5), st.none(), st.lists(st.integers())
)
PATHS = st.sampled_from(sorted(path for path in flat(whole(Policy())) if len(path) == 2))


@given(st.dictionaries(PATHS, VALUES, max_size=4), st.booleans())
def test_whatever_is_written_it_is_refused_with_a_sentence_or_is_a_whole_policy(
    fields: dict[tuple[str, str], Any], zoned: bool
) -> None:
    document: dict[str, Any] = {}
    for (chapter, field), value in fields.items():
        document.setdefault(chapter, {})[field] = value
    if zoned:
        document = {"by_zone": {"z": document}}
    try:
        policy = parse(document)
    except PolicyRefused as error:
        problems = error.problems
    else:
        again = msgspec.json.decode(msgspec.json.encode(whole(policy)))
        assert parse(again) == policy
        assert list(contradictions(policy.for_zone("z"))) == []
        return
    assert problems
    assert all(problem.path and problem.wanted for problem in problems)


def test_the_published_schema_is_current() -> None:
    said = json.loads((DOCS / "policy.schema.json").read_text())
    assert said == json.loads(json.dumps(schema())), "stale: `baton policy schema > docs/policy.schema.json`"
