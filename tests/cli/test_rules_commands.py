"""`baton policy` and `baton flags`: mistakes told in one sentence that change nothing, and the way through them all."""

import json
import re
import threading
from pathlib import Path

import pytest
from test_mistakes import NO_STACK, Terminal, nowhere, terminal

from deploy.local import Addresses
from dispatch import setup
from dispatch.config import Settings
from dispatch.core.policy import Flags

__all__ = ["nowhere", "terminal"]
FILES = {
    "negative.toml": "[search]\nradius_m = -5\n",
    "currencies.toml": '[pay]\ncurrency = "EUR"\n\n[by_zone.geneva.pay]\ncurrency = "CHF"\n',
    "unknown.toml": "[offer]\ntimeout = 20\n",
    "many.toml": "[search]\nradius_m = -5\nlimit = 0.5\n[offer]\ntimeout_s = 0\n",
    "good.toml": "[offer]\ntimeout_s = 20\n\n[by_zone.harbour.search]\nlimit = 5\n",
    "better.json": '{"version": 2, "offer": {"timeout_s": 15}}',
    "old.json": '{"version": 1, "offer": {"timeout_s": 99}}',
}


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)


MISTAKES = [
    (["policy", "check", "negative.toml"], r"negative\.toml is refused: line 2, search\.radius_m is -5: .* int >= 1"),
    (
        ["policy", "apply", "currencies.toml", "--reason", "x"],
        r"currencies\.toml is refused: line 5, by_zone\.geneva\.pay\.currency is 'CHF': one currency in all is wanted, "
        r"and pay\.currency is 'EUR'",
    ),
    (["policy", "diff", "unknown.toml"], r"unknown\.toml is refused: line 2, offer\.timeout is 20: no such field; .*"),
    (["policy", "check", "many.toml"], r"many\.toml is refused: line 2, .*; line 3, .*; line 5, .*"),
    (["policy", "check", "missing.toml"], r"missing\.toml cannot be read: No such file or directory"),
    (["policy", "apply", "good.toml"], r"Missing option '--reason'; `baton policy apply --help` tells what is wanted"),
    (
        ["flags", "set", "driver_offer", "--off", "--reason", "x"],
        r"'driver_offer' is no flag; known are driver_offers, .*",
    ),
    (["flags", "set", "driver_offers", "--reason", "x"], r"nothing to set: give --on or --off, --rollout or --zones"),
    (["flags", "set", "driver_offers", "--rollout", "101", "--reason", "x"], r"Invalid value for '--rollout': .*"),
    (["flags", "set", "driver_offers", "--off"], r"Missing option '--reason'; .*"),
]


@pytest.mark.parametrize(
    ("arguments", "sentence"), MISTAKES, ids=lambda value: " ".join(value) if value is list else ""
)
def test_a_mistake_is_told_before_kafka_is_asked(terminal: Terminal, arguments: list[str], sentence: str) -> None:
    assert re.fullmatch(sentence, terminal.mistake(*arguments))


@pytest.mark.parametrize(
    "arguments",
    [["policy", "show"], ["policy", "diff", "good.toml"], ["policy", "apply", "good.toml", "--reason", "x"],
     ["policy", "history"], ["flags", "list"], ["flags", "history"],
     ["flags", "set", "driver_offers", "--off", "--reason", "x"]],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_without_a_stack_or_with_a_wrong_address_it_is_told(
    terminal: Terminal, nowhere: dict[str, str], arguments: list[str]
) -> None:
    assert re.fullmatch(NO_STACK, terminal.mistake(*arguments))
    assert re.fullmatch(r"Kafka at 127\.0\.0\.1:\d+ does not answer: .*", terminal.mistake(*arguments, **nowhere))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ENABLE_DRIVER_OFFERS", "maybe", "ENABLE_DRIVER_OFFERS is 'maybe': true or false is wanted"),
        ("OFFER_EXPIRATION_SECONDS", "-1", "OFFER_EXPIRATION_SECONDS is '-1': offer.timeout_s is -1: .*"),
    ],
)
def test_a_start_value_that_makes_no_sense_stops_setup(
    terminal: Terminal, name: str, value: str, sentence: str
) -> None:
    assert re.fullmatch(sentence, terminal.mistake("setup", **{name: value}))


@pytest.mark.parametrize(
    "arguments",
    [["policy"], ["flags"], *(["policy", name] for name in ("show", "check", "diff", "apply", "history", "schema")),
     *(["flags", name] for name in ("list", "set", "history"))],
    ids=" ".join,
)  # fmt: skip
def test_help_fits_80_columns_and_cuts_no_word(terminal: Terminal, arguments: list[str]) -> None:
    said = terminal.baton(*arguments, "--help")
    assert (said.code, said.error) == (0, "")
    assert max(map(len, said.out.splitlines())) <= 80
    assert "…" not in said.out


def test_a_good_file_and_the_schema_need_no_kafka(terminal: Terminal) -> None:
    said = terminal.baton("policy", "check", "good.toml")
    assert (said.code, said.out) == (0, "good.toml is a good policy; 2 fields differ from the defaults.\n")
    assert json.loads(terminal.baton("policy", "schema").out)["title"] == "A policy of Baton"


@pytest.mark.servers
def test_from_the_first_policy_to_the_history_of_all(
    servers: Addresses, namespace: str, terminal: Terminal, tmp_path: Path
) -> None:
    settings = Settings(
        kafka=servers.kafka, postgres=servers.postgres, valkey=servers.valkey, namespace=namespace, home=tmp_path,
        partitions=1, reply_slots=1,
    )  # fmt: skip
    given = {
        "BATON_KAFKA": servers.kafka, "BATON_POSTGRES": servers.postgres, "BATON_VALKEY": servers.valkey,
        "BATON_NAMESPACE": namespace,
    }  # fmt: skip
    sentence = terminal.mistake("policy", "show", **given)
    assert re.fullmatch(rf"Kafka at .* has no topic {namespace}policies; `baton setup` creates it", sentence)
    setup.create_topics(settings)

    def out(*arguments: str) -> str:
        said = terminal.baton(*arguments)
        assert (said.code, said.error) == (0, ""), said
        return said.out

    assert out("policy", "show") == "# none was published; these are the defaults\nversion = 0\n"
    changes = "offer.timeout_s: 30.0 -> 20.0\nby_zone.harbour.search.limit: none -> 5\n"
    assert out("policy", "diff", "good.toml").replace("30 ->", "30.0 ->") == changes
    applied = out("policy", "apply", "good.toml", "--reason", "rush hour", "--actor", "lead")
    assert applied.endswith("Version 1 is in force.\n")
    assert (
        out("policy", "apply", "good.toml", "--reason", "x") == "Nothing differs from version 1, which is in force.\n"
    )
    out("policy", "apply", "good.toml", "--reason", "again", "--actor", "lead")
    refused = terminal.mistake("policy", "apply", "better.json", "--reason", "x")
    assert refused.startswith("better.json was made from version 2, and 1 is in force; nothing was changed. ")
    out("policy", "apply", "old.json", "--reason", "fewer expiries", "--actor", "lead")
    out("policy", "apply", "better.json", "--reason", "back", "--actor", "lead")
    shown = out("policy", "show")
    assert re.fullmatch(r"# in force since .* by lead: back\nversion = 3\n\n\[offer\]\ntimeout_s = 15.0\n", shown)
    (tmp_path / "shown.toml").write_text(shown)
    assert out("policy", "diff", "shown.toml") == "Nothing differs from version 3, which is in force.\n"
    (tmp_path / "whole.toml").write_text(out("policy", "show", "--effective"))
    assert out("policy", "diff", "whole.toml") == "Nothing differs from version 3, which is in force.\n"
    assert "limit = 10\n" in out("policy", "show", "--effective", "--zone", "harbour")
    history = out("policy", "history")
    assert re.findall(r"version (\d) by lead: (.*)\n", history) == [
        ("1", "rush hour"), ("2", "fewer expiries"), ("3", "back"),
    ]  # fmt: skip
    _flags(terminal)


def _flags(terminal: Terminal) -> None:
    said = terminal.baton("flags", "set", "driver_offers", "--off", "--reason", "incident", "--actor", "lead").out
    assert said == "driver_offers: on, 100% -> off, 100%.\n"
    said = terminal.baton("flags", "set", "driver_offers", "--off", "--reason", "again").out
    assert said == "driver_offers is so already: off, 100%.\n"
    said = terminal.baton(
        "flags", "set", "driver_offers", "--on", "--rollout", "20", "--zones", "centre, harbour", "--reason", "trial"
    ).out
    assert said == "driver_offers: off, 100% -> on, 20% in centre, harbour.\n"
    assert terminal.mistake("flags", "set", "availability_states", "--zones", "centre", "--reason", "x").startswith(
        "availability_states is a flag of drivers, who are in no zone"
    )
    said = terminal.baton("flags", "set", "driver_offers", "--zones", "", "--reason", "all").out
    assert said == "driver_offers: on, 20% in centre, harbour -> on, 20%.\n"
    listed = terminal.baton("flags", "list").out
    assert re.search(r"^driver_offers: on, 20%; since \S+ \S+ by \S+: all$", listed, re.MULTILINE)
    assert "reassignment: on, 100%; the default\n" in listed
    assert all(name in listed for name in Flags.__struct_fields__)
    history = terminal.baton("flags", "history").out
    assert len(history.splitlines()) == 3
    assert "driver_offers: on, 100% -> off, 100%, by lead: incident" in history
    assert not [thread for thread in threading.enumerate() if thread.name == "rules"]
