"""What the supervisor keeps alive: a server or a process of our own, its health, and its restarts with backoff."""

import http.client
import json
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from deploy.local.errors import StartFailed, why
from deploy.local.processes import Noted, die_with_parent, yield_to_others

_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_CALM_S = 30.0
"""Alive for so long, a part's next death is its first again."""
_HEALTH_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One of our processes."""

    name: str
    argv: list[str]
    health_url: str = ""
    nice: int = 0
    """0..19: how far it yields to others when the machine is full."""
    role: str = ""
    """As whom it logs in to our own Postgres; empty: as the owner of the tables."""


class Runnable(Protocol):
    """What `Part` asks of a server or of a process of our own."""

    name: str
    stop_signal: int
    process: "subprocess.Popen[bytes] | None"

    @property
    def address(self) -> str:
        """Where it answers."""

    @property
    def ports(self) -> list[int]:
        """What must be free before it starts."""

    def launch(self) -> None:
        """Starts without waiting; raises OSError or StartFailed."""

    def health(self) -> str:
        """ "up", empty for no answer, or what is wrong; called from other threads."""


class OwnProcess:
    """One of our processes as a child, with a log of its own. `environment`: what one of a role is given."""

    stop_signal: int = signal.SIGTERM

    def __init__(self, spec: ProcessSpec, folder: Path, environment: Callable[[str], dict[str, str]]) -> None:
        self.name = spec.name
        self.process: subprocess.Popen[bytes] | None = None
        self._spec, self._environment = spec, environment
        self._log = folder / "logs" / f"{spec.name}.log"

    @property
    def address(self) -> str:
        """The beginning of its health page's."""
        return self._spec.health_url.rsplit("/", 1)[0]

    @property
    def ports(self) -> list[int]:
        """Its health page's."""
        port = urllib.parse.urlsplit(self._spec.health_url).port
        return [port] if port else []

    def launch(self) -> None:
        """Starts without waiting. Must be called by the main thread, whose end is the child's end."""
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(
                self._spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment(self._spec.role),
                start_new_session=True,
                preexec_fn=self._born,
            )

    def _born(self) -> None:
        die_with_parent()
        yield_to_others(self._spec.nice)

    def health(self) -> str:
        """What it says of itself."""
        return health_of(self._spec.health_url)


class Part:
    """One runnable and its history."""

    def __init__(self, runs: Runnable) -> None:
        self.runs = runs
        self.state = "starting"
        self._restarts = -1
        self._failures = 0
        self._since = 0.0
        self._started_at = self._due_at = self._asked_at = 0.0
        self._answer: Future[str] | None = None
        self._noted: Noted | None = None

    def launch(self) -> None:
        """Starts it, and notes the process at once. Raises OSError or StartFailed."""
        self._answer, self._noted = None, None
        self.state = "starting"
        self.runs.launch()
        assert self.runs.process is not None
        self._restarts += 1
        self._since, self._started_at = time.time(), time.monotonic()
        pid = self.runs.process.pid
        self._noted = Noted(self.runs.name, pid, psutil.Process(pid).create_time(), self.runs.stop_signal)

    def watch(self, asking: Executor) -> None:
        """One turn: takes and asks for its health while it lives; starts it again, after a pause, when it does not."""
        now = time.monotonic()
        process = self.runs.process
        if process is not None and process.poll() is None:
            self._take_health(now, asking)
            if now - self._started_at > _CALM_S:
                self._failures = 0
            return
        if process is not None:
            self.runs.process = None
            self._failed(now, f"ended with {process.returncode}")
        if now >= self._due_at:
            try:
                self.launch()
            except (OSError, StartFailed) as error:
                self._failed(now, f"cannot start: {why(error) if isinstance(error, OSError) else error}")

    def noted(self) -> list[Noted]:
        """Its process, for whoever comes after a supervisor that was killed."""
        process = self.runs.process
        return [self._noted] if self._noted and process is not None and process.poll() is None else []

    def row(self) -> dict[str, str | int]:
        """Its line in the status."""
        process = self.runs.process
        return {
            "name": self.runs.name,
            "state": self.state,
            "pid": process.pid if process is not None and process.poll() is None else 0,
            "address": self.runs.address,
            "since": round(self._since),
            "restarts": max(0, self._restarts),
        }

    def _failed(self, now: float, state: str) -> None:
        self._due_at = now + _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]
        self._failures += 1
        self._answer = None
        self.state = state

    def _take_health(self, now: float, asking: Executor) -> None:
        """Asked in another thread, so that one that hangs does not hold up the rest."""
        if self._answer is not None and self._answer.done():
            self.state = self._answer.result() or ("starting" if self.state == "starting" else "does not answer")
            self._answer = None
        if self._answer is None and (now - self._asked_at > _HEALTH_EVERY_S or self.state == "starting"):
            self._asked_at = now
            self._answer = asking.submit(self.runs.health)


def health_of(url: str) -> str:
    """What a health page says: "up", what is not, or empty for no answer."""
    if not url:
        return "up"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return "up" if answer.status == 200 else f"answers {answer.status}"
    except urllib.error.HTTPError as error:
        return what_is_down(error.read()) or str(error)
    except (OSError, ValueError, http.client.HTTPException):
        return ""


def what_is_down(body: bytes) -> str:
    """The parts that an answer names as not up; empty for a page that is not ours."""
    try:
        parts = json.loads(body)["parts"]
        return "; ".join(f"{name}: {state}" for name, state in parts.items() if state != "up")[:200]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
