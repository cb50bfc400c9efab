"""`baton audit` as somebody at a terminal runs it."""

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import filled
import pytest
from filled import as_the_owner

from dispatch import audit_cli, cli
from dispatch.config import Settings
from projections.audit import keys
from projections.audit.keys import Signer

pytestmark = pytest.mark.servers


class Said(NamedTuple):
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


class Run:
    """A terminal with the key at hand, without a process a command: those cost a second each."""

    def __init__(self, dsn: str, folder: Path, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self.dsn, self.folder, self._patch, self._captured = dsn, folder, patch, captured
        self._given = {
            "BATON_POSTGRES": dsn, "BATON_KAFKA": "127.0.0.1:1", "BATON_VALKEY": "redis://127.0.0.1:1",
            "BATON_AUDIT_KEY_FILE": str(folder / "audit.pem"), "COLUMNS": "200",
        }  # fmt: skip
        patch.chdir(folder)
        patch.setattr(cli, "_KAFKA_ANSWERS_S", 1.0)

    def __call__(self, *arguments: str, **more: str) -> Said:
        for name, value in {**self._given, **more}.items():
            self._patch.setenv(name, value)
        self._patch.setattr(sys, "argv", ["baton", "audit", *arguments])
        self._captured.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, error = self._captured.readouterr()
        return Said(int(ended.value.code or 0), out, error)


@pytest.fixture
def run(
    audit: str, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    (tmp_path / "audit.pem").write_bytes(filled.private_pem(signer))
    return Run(audit, tmp_path, monkeypatch, capsys)


def test_a_whole_audit_is_said_to_be_whole_with_its_speed(run: Run) -> None:
    said = run("verify")
    assert (said.returncode, said.stderr) == (0, "")
    assert re.search(r"120 rows of 3 partitions looked at in \d+\.\d s, [\d,]+ a second", said.stdout), said
    assert "6 anchors fit, 15 rows are not anchored yet\nThe audit is whole." in said.stdout


def test_what_is_wrong_is_named_and_the_exit_code_is_1(run: Run) -> None:
    with as_the_owner(run.dsn) as connection:
        connection.execute("UPDATE delivery_audit_logs SET actor_id = 'eva' WHERE delivery_id = %s AND version = 2",
                           (filled.delivery(2),))  # fmt: skip
    said = run("verify")
    assert said.returncode == 1
    named = f"delivery.events/0/5 (delivery {filled.delivery(2)}): changed: actor_id does not say what the row's bytes"
    assert named in said.stdout, said
    assert "1 things are wrong." in said.stdout
    for arguments in (["--delivery", filled.delivery(2)], ["--delivery", "s1/o2"]):
        assert run("verify", *arguments).returncode == 1
    assert run("verify", "--delivery", filled.delivery(4)).returncode == 0
    assert run("verify", "--since-anchor").returncode == 0
    told = json.loads(run("verify", "--json").stdout)
    assert (told["ok"], told["found"], told["findings"][0]["columns"]) == (False, 1, ["actor_id"])


def test_anchors_are_written_and_kept_in_a_file_that_tells(run: Run) -> None:
    said = run("anchor", "--to", "anchors.jsonl")
    assert said.stdout == "3 anchors over 15 rows\n9 more in anchors.jsonl\n", said
    assert run("anchor", "--to", "anchors.jsonl").stdout == "0 anchors over 0 rows\n0 more in anchors.jsonl\n"
    assert run("verify", "--anchors", "anchors.jsonl").returncode == 0
    with as_the_owner(run.dsn) as connection:
        connection.execute("DELETE FROM audit_anchors WHERE number > 2")
    assert run("verify").returncode == 0
    said = run("verify", "--anchors", "anchors.jsonl")
    assert said.returncode == 1
    assert "is not in the table" in said.stdout


def test_a_broken_chain_is_not_anchored(run: Run) -> None:
    with as_the_owner(run.dsn) as connection:
        connection.execute("DELETE FROM delivery_audit_logs WHERE partition = 0 AND topic = 'delivery.events'"
                           " AND record_offset = 54")  # fmt: skip
    said = run("anchor")
    assert (said.returncode, said.stdout.startswith("Not anchored: delivery.events/0/")) == (1, True), said


def test_the_public_half_of_the_key_is_enough_to_verify(run: Run) -> None:
    (run.folder / "public.pem").write_text(run("key").stdout)
    assert "PUBLIC KEY" in (run.folder / "public.pem").read_text()
    assert run("verify", "--key", "public.pem", BATON_AUDIT_KEY_FILE="").returncode == 0
    (run.folder / "other.pem").write_bytes(keys.made())
    assert run("verify", "--key", "other.pem").returncode == 1
    said = run("verify", BATON_AUDIT_KEY_FILE="")
    assert "were not looked at, for want of a key" in " ".join(said.stdout.split()), said


def test_a_delivery_is_exported_and_checked_with_the_public_key_alone(run: Run) -> None:
    said = run("export", "s1/o28", "--out", "bundle.zip", "--reason", "the customer asks", "--actor", "eva")
    assert said.stdout.startswith(f"3 events of delivery {filled.delivery(28)} in bundle.zip, noted as export "), said
    (run.folder / "public.pem").write_text(run("key").stdout)
    nowhere = {"BATON_POSTGRES": "postgresql://127.0.0.1:1/x", "BATON_AUDIT_KEY_FILE": ""}
    said = run("check-bundle", "bundle.zip", "--key", "public.pem", **nowhere)
    assert said.returncode == 0
    assert "Cancelled by customer" in said.stdout
    assert "All of it holds" in said.stdout
    told = json.loads(run("check-bundle", "bundle.zip", "--key", "public.pem", "--json", **nowhere).stdout)
    assert (told["ok"], told["about"]["actor_id"]) == (True, "eva")
    (run.folder / "other.pem").write_bytes(keys.made())
    assert run("check-bundle", "bundle.zip", "--key", "other.pem", **nowhere).returncode == 1


def test_what_is_not_whole_is_not_exported(run: Run) -> None:
    with as_the_owner(run.dsn) as connection:
        connection.execute("UPDATE delivery_audit_logs SET actor_id = 'eva' WHERE version = 2")
    said = run("export", "s1/o2", "--out", "bundle.zip", "--reason", "x")
    assert (said.returncode, "Not exported, for the audit is not whole: " in said.stdout) == (1, True)
    assert not (run.folder / "bundle.zip").exists()


@pytest.mark.parametrize(
    ("arguments", "more", "sentence"),
    [
        (["verify", "--delivery", "x"], {}, "no delivery x is known"),
        (["verify", "--delivery", filled.delivery(1_000)], {}, "no delivery .* is known"),
        (["verify", "--delivery", "x\n"], {}, "Invalid value: 'x\\\\n' is no delivery's id.*"),
        (["verify", "--since-anchor", "--against-log"], {}, "Invalid value for --since-anchor.*: one at a time.*"),
        (["verify", "--against-log"], {}, "Kafka at 127.0.0.1:1 does not answer.*"),
        (["verify", "--key", "gone.pem"], {}, "gone.pem cannot be read: No such file or directory"),
        (["verify", "--anchors", "audit.pem"], {}, "line 1 of audit.pem is no anchor: .*"),
        (["verify", "--anchors", "gone"], {}, "gone cannot be read: No such file or directory"),
        (["verify"], {"BATON_POSTGRES": "postgresql://127.0.0.1:1/x"}, "Postgres does not answer: .*"),
        (["anchor"], {"BATON_AUDIT_KEY_FILE": ""}, "BATON_AUDIT_KEY_FILE names no key that could sign.*"),
        (["anchor"], {"BATON_AUDIT_KEY_FILE": "/dev/null"}, "/dev/null is no private key; .*"),
        (["anchor", "--to", "."], {}, ". cannot be read: Is a directory"),
        (["export", "x", "--out", "b.zip", "--reason", "r"], {}, "no delivery x is known"),
        (["export", "s1/o1", "--out", "b.zip", "--reason", " "], {}, "Invalid value for --reason: 1 to 500 .*"),
        (
            ["export", "s1/o1", "--out", "audit.pem", "--reason", "r"],
            {},
            "Invalid value for --out: .* is there already.*",
        ),
        (["export", "s1/o1", "--out", "no/b.zip", "--reason", "r"], {}, "no/b.zip cannot be written: .*"),
        (["export", "s1/o1", "--out", "b.zip"], {}, "Missing option '--reason'.*"),
        (["check-bundle", "audit.pem", "--key", "audit.pem"], {}, "audit.pem is no bundle: it is no zip file .*"),
        (["check-bundle", "gone.zip", "--key", "audit.pem"], {}, "gone.zip cannot be read: .*"),
        (["check-bundle", "audit.pem"], {}, "Missing option '--key'.*"),
        (["key"], {"BATON_AUDIT_KEY_FILE": "gone.pem"}, "gone.pem cannot be read: No such file or directory"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(run: Run, arguments: list[str], more: dict[str, str], sentence: str) -> None:
    said = run(*arguments, **more)
    assert (said.returncode, said.stdout) == (2, ""), said
    assert re.fullmatch(f"baton: {sentence}\n", said.stderr), said.stderr


def test_the_local_stack_makes_its_key_once(tmp_path: Path) -> None:
    file = tmp_path / keys.LOCAL
    audit_cli.make_local_key(Settings(home=tmp_path, audit_key_file=file))
    made = file.read_bytes()
    audit_cli.make_local_key(Settings(home=tmp_path, audit_key_file=file))
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (made, 0o600)
    audit_cli.make_local_key(Settings(home=tmp_path / "other", audit_key_file=file))
    assert not (tmp_path / "other").exists(), "anybody else's key is theirs to make"
