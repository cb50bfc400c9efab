"""What goes wrong under a stack: servers that keep dying or hang, a killed supervisor, full disks, taken ports."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_stack import CHILD, GIVEN, STUBBORN, WEB, a_plan, alive, part, python, quiet, until

from deploy.local import StartFailed, stack
from deploy.local.parts import ProcessSpec
from deploy.local.servers import free_port
from deploy.local.stack import down, running, status, up
from deploy.local.supervisor import Plan
from dispatch.cli import main


@contextlib.contextmanager
def starting(folder: Path, plan: Plan) -> Iterator[list[str]]:
    """`up` in a thread of its own; the list takes what it raises."""
    failed: list[str] = []

    def start() -> None:
        try:
            up(folder, plan, quiet)
        except StartFailed as error:
            failed.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    try:
        yield failed
    finally:
        thread.join(30)


def test_a_server_that_keeps_dying_is_restarted_with_longer_and_longer_pauses(folder: Path) -> None:
    up(folder, a_plan(CHILD), quiet)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        if pid := part(folder, "valkey")["pid"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    assert part(folder, "valkey")["restarts"] <= 4
    until(lambda: part(folder, "valkey")["restarts"] >= 1)
    until(lambda: part(folder, "valkey")["state"] == "up")


def test_a_server_that_hangs_is_not_up(folder: Path) -> None:
    pid = next(row["pid"] for row in up(folder, a_plan(CHILD), quiet)["parts"] if row["name"] == "valkey")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: part(folder, "valkey")["state"] == "does not answer")
    assert part(folder, "valkey")["pid"] == pid
    os.kill(pid, signal.SIGCONT)
    until(lambda: part(folder, "valkey")["state"] == "up")


def test_processes_that_hang_do_not_delay_the_restart_of_another(folder: Path) -> None:
    ports = [free_port() for _ in range(5)]
    specs = [ProcessSpec(f"web-{port}", python(WEB, str(port)), f"http://127.0.0.1:{port}/") for port in ports]
    said = up(folder, Plan(GIVEN, {}, [], [*specs, ProcessSpec("child", python(CHILD))]), quiet)
    webs = [row["pid"] for row in said["parts"] if row["name"].startswith("web")]
    try:
        for pid in webs:
            os.kill(pid, signal.SIGSTOP)
        until(lambda: part(folder, f"web-{ports[4]}")["state"] == "does not answer")
        for _ in range(2):
            pid = part(folder, "child")["pid"]
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: part(folder, "child")["pid"] not in (0, pid), 8)  # type: ignore[misc]
    finally:
        for pid in webs:
            os.kill(pid, signal.SIGCONT)


def test_what_a_killed_supervisor_left_is_ended_by_the_next_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "_LEFT_S", 1.0)
    first = up(folder, a_plan(STUBBORN), quiet)
    until(lambda: "begun" in (folder / "logs" / "child-0.log").read_text())  # deaf to SIGTERM from here on
    os.kill(first["pid"], signal.SIGKILL)
    left = next(row["pid"] for row in first["parts"] if row["name"] == "child-0")
    until(lambda: not alive(first["pid"]))
    assert alive(left)
    second = up(folder, a_plan(CHILD), quiet)
    assert not alive(left)
    assert second["addresses"] == first["addresses"]


def test_down_ends_what_a_killed_supervisor_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "_LEFT_S", 0.5)
    said = up(folder, a_plan(STUBBORN), quiet)
    until(lambda: "begun" in (folder / "logs" / "child-0.log").read_text())
    os.kill(said["pid"], signal.SIGKILL)
    until(lambda: not alive(said["pid"]))
    assert down(folder)
    assert not any(alive(row["pid"]) for row in said["parts"])
    assert not down(folder)


def test_a_process_that_only_has_the_number_of_a_former_one_is_left_alone(folder: Path) -> None:
    with subprocess.Popen(python(CHILD), stdout=subprocess.DEVNULL) as other:
        began = psutil.Process(other.pid).create_time()
        noted = {"name": "worker-0", "pid": other.pid, "started": began - 100, "stop": int(signal.SIGTERM)}
        folder.mkdir()
        said = {"pid": other.pid, "started": began - 100, "phase": "running", "parts": [], "processes": [noted]}
        (folder / "status.json").write_text(json.dumps(said))
        up(folder, a_plan(CHILD), quiet)
        assert other.poll() is None
        other.kill()


def test_a_set_up_step_does_not_outlive_a_supervisor_that_is_killed(folder: Path, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    step = python(f"import os; open({str(note)!r}, 'w').write(str(os.getpid())); {CHILD}")
    with starting(folder, a_plan(CHILD, setup=[step])) as failed:
        until(lambda: note.exists() and note.read_text())
        os.kill(status(folder)["pid"], signal.SIGKILL)
        until(lambda: not alive(int(note.read_text())), 5)
    assert "supervisor ended" in failed[0]


def test_a_stop_does_not_wait_for_a_long_set_up_step(folder: Path, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    step = python(f"import os; open({str(note)!r}, 'w').write(str(os.getpid())); {CHILD}")
    with starting(folder, a_plan(CHILD, setup=[step])) as failed:
        until(lambda: note.exists() and note.read_text())
        assert down(folder)
        assert not alive(int(note.read_text()))
    assert failed == ["stopped while starting"]


def full(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).symlink_to("/dev/full")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands in for a full disk")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: full(folder, "plan.json"), "No space left on device"),
        (lambda folder: full(folder, "status.json.new"), "No space left on device"),
        (lambda folder: full(folder, "logs"), "File exists"),
        (lambda folder: folder.write_text("not a folder"), "File exists"),
        (lambda folder: (folder / "status.json").mkdir(parents=True), "Is a directory"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_sentence_and_exit_code_2(
    spoil: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    spoil(tmp_path / "spoilt")
    monkeypatch.setenv("BATON_HOME", str(tmp_path / "spoilt"))
    monkeypatch.setenv("BATON_KAFKA", GIVEN.kafka)
    monkeypatch.setenv("BATON_POSTGRES", GIVEN.postgres)
    monkeypatch.delenv("BATON_VALKEY", raising=False)
    monkeypatch.setattr(sys, "argv", ["baton", "up"])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in error
    assert str(tmp_path / "spoilt") in error
    assert error.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands in for a full disk")
def test_a_disk_that_fills_up_does_not_end_a_running_stack(folder: Path) -> None:
    said = up(folder, a_plan(CHILD), quiet)
    (folder / "status.json.new").symlink_to("/dev/full")
    pid = part(folder, "child-0")["pid"]
    os.kill(pid, signal.SIGKILL)
    time.sleep(1.0)
    assert running(folder)["pid"] == said["pid"]
    (folder / "status.json.new").unlink()
    until(lambda: part(folder, "child-0")["pid"] not in (0, pid))


@pytest.mark.parametrize("whose", ["valkey", "gateway"])
def test_a_port_that_another_program_has_is_told_with_the_programs_name(folder: Path, whose: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        plan = a_plan()
        if whose == "gateway":
            plan.processes.append(ProcessSpec("gateway", python(CHILD), f"http://127.0.0.1:{port}/ready"))
        else:
            folder.mkdir()
            (folder / "ports.json").write_text(json.dumps({"valkey": port}))
        began = time.monotonic()
        with pytest.raises(StartFailed, match=rf"port {port} of {whose} is in use by .*\(pid {os.getpid()}\)"):
            up(folder, plan, quiet)
        assert time.monotonic() - began < 20, "before anything is waited for"
    assert running(folder) == {}


def test_of_two_starts_at_once_one_wins_and_the_other_says_who_is_at_it(folder: Path) -> None:
    with starting(folder, a_plan(CHILD, setup=[python("import time; time.sleep(6)")])) as failed:
        until(lambda: (folder / "up.lock").exists() and (folder / "up.lock").read_text())
        with pytest.raises(StartFailed, match=rf"is being started by pid {os.getpid()}"):
            up(folder, a_plan(CHILD), quiet)
    assert failed == []
    assert status(folder)["phase"] == "running"


def start_of(folder: Path, plan: Plan) -> str:
    return f"""
from pathlib import Path
from deploy.local.stack import up
from deploy.local.supervisor import Plan
up(Path({str(folder)!r}), Plan.load({plan.dump()!r}), print)
"""


def test_a_start_that_is_interrupted_leaves_nothing_running(folder: Path) -> None:
    program = start_of(folder, a_plan(CHILD, setup=[python(CHILD)]))
    with subprocess.Popen(
        python(program), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores it
    ) as first:  # fmt: skip
        until(lambda: (folder / "status.json").exists() and status(folder)["phase"].startswith("setting up"))
        first.send_signal(signal.SIGINT)
        first.wait(60)
    assert running(folder) == {}
    assert status(folder)["phase"] == "failed"


def test_a_start_that_was_killed_leaves_its_supervisor_in_charge(folder: Path) -> None:
    plan = a_plan(CHILD, setup=[python("import time; time.sleep(6)")])
    with subprocess.Popen(python(start_of(folder, plan)), stdout=subprocess.DEVNULL) as first:
        until(lambda: (folder / "status.json").exists())
        first.kill()
    with pytest.raises(StartFailed, match=f"is being started by pid {first.pid}"):
        up(folder, a_plan(CHILD), quiet)
    until(lambda: status(folder)["phase"] == "running")
    with pytest.raises(StartFailed, match="is running in"):
        up(folder, a_plan(CHILD), quiet)
