"""`baton up`, `down`, `status`: starts the supervisor of a folder, waits for it, stops it."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.errors import StartFailed, in_one_sentence
from deploy.local.parts import ProcessSpec
from deploy.local.ports import free_port
from deploy.local.processes import Noted, end_noted, process_is
from deploy.local.servers import Addresses
from deploy.local.supervisor import Plan

_START_S = 180.0
_STOP_S = 60.0
_LEFT_S = 15.0
_CLAIM_S = 0.5
"""A supervisor that was just killed holds its lock until its last thread is gone."""
LOCAL_KEY = "sign-in.public.pem"
AUDIT_KEY = "audit.private.pem"
_PARTITIONS, _PARTITIONS_MOST = "BATON_PARTITIONS", 8
"""Of the keyed topics. Each that a transaction writes to is a request of its own, and they go one after the other."""
_CORES_A_PARTITION = 2
"""A worker takes a fifth of what all of Baton takes: where all is on one machine, more decide nothing sooner."""
FOLLOWS = 10
"""How far those processes yield on a full machine on which no decision and no door rests: they are sure of a tenth of
another's share, and have all that is left over. With equal shares the worker had a third of a core, and what it decides
came seconds late; the tables are late on such a machine either way (docs/decisions/0034)."""
Status = dict[str, Any]
_LEFT_RUNNING: list["subprocess.Popen[bytes]"] = []
"""Supervisors that this process started and does not wait for: they outlive it."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How the stack is to be."""

    workers: int = 1
    speed: float = 1.0
    gateway_port: int = 0
    """The first gateway's; the others have any free one."""
    gateways: int = 1


def baton(*arguments: str) -> list[str]:
    """The command line of our own command in this environment."""
    return [sys.executable, "-m", "dispatch.cli", *arguments]


def plan(given: Addresses, options: StackOptions, folder: Path) -> Plan:
    """Topics, policy and tables first; then workers, streams, projector, followers, gateway."""
    gateway_port = options.gateway_port or free_port()
    environment = _partitions(given, options.workers, folder) | {
        "BATON_HOME": str(folder),
        "BATON_GATEWAY_PORT": str(gateway_port),
    }
    environment["PYTHONDONTWRITEBYTECODE"] = ""  # compiled once: to do it at each start anew is most of the start
    if not any(os.environ.get(f"BATON_SIGN_IN_{name}") for name in ("JWKS", "KEY_FILE")):
        environment["BATON_SIGN_IN_KEY_FILE"] = str(folder / LOCAL_KEY)  # `baton setup` makes it
    if not os.environ.get("BATON_AUDIT_KEY_FILE"):
        environment["BATON_AUDIT_KEY_FILE"] = str(folder / AUDIT_KEY)  # `baton setup` makes this too
    processes = []
    for name, nice, role, more in (
        *((f"worker-{slot}", 0, "worker", ["run", "worker", "--slot", str(slot)]) for slot in range(options.workers)),
        ("streams", 0, "worker", ["run", "streams"]),
        ("projector", FOLLOWS, "projector", ["run", "projector"]),
        ("followers", FOLLOWS, "notifier", ["run", "followers"]),
    ):
        port, argv = free_port(), baton(*more, "--health-port")
        url = f"http://127.0.0.1:{port}/ready"
        processes.append(ProcessSpec(name, [*argv, str(port)], url, nice, f"baton_{role}"))
    for slot, port in enumerate([gateway_port, *(free_port() for _ in range(options.gateways - 1))]):
        name, its_own = (
            ("gateway", []) if slot == 0 else (f"gateway-{slot}", ["--slot", f"{slot}", "--port", f"{port}"])
        )
        url = f"http://127.0.0.1:{port}/ready"
        processes.append(ProcessSpec(name, baton("run", "gateway", *its_own), url, role="baton_gateway"))
    return Plan(given, environment, [baton("setup", "--speed", str(options.speed))], processes)


def _partitions(given: Addresses, workers: int, folder: Path) -> dict[str, str]:
    """As the folder's topics have them; of new ones one for two cores. Raises StartFailed for more workers."""
    said = os.environ.get(_PARTITIONS)
    if given.kafka or said:
        return {_PARTITIONS: said} if said else {}
    if (folder / "kafka" / "data").exists():
        plan_file = folder / "plan.json"
        last = json.loads(plan_file.read_text())["environment"] if plan_file.exists() else {}
        said = last.get(_PARTITIONS, str(_PARTITIONS_MOST))  # as an older release made them
        if workers > int(said):
            raise StartFailed(
                f"{workers} workers are wanted, and the topics in {folder} have {said} partitions, of which each has "
                f"one at least; another BATON_HOME is given more by {_PARTITIONS}"
            )
        return {_PARTITIONS: said}
    return {_PARTITIONS: str(max(workers, min(_PARTITIONS_MOST, (os.cpu_count() or 1) // _CORES_A_PARTITION)))}


def up(folder: Path, made: Plan, told: Callable[[str], None]) -> Status:
    """Starts the folder's stack and waits until every part is up. Raises StartFailed, with nothing left running."""
    with in_one_sentence(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _claimed(folder) as claim:
            _end_what_is_left(folder, told)
            (folder / "logs").mkdir(exist_ok=True)
            (folder / "status.json").unlink(missing_ok=True)
            plan_file = folder / "plan.json"
            plan_file.write_text(made.dump())
            with (folder / "logs" / "supervisor.log").open("ab") as out:
                supervisor = subprocess.Popen(
                    [sys.executable, "-m", "deploy.local.supervisor", str(folder), str(plan_file)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=out,
                    start_new_session=True,
                    pass_fds=[claim],
                )
        _LEFT_RUNNING.append(supervisor)
        assert supervisor.stdout is not None
        with supervisor.stdout:
            try:
                return _await_up(folder, supervisor, told)
            except BaseException:  # an interruption, too, must not leave it half started
                supervisor.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    supervisor.wait(_STOP_S)
                raise


def down(folder: Path) -> bool:
    """Stops the folder's stack; False when none runs. Raises StartFailed when it does not end."""
    with in_one_sentence(folder):
        said = running(folder)
        if not said:
            return _end_what_is_left(folder, lambda _text: None)
        with contextlib.suppress(ProcessLookupError):
            os.kill(said["pid"], signal.SIGTERM)
        until = time.monotonic() + _STOP_S
        while process_is(said["pid"], said["started"]):
            if time.monotonic() > until:
                raise StartFailed(f"the supervisor (pid {said['pid']}) did not end within {_STOP_S:g} s")
            time.sleep(0.1)
        for supervisor in _LEFT_RUNNING:
            supervisor.poll()  # collects it, when it was ours
        return True


def status(folder: Path) -> Status:
    """What the supervisor last said; empty: nothing was ever started here."""
    place = folder / "status.json"
    with in_one_sentence(folder):
        said: Status = json.loads(place.read_text()) if place.exists() else {}
    return said


def running(folder: Path) -> Status:
    """The status, if its supervisor is alive; else empty."""
    said = status(folder)
    return said if said and process_is(said["pid"], said["started"]) else {}


def addresses(folder: Path) -> Addresses:
    """Where the running stack's servers are. Raises StartFailed when none runs."""
    said = running(folder)
    if not said:
        raise StartFailed(f"no stack runs in {folder}; `baton up` starts one, or give BATON_KAFKA and its kin")
    return Addresses(**said["addresses"])


def _await_up(folder: Path, supervisor: "subprocess.Popen[bytes]", told: Callable[[str], None]) -> Status:
    until, last = time.monotonic() + _START_S, ""
    while time.monotonic() < until:
        said = status(folder)
        waits = [part["name"] for part in said.get("parts", []) if part["state"] != "up"]
        text = said.get("phase", "starting")
        if text == "running":
            if not waits:
                return said
            text = f"waiting for {', '.join(waits)}"
        if text != last:
            told(text)
            last = text
        if supervisor.poll() is not None:
            assert supervisor.stdout is not None
            problem = supervisor.stdout.read().decode()
            raise StartFailed(problem or f"the supervisor ended with {supervisor.returncode}; see {folder / 'logs'}")
        time.sleep(0.1)
    states = {part["name"]: part["state"] for part in status(folder).get("parts", []) if part["state"] != "up"}
    raise StartFailed(f"not up within {_START_S:g} s: {states}; see {folder / 'logs'}")


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[int]:
    """The folder's lock, which the supervisor inherits and keeps while it lives. Raises StartFailed: it is taken."""
    claim = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until = time.monotonic() + _CLAIM_S
        while not _locked(claim):
            if time.monotonic() > until:
                raise StartFailed(_who_has(folder, os.read(claim, 20).decode()))
            time.sleep(0.05)
        os.ftruncate(claim, 0)
        os.write(claim, str(os.getpid()).encode())
        yield claim
    finally:
        os.close(claim)


def _locked(claim: int) -> bool:
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _who_has(folder: Path, pid: str) -> str:
    phase = running(folder).get("phase")
    if phase == "running":
        return f"a stack is running in {folder}; `baton down` stops it, BATON_HOME names another folder"
    if phase == "stopping":
        return f"the stack in {folder} is being stopped; try again in a moment"
    return f"the stack in {folder} is being started by pid {pid}"


def _end_what_is_left(folder: Path, told: Callable[[str], None]) -> bool:
    """What a killed supervisor left would hold ports and data folders. Raises StartFailed when it does not end."""
    noted = [Noted(**one) for one in status(folder).get("processes", [])]
    left = [one for one in noted if process_is(one.pid, one.started)]
    if left:
        told(f"ending what an earlier stack left: {', '.join(one.name for one in left)}")
        end_noted(left, _LEFT_S)
    return bool(left)
