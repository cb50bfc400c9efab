"""Policies in files, start values in the environment, flags under OpenFeature: read as written, or refused by name."""

import json
import re
from pathlib import Path

import openfeature.api
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from dispatch.config import SettingsError
from dispatch.core.policy import Flag, Flags, Policy
from dispatch.core.policy_document import parse
from dispatch.inputs import policy_file
from dispatch.inputs.flag_provider import RulesProvider
from dispatch.inputs.policy_file import BadPolicyFile
from dispatch.inputs.rulebook import InForce, toggled
from dispatch.inputs.rules import Rules
from dispatch.inputs.start_values import VARIABLES, start_flags, start_policy
from dispatch.log.errors import Misconfigured

DOCS = Path(__file__).parents[2] / "docs"
ZONED = {"offer": {"timeout_s": 45.5, "on_expiry": "next_driver"}, "by_zone": {"a.b": {"search": {"limit": 3}}}}


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("every_field", [True, False])
def test_what_is_written_as_toml_is_read_as_the_same_policy(tmp_path: Path, every_field: bool) -> None:
    policy = parse(ZONED)
    again = policy_file.read(written(tmp_path, "p.toml", policy_file.toml(policy, every_field=every_field)))
    assert (again.policy, again.version) == (policy, 1)


def test_json_says_the_same(tmp_path: Path) -> None:
    assert policy_file.read(written(tmp_path, "p.json", json.dumps(ZONED))).policy == parse(ZONED)
    assert policy_file.read(written(tmp_path, "p", json.dumps(ZONED))).policy == parse(ZONED)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("p.toml", "[offer]\ntimeout_s = 20\n\n[search]\nradius_m = -5\n", "line 5, search.radius_m is -5: .*int >= 1"),
        ("p.toml", "[offer]\ntimeout = 20\n", "line 2, offer.timeout is 20: no such field; timeout_s is"),
        ("p.toml", '[by_zone."a.b".offer]\ntimeout_s = 0\n', "line 2, by_zone.a.b.offer.timeout_s is 0: .*"),
        ("p.toml", "offer.timeout_s = -1\n", "line 1, offer.timeout_s is -1: .*"),
        (
            "p.json",
            '{\n "by_zone": {"z": {"offer": {"timeout_s": 9}}},\n "offer": {\n  "timeout_s": 0}\n}',
            "line 4, offer.timeout_s is 0: Expected float > 0.0",
        ),
        ("p.json", '{"offer": {"timeout_s": NaN}}', "line 1, offer.timeout_s is nan: a finite number is wanted"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    with pytest.raises(BadPolicyFile, match=rf"^{name} is refused: {sentence}$"):
        policy_file.read(written(tmp_path, name, text))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("p.toml", "offer = [", "p.toml is no TOML: .*end of document.*"),
        ("p.toml", "[offer]\ntimeout_s = 1\n[offer]\n", "p.toml is no TOML: .*line 3.*"),
        ("p.json", "{", "p.json is no JSON: .*line 1 column 2.*"),
        ("p.json", '{"offer": {"timeout_s": 1, "timeout_s": 2}}', "p.json is no JSON: 'timeout_s' stands there twice"),
        ("p.json", "[" * 100_000, "p.json is nested too deeply to be a policy"),
        ("p.json", "[]", r"p.json is refused: the document is \[\]: a table of chapters is wanted"),
        ("p.toml", "x = '" + "a" * 1_000_001 + "'", "p.toml has 1000007 bytes; a policy has at most 1000000"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_sentence(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    with pytest.raises(BadPolicyFile, match=f"^{sentence}$"):
        policy_file.read(written(tmp_path, name, text))


def test_files_that_cannot_be_read_are_told_too(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"x = '\xff'")
    for path, sentence in (
        (tmp_path / "b.toml", "is not UTF-8"),
        (tmp_path, "cannot be read"),
        (tmp_path / "no", "No such"),
    ):
        with pytest.raises(BadPolicyFile, match=sentence):
            policy_file.read(path)


def test_start_values_come_from_the_environment() -> None:
    policy = start_policy(
        {
            "OFFER_EXPIRATION_SECONDS": "20", "BREAK_MIN_DURATION_MINUTES": "10",
            "ESCALATION_LEVEL_1_THRESHOLD_MINUTES": "2.5", "SEARCH_RADIUS_METERS": "3000",
            "OFFER_ON_EXPIRY": "next_driver",
        }
    )  # fmt: skip
    assert (policy.offer.timeout_s, policy.offer.on_expiry, policy.search.radius_m) == (20, "next_driver", 3000)
    assert (policy.availability.break_min_s, policy.escalation.level_1_s) == (600, 150)
    flags = start_flags({"ENABLE_DRIVER_OFFERS": "false", "REASSIGNMENT_ROLLOUT": "25", "ENABLE_ESCALATION": "Yes"})
    assert flags == {
        "driver_offers": Flag(enabled=False), "reassignment": Flag(rollout_percent=25), "escalation": Flag(),
    }  # fmt: skip
    assert (start_policy({"OFFER_EXPIRATION_SECONDS": " "}), start_flags({})) == (Policy(), {})


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("OFFER_EXPIRATION_SECONDS", "soon", "a number is wanted"),
        ("OFFER_EXPIRATION_SECONDS", "-3", "offer.timeout_s is -3: Expected float > 0.0"),
        ("OFFER_EXPIRATION_SECONDS", "nan", "offer.timeout_s is nan: a finite number is wanted"),
        ("SEARCH_RADIUS_METERS", "5.5", "a whole number is wanted"),
        ("OFFER_ON_EXPIRY", "never", "offer.on_expiry is 'never': one of .*"),
        ("BREAK_MIN_DURATION_MINUTES", "600", "availability.break_min_s is 36000: at most .*"),
        ("ESCALATION_LEVEL_2_THRESHOLD_MINUTES", "4", "escalation.level_1_s is 300: less than .*"),
    ],
)
def test_a_start_value_that_makes_no_sense_is_refused_with_its_variable(name: str, value: str, wanted: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is '{value}': {wanted}"):
        start_policy({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("ENABLE_DRIVER_OFFERS", "maybe"), ("DRIVER_OFFERS_ROLLOUT", "101"), ("ESCALATION_ROLLOUT", "5%")],
)
def test_a_flag_s_start_value_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is '{value}': .* wanted$"):
        start_flags({name: value})


def test_every_variable_is_documented_and_names_a_field() -> None:
    page = (DOCS / "policy.md").read_text()
    named = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", page, re.MULTILINE))
    assert named == {variable.name for variable in VARIABLES}
    assert "`ENABLE_<FLAG>`" in page
    assert "`<FLAG>_ROLLOUT`" in page
    flags = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))
    assert flags == set(Flags.__struct_fields__)


def test_a_flag_is_set_only_to_what_can_be() -> None:
    for name, flag, sentence in (
        ("driver_offer", Flag(), "'driver_offer' is no flag; known are driver_offers, "),
        ("availability_states", Flag(zones=("centre",)), "availability_states is a flag of drivers"),
        ("driver_offers", Flag(zones=("old town",)), "'old town' is no zone's id"),
    ):
        with pytest.raises(Misconfigured, match=f"^{sentence}"):
            toggled(InForce(), name, flag, "ana", "why")
    with pytest.raises(Misconfigured, match=r"^the actor is 'a b'"):
        toggled(InForce(), "driver_offers", Flag(), "a b", "why")


@given(
    name=st.sampled_from(Flags.__struct_fields__),
    flag=st.builds(
        Flag, enabled=st.booleans(), rollout_percent=st.integers(0, 100),
        zones=st.sampled_from([(), ("centre",), ("centre", "north")]),
    ),
    delivery=st.uuids().map(str),
    zone=st.sampled_from(["centre", "north", "none"]),
)  # fmt: skip
def test_openfeature_answers_as_the_core_does(name: str, flag: Flag, delivery: str, zone: str) -> None:
    openfeature.api.set_provider(RulesProvider(Rules(flags=Flags(**{name: flag}))))
    context = EvaluationContext(attributes={"delivery_id": delivery, "zone": zone})
    details = openfeature.api.get_client().get_boolean_details(name, not flag.covers(delivery, zone), context)
    assert details.error_code is None
    assert details.value == flag.covers(delivery, zone)
    assert (details.reason == Reason.DISABLED) == (not flag.enabled)
    keyed = EvaluationContext(targeting_key=delivery, attributes={"zone": zone})
    assert openfeature.api.get_client().get_boolean_value(name, False, keyed) == flag.covers(delivery, zone)


def test_openfeature_gives_the_caller_s_default_with_the_cause_when_it_cannot_answer() -> None:
    openfeature.api.set_provider(RulesProvider(Rules(flags=Flags(driver_offers=Flag(rollout_percent=50)))))
    client = openfeature.api.get_client()
    assert client.get_boolean_details("driver_offer", True).error_code == ErrorCode.FLAG_NOT_FOUND
    assert client.get_boolean_details("driver_offers", True).error_code == ErrorCode.TARGETING_KEY_MISSING
    assert client.get_string_details("driver_offers", "x").error_code == ErrorCode.TYPE_MISMATCH
    assert client.get_boolean_value("driver_offer", True) is True


def test_a_rollout_takes_its_share_and_widening_it_takes_nobody_out() -> None:
    ids = [f"delivery-{number}" for number in range(4_000)]
    covered = {
        share: {name for name in ids if Flag(rollout_percent=share).covers(name, "none")} for share in (0, 20, 60, 100)
    }
    assert covered[0] < covered[20] < covered[60] < covered[100] == set(ids)
    assert abs(len(covered[20]) / len(ids) - 0.2) < 0.03
