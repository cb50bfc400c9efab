"""The local machine: a supervisor that restarts what dies and leaves nothing behind; mistakes told in one sentence."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_stack import CHILD, GIVEN, a_plan, alive, part, quiet, until
from typer.testing import CliRunner

from deploy.local import Addresses, StartFailed, Valkey
from deploy.local.parts import what_is_down
from deploy.local.stack import StackOptions, addresses, down, plan, running, up
from deploy.local.supervisor import Plan
from dispatch.cli import app, main
from gateways.access import local_key
from projections.audit import keys


def test_a_child_or_server_that_dies_is_started_again(folder: Path) -> None:
    said = up(folder, a_plan(CHILD), quiet)
    assert {row["state"] for row in said["parts"]} == {"up"}
    for name in ("child-0", "valkey"):
        pid = part(folder, name)["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda name=name, pid=pid: part(folder, name)["pid"] not in (0, pid))  # type: ignore[misc]
    assert part(folder, "child-0")["restarts"] == 1
    assert addresses(folder).valkey.startswith("redis://")


def test_a_clean_stop_leaves_nothing_and_a_second_start_keeps_the_ports(folder: Path) -> None:
    first = up(folder, a_plan(CHILD), quiet)
    pids = [row["pid"] for row in first["parts"]] + [first["pid"]]
    with pytest.raises(StartFailed, match="is running in"):
        up(folder, a_plan(CHILD), quiet)
    assert down(folder)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not down(folder)
    assert running(folder) == {}
    second = up(folder, a_plan(CHILD), quiet)
    assert second["addresses"]["valkey"] == first["addresses"]["valkey"]


def test_a_child_that_only_follows_yields_to_the_others(folder: Path) -> None:
    small = a_plan(CHILD, CHILD)
    small.processes[1] = replace(small.processes[1], nice=10)
    up(folder, small, quiet)
    decides, follows = (part(folder, f"child-{number}")["pid"] for number in range(2))
    assert psutil.Process(follows).nice() - psutil.Process(decides).nice() == 10
    group = Path(f"/proc/{follows}/autogroup")
    if group.exists():  # where Linux shares out by sessions, this is what counts
        assert group.read_text().split()[-1] == "10"


def test_two_stacks_stand_side_by_side(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    try:
        ours = up(folder, a_plan(CHILD), quiet)
        theirs = up(other, a_plan(CHILD), quiet)
        assert ours["addresses"]["valkey"] != theirs["addresses"]["valkey"]
    finally:
        down(other)


def test_children_do_not_outlive_a_supervisor_that_is_killed(folder: Path) -> None:
    said = up(folder, a_plan(CHILD), quiet)
    os.kill(said["pid"], signal.SIGKILL)
    until(lambda: not any(alive(row["pid"]) for row in said["parts"]))


def test_a_set_up_that_fails_is_told_in_one_sentence_and_nothing_runs(folder: Path) -> None:
    bad = a_plan(CHILD, setup=[[sys.executable, "-c", "import sys; sys.exit('topics are missing')"]])
    with pytest.raises(StartFailed, match="topics are missing"):
        up(folder, bad, quiet)
    assert running(folder) == {}
    with pytest.raises(StartFailed, match="no stack runs"):
        addresses(folder)


def test_a_server_that_cannot_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    first = Valkey(tmp_path / "a")
    first.start()
    try:
        second = Valkey(tmp_path / "b", first.port)
        second.limit_s = 3
        second.launch()
        until(lambda: not second.pid, 5)
        assert "in use" in second.last_lines().lower() or second.last_lines()
        first.freeze()
        assert not first.answers()
        first.thaw()
        until(first.answers)
    finally:
        first.kill()
    assert first.pid == 0


def test_the_plan_of_a_whole_stack_names_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(Addresses(), StackOptions(workers=2, speed=60, gateways=2), tmp_path)
    assert [spec.name for spec in made.processes] == [
        "worker-0",
        "worker-1",
        "streams",
        "projector",
        "followers",
        "gateway",
        "gateway-1",
    ]
    assert made.environment["BATON_SIGN_IN_KEY_FILE"] == str(tmp_path / local_key.PUBLIC), "signed in by itself"
    assert made.environment["BATON_AUDIT_KEY_FILE"] == str(tmp_path / keys.LOCAL), "anchors are signed"
    assert Plan.load(made.dump()) == made
    monkeypatch.setenv("BATON_AUDIT_KEY_FILE", "/keys/audit.pem")
    assert "BATON_AUDIT_KEY_FILE" not in plan(Addresses(), StackOptions(), tmp_path).environment
    monkeypatch.setenv("BATON_SIGN_IN_JWKS", "https://issuer.test/keys")
    assert "BATON_SIGN_IN_KEY_FILE" not in plan(Addresses(), StackOptions(), tmp_path).environment


def test_a_folder_keeps_the_partitions_that_its_topics_were_made_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BATON_PARTITIONS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 4)

    def partitions(workers: int = 1, given: Addresses = Addresses()) -> str | None:  # noqa: B008
        return plan(given, StackOptions(workers=workers), tmp_path).environment.get("BATON_PARTITIONS")

    assert partitions() == "2", "one for two cores"
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert partitions() == "1"
    assert partitions(workers=6) == "6", "one a worker at least"
    assert partitions(given=GIVEN) is None, "topics of others are theirs"
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    assert partitions() == "8", "as an older release made them"
    (tmp_path / "plan.json").write_text(Plan(Addresses(), {"BATON_PARTITIONS": "4"}, [], []).dump())
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert partitions() == "4"
    with pytest.raises(StartFailed, match=r"5 workers are wanted, and the topics in .* have 4 partitions"):
        partitions(workers=5)
    monkeypatch.setenv("BATON_PARTITIONS", "3")
    assert partitions(workers=5) == "3"


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["feed", "missing.csv"], {}, "missing.csv: no such file"),
        (["delivery", "x"], {}, "no stack runs"),
        (["check"], {"BATON_PARTITIONS": "many"}, "BATON_PARTITIONS is 'many'"),
        (
            ["run", "gateway"],
            {
                "BATON_GATEWAY_HOST": "0.0.0.0",
                "BATON_KAFKA": "x:1",
                "BATON_POSTGRES": "postgresql://x",
                "BATON_VALKEY": "redis://x",
            },
            "only the loopback",
        ),
        (
            ["delivery", "x"],
            {"BATON_KAFKA": "x:1", "BATON_POSTGRES": "postgresql://nobody@127.0.0.1:1/x", "BATON_VALKEY": "redis://x"},
            "Postgres does not answer",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    environment: dict[str, str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    for name in ("KAFKA", "POSTGRES", "VALKEY"):
        monkeypatch.delenv(f"BATON_{name}", raising=False)
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["baton", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_what_does_not_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    runner = CliRunner()
    assert "0.1.0" in runner.invoke(app, ["version"]).output
    assert runner.invoke(app, ["status"]).exit_code == 1
    assert "Nothing runs" in runner.invoke(app, ["down"]).output


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"Internal Server Error", ""),
        (b"[]", ""),
        (b'{"parts": 1}', ""),
        (b'{"parts": {"kafka": "away", "rest": "up"}}', "kafka: away"),
    ],
)
def test_an_error_page_that_is_not_ours_does_not_end_the_supervisor(page: bytes, said: str) -> None:
    assert what_is_down(page) == said
