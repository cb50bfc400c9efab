"""Keeps servers and processes alive: health, restart with backoff, logs a process, a clean stop.

`python -m deploy.local.supervisor FOLDER PLAN` is the parent of everything that `baton up` starts. It writes
`status.json` as things change; children are signalled by the kernel should it die.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from deploy.local.errors import StartFailed
from deploy.local.servers import Addresses, Server, die_with_parent, end, make_servers, server_wait, stop_servers

_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_CALM_S = 30.0
"""Alive for so long, a child's next death is its first again."""
_TURN_S = 0.1
_HEALTH_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One of our processes."""

    name: str
    argv: list[str]
    health_url: str = ""


@dataclass(slots=True)
class Plan:
    """What to run: one-shot steps first, then the processes. Addresses given mean servers that are not ours."""

    given: Addresses
    environment: dict[str, str]
    setup: list[list[str]]
    processes: list[ProcessSpec]

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def load(text: str) -> "Plan":
        """From JSON."""
        said = json.loads(text)
        specs = [ProcessSpec(**spec) for spec in said["processes"]]
        return Plan(Addresses(**said["given"]), said["environment"], said["setup"], specs)


@dataclass(slots=True)
class Child:
    """A running process and its history."""

    spec: ProcessSpec
    process: "subprocess.Popen[bytes] | None" = None
    restarts: int = -1
    failures: int = 0
    started_at: float = 0.0
    due_at: float = 0.0
    state: str = "starting"
    checked_at: float = field(default=0.0)


class Supervisor:
    """The parent. `run` returns after a stop."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        self._servers: dict[str, Server] = {}
        self._server_since: dict[str, float] = {}
        self._server_restarts: dict[str, int] = {}
        self._children = [Child(spec) for spec in plan.processes]
        self._said = ""
        self._phase = "starting"
        self._problem = ""
        self._stopping = False

    def run(self) -> int:
        """Starts everything, watches it, stops it. Exit code 1 when it did not come up."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            self._start_servers()
            self._set_up()
            self._phase = "running"
            while not self._stopping:
                self._watch_servers()
                for child in self._children:
                    self._watch(child)
                self._say()
                time.sleep(_TURN_S)
        except StartFailed as error:
            self._problem = str(error)
        self._stop()
        return 1 if self._problem else 0

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _start_servers(self) -> None:
        self._servers = make_servers(self._folder, self._plan.given)
        for server in self._servers.values():
            self._problem_free(f"starting {server.name}", server.launch)
        for name, server in self._servers.items():
            self._problem_free(f"waiting for {name}", lambda server=server: server_wait(server))  # type: ignore[misc]
            self._server_since[name] = time.time()
            self._server_restarts[name] = 0

    def _problem_free(self, phase: str, act: Callable[[], None]) -> None:
        self._phase = phase
        self._say()
        if self._stopping:
            raise StartFailed("stopped while starting")
        act()

    def _environment(self) -> dict[str, str]:
        found = {
            f"BATON_{name.upper()}": getattr(self._plan.given, name) or self._servers[name].address
            for name in ("kafka", "postgres", "valkey")
        }
        return {**os.environ, **found, **self._plan.environment}

    def _set_up(self) -> None:
        for argv in self._plan.setup:
            self._phase = f"setting up ({argv[-1]})"
            self._say()
            log = self._folder / "logs" / "setup.log"
            with log.open("ab") as out:
                code = subprocess.run(argv, stdout=out, stderr=out, env=self._environment(), check=False).returncode
            if code:
                tail = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise StartFailed(f"setting up failed: {' '.join(tail)}")

    def _watch_servers(self) -> None:
        for name, server in self._servers.items():
            if not server.pid and not self._stopping:
                self._server_restarts[name] += 1
                server.launch()
                self._server_since[name] = time.time()

    def _watch(self, child: Child) -> None:
        now = time.monotonic()
        process = child.process
        if process is not None and process.poll() is None:
            if now - child.checked_at > _HEALTH_EVERY_S or child.state == "starting":
                child.checked_at = now
                child.state = _health(child.spec.health_url)
            if now - child.started_at > _CALM_S:
                child.failures = 0
            return
        if process is not None:
            child.process = None
            child.due_at = now + _BACKOFF_S[min(child.failures, len(_BACKOFF_S) - 1)]
            child.failures += 1
            child.state = f"ended with {process.returncode}"
        if now >= child.due_at:
            self._launch(child)

    def _launch(self, child: Child) -> None:
        log = self._folder / "logs" / f"{child.spec.name}.log"
        with log.open("ab") as out:
            child.process = subprocess.Popen(
                child.spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment(),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        child.restarts += 1
        child.started_at = time.monotonic()
        child.state = "starting"

    def _stop(self) -> None:
        self._phase = "stopping"
        self._say()
        for child in self._children:
            if child.process is not None:
                child.process.terminate()
        for child in self._children:
            if child.process is not None:
                end(child.process, 10)
        stop_servers(self._servers)
        self._children, self._servers = [], {}
        self._phase = "failed" if self._problem else "stopped"
        self._say()

    def _say(self) -> None:
        """Writes the status, when it changed."""
        rows = [
            {
                "name": name,
                "state": "up" if server.pid else "down",
                "pid": server.pid,
                "address": server.address,
                "since": round(self._server_since.get(name, 0)),
                "restarts": self._server_restarts.get(name, 0),
            }
            for name, server in self._servers.items()
        ]
        for child in self._children:
            rows.append(
                {
                    "name": child.spec.name,
                    "state": child.state,
                    "pid": child.process.pid if child.process else 0,
                    "address": child.spec.health_url.rsplit("/", 1)[0],
                    "since": round(time.time() - (time.monotonic() - child.started_at)) if child.started_at else 0,
                    "restarts": max(0, child.restarts),
                }
            )
        said = json.dumps(
            {
                "pid": os.getpid(),
                "started": psutil.Process().create_time(),
                "phase": self._phase,
                "problem": self._problem,
                "addresses": {name: server.address for name, server in self._servers.items()}
                | {name: address for name, address in asdict(self._plan.given).items() if address},
                "parts": rows,
            },
            indent=1,
        )
        if said != self._said:
            fresh = self._folder / "status.json.new"
            fresh.write_text(said)
            fresh.replace(self._folder / "status.json")
            self._said = said


def _health(url: str) -> str:
    """What the process says of itself."""
    if not url:
        return "up"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return "up" if answer.status == 200 else f"answers {answer.status}"
    except urllib.error.HTTPError as error:
        return _what_is_down(error.read()) or str(error)
    except (OSError, ValueError):
        return "starting"


def _what_is_down(body: bytes) -> str:
    """The parts that an answer names as not up; empty for a page that is not ours."""
    try:
        parts = json.loads(body)["parts"]
        return "; ".join(f"{name}: {state}" for name, state in parts.items() if state != "up")[:200]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


if __name__ == "__main__":
    sys.exit(Supervisor(Path(sys.argv[1]), Plan.load(Path(sys.argv[2]).read_text())).run())
