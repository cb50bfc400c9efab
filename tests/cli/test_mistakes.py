"""What is typed wrongly, or asked of what is not there: exit code 2 and one sentence, never a traceback."""

import os
import re
import sys
from pathlib import Path

import pytest
from command import Said, baton

from deploy.local.ports import free_port
from dispatch import cli

NO_STACK = r"no stack runs in \.baton; `baton up` starts one, or give BATON_KAFKA and its kin"
ORDER = (
    "arrives_s,seller_id,seller_order_id,store_name,pickup_lat,pickup_lng,dropoff_lat,dropoff_lng,order_value_minor,"
    "delivery_fee_minor,currency\n0,s1,o1,Anker,48,7.8,48.01,7.81,2000,299,EUR\n"
)


@pytest.fixture
def nowhere() -> dict[str, str]:
    """Addresses at which nobody listens."""
    port = free_port()
    return {
        "BATON_KAFKA": f"127.0.0.1:{port}",
        "BATON_POSTGRES": f"postgresql://nobody@127.0.0.1:{port}/none",
        "BATON_VALKEY": f"redis://127.0.0.1:{port}/0",
        "BATON_GATEWAY_PORT": str(port),
    }


class Terminal:
    """A terminal of 80 columns in an empty folder, without a process a command: those cost a second each."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self._patch, self._captured = patch, captured
        patch.chdir(folder)
        for name in [name for name in os.environ if name.startswith("BATON_")]:
            patch.delenv(name)
        patch.setenv("COLUMNS", "80")
        patch.setattr(cli, "_KAFKA_ANSWERS_S", 1.0)

    def baton(self, *arguments: str, **environment: str) -> Said:
        """What a command says, and its exit code."""
        for name, value in environment.items():
            self._patch.setenv(name, value)
        self._patch.setattr(sys, "argv", ["baton", *arguments])
        self._captured.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, error = self._captured.readouterr()
        return Said(int(ended.value.code or 0), out, error)

    def mistake(self, *arguments: str, **environment: str) -> str:
        """The sentence that a command ends with, when that is all it says."""
        return sentence_of(self.baton(*arguments, **environment))


def sentence_of(said: Said) -> str:
    """What was said, if it is one sentence, no longer than a few lines, with exit code 2."""
    assert (said.code, said.out, said.error.count("\n")) == (2, "", 1), said
    assert said.error.startswith("baton: ")
    assert len(said.error) < 600
    return said.error.removeprefix("baton: ").rstrip("\n")


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fly"], r"No such command 'fly'; `baton --help` tells what is wanted"),
        (["run", "fly"], r"No such command 'fly'; `baton run --help` tells what is wanted"),
        (["feed"], r"Missing argument 'file'; `baton feed --help` tells what is wanted"),
        (["feed", "a", "b"], r"Got unexpected extra argument\(s\) \(b\); `baton feed --help` tells what is wanted"),
        (["driver"], r"Missing argument 'driver_id'; `baton driver --help` .*"),
        (["train", "eta"], r"No such command 'eta'; `baton train --help` .*"),
        (["train", "acceptance", "--least", "1"], r"Invalid value for '--least': .*"),
        (["delivery"], r"Missing argument 'delivery_id'; `baton delivery --help` .*"),
        (["status", "--verbose"], r"No such option: --verbose; `baton status --help` tells what is wanted"),
        (
            ["up", "--workers", "0"],
            r"Invalid value for '--workers': .*greater than or equal to 1; `baton up --help` .*",
        ),
        (["up", "--workers", "two"], r"Invalid value for '--workers': .*"),
        (["up", "--speed", "nan"], r"Invalid value for '--speed': .*"),
        (["up", "--port", "65536"], r"Invalid value for '--port': .*less than or equal to 65535; .*"),
        (["setup", "--speed", "inf"], r"Invalid value for '--speed': .*"),
        (["feed", "orders.csv", "--speed", "nan"], r"Invalid value for '--speed': .*"),
        (["feed", "orders.csv", "--speed", "-1"], r"Invalid value for '--speed': .*"),
        (["drivers", "0"], r"Invalid value for 'count': .*"),
        (["drivers", "2.5"], r"Invalid value for 'count': .*"),
        (["drivers", "1", "--seconds", "-1"], r"Invalid value for '--seconds': .*"),
        (["drivers", "1", "--seconds", "nan"], r"Invalid value for '--seconds': .*"),
        (["demo", "--orders", "none"], r"Invalid value for '--orders': .*"),
        (["demo", "--drivers", "1000000"], r"Invalid value for '--drivers': .*"),
        (["run", "worker", "--slot", "-1"], r"Invalid value for '--slot': .*"),
        (["run", "worker", "--health-port", "70000"], r"Invalid value for '--health-port': .*"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_told_with_where_to_read_on(
    terminal: Terminal, arguments: list[str], sentence: str
) -> None:
    assert re.fullmatch(sentence, terminal.mistake(*arguments))


def test_a_text_of_a_hundred_thousand_characters_is_not_repeated(terminal: Terminal) -> None:
    long = "x" * 100_000
    assert terminal.mistake("delivery", long).endswith(
        "is no delivery's id, which has at most 300 printable characters"
    )
    assert "cannot be read: File name too long" in terminal.mistake("feed", long[:300])
    assert "Invalid value" in terminal.mistake("drivers", long)
    assert terminal.mistake("driver", long).endswith("is no driver's id, which has at most 128 printable characters")


def test_bytes_that_are_no_text_are_spelt_out(terminal: Terminal) -> None:
    odd = os.fsdecode(b"a\xff")
    assert terminal.mistake("feed", odd) == r"a\udcff: no such file"
    assert "is no delivery's id" in terminal.mistake("delivery", odd)


@pytest.mark.parametrize("content", ["missing", "folder", "empty", "binary", "wrong"])
def test_a_file_that_cannot_be_sent_is_told_before_anything_is_asked_of_kafka(
    terminal: Terminal, tmp_path: Path, content: str
) -> None:
    path, sentences = tmp_path / "orders.csv", {
        "missing": "no such file",
        "folder": "is a folder; a file is wanted",
        "empty": "line 1: is empty; the names of the columns are wanted (docs/orders.md)",
        "binary": "not UTF-8 text at byte 0",
        "wrong": "line 2, column 9 (order_value_minor): is -5; 0 to 1000000000000 is allowed",
    }  # fmt: skip
    if content == "folder":
        path.mkdir()
    elif content != "missing":
        wrong = ORDER.replace("2000", "-5")
        path.write_bytes({"empty": b"", "binary": b"\xff\x00" * 512, "wrong": wrong.encode()}[content])
    assert terminal.mistake("feed", "orders.csv") == f"orders.csv: {sentences[content]}"


@pytest.mark.parametrize(
    "arguments",
    [["delivery", "x"], ["driver", "x"], ["train", "acceptance"], ["check"], ["feed", "orders.csv"], ["setup"],
     ["run", "worker"], ["run", "streams"], ["run", "scores"],
     ["run", "projector"], ["run", "eta"], ["eta", "report"], ["run", "notifier"], ["run", "gateway"]],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_without_a_stack_it_is_told_how_to_have_one(terminal: Terminal, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "orders.csv").write_text(ORDER)
    assert re.fullmatch(NO_STACK, terminal.mistake(*arguments))


def test_drivers_without_a_gateway_are_told_so_at_once(terminal: Terminal, nowhere: dict[str, str]) -> None:
    port = nowhere["BATON_GATEWAY_PORT"]
    said = terminal.mistake("drivers", "3", BATON_GATEWAY_PORT=port)
    assert said == f"no gateway answers at http://127.0.0.1:{port}; `baton up` starts one"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check"], r"Kafka at 127\.0\.0\.1:\d+ does not answer: .*"),
        (["driver", "x"], r"Kafka at 127\.0\.0\.1:\d+ does not answer: .*"),
        (["train", "acceptance"], r"Kafka at 127\.0\.0\.1:\d+ does not answer: .*"),
        (["feed", "orders.csv"], r"Kafka at 127\.0\.0\.1:\d+ does not answer: .*"),
        (["delivery", "x"], r"Postgres does not answer: connection failed: .*Connection refused.*"),
        (["setup"], r"Kafka at 127\.0\.0\.1:\d+ does not answer: .*"),
    ],
)
def test_servers_that_do_not_answer_are_named(
    terminal: Terminal, tmp_path: Path, nowhere: dict[str, str], arguments: list[str], sentence: str
) -> None:
    (tmp_path / "orders.csv").write_text(ORDER)
    assert re.fullmatch(sentence, terminal.mistake(*arguments, **nowhere))


@pytest.mark.parametrize(
    ("name", "value", "command", "sentence"),
    [
        ("PARTITIONS", "many", "status", r"BATON_PARTITIONS is 'many': .*valid integer.*"),
        ("PARTITIONS", "0", "up", r"BATON_PARTITIONS is '0': .*greater than or equal to 1"),
        ("REPLY_TIMEOUT_S", "nan", "check", r"BATON_REPLY_TIMEOUT_S is 'nan': .*"),
        ("GATEWAY_PORT", "99999", "down", r"BATON_GATEWAY_PORT is '99999': .*"),
        ("NAMESPACE", "Ünsinn", "demo", r"BATON_NAMESPACE is 'Ünsinn': .*"),
        ("LOG_LEVEL", "loud", "setup", r"BATON_LOG_LEVEL is 'loud': .*"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(
    terminal: Terminal, name: str, value: str, command: str, sentence: str
) -> None:
    assert re.fullmatch(sentence, terminal.mistake(command, **{f"BATON_{name}": value}))


def test_an_address_that_is_none_is_told(terminal: Terminal, nowhere: dict[str, str]) -> None:
    said = terminal.mistake("delivery", "x", **{**nowhere, "BATON_POSTGRES": "nonsense"})
    assert said.startswith("Postgres cannot be asked")


def test_the_demonstration_does_not_remove_a_folder_that_is_not_its_own(terminal: Terminal, tmp_path: Path) -> None:
    precious = tmp_path / "demo" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    said = terminal.mistake("demo", BATON_HOME=str(tmp_path))
    assert said.startswith(f"{precious.parent} holds something else than a demonstration")
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [[], ["run"], ["train"], ["train", "acceptance"], ["driver"],
     *([name] for name in ("up", "down", "status", "setup", "feed", "drivers", "demo", "delivery", "check",
     "version")), *(["run", name] for name in ("worker", "streams", "projector", "scores", "notifier", "gateway"))],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_help_fits_80_columns_and_cuts_no_word(terminal: Terminal, arguments: list[str]) -> None:
    said = terminal.baton(*arguments, "--help")
    assert (said.code, said.error) == (0, "")
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in said.out
    assert "Usage: baton" in said.out


def test_help_names_every_command_and_what_it_is_for(terminal: Terminal) -> None:
    said = terminal.baton("--help").out
    for name in ("up", "down", "status", "setup", "feed", "drivers", "demo", "delivery", "check", "run", "version"):
        assert re.search(rf"│ {name} +[A-Z]\w+", said), name


def test_a_whole_process_ends_in_the_same_way(tmp_path: Path) -> None:
    assert re.fullmatch(NO_STACK, sentence_of(baton(tmp_path, "check")))
    odd = os.fsdecode(b"a\xff")
    assert sentence_of(baton(tmp_path, "feed", odd)) == r"a\udcff: no such file"
    assert baton(tmp_path, "version").code == 0


def test_tables_that_cannot_be_made_are_told(
    terminal: Terminal, nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dispatch import setup

    monkeypatch.setattr(cli, "_require_kafka", lambda _settings: None)
    monkeypatch.setattr(setup, "create_topics", lambda _settings: 0)
    said = terminal.mistake("setup", **nowhere)
    assert said.startswith("the tables cannot be made in Postgres: connection failed:")
