"""Keeps servers and processes alive: health, restart with backoff, logs a process, a clean stop.

`python -m deploy.local.supervisor FOLDER PLAN` is the parent of everything that `baton up` starts. It writes
`status.json` as things change; children are signalled by the kernel should it die, and noted there for `stack` to end
what does not heed it. What kept it from starting it says on standard output, for a full disk takes no status.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import psutil

from deploy.local.errors import StartFailed, in_one_sentence, why
from deploy.local.parts import OwnProcess, Part, ProcessSpec, Runnable
from deploy.local.ports import why_not
from deploy.local.processes import Noted, die_with_parent, end
from deploy.local.server import Server
from deploy.local.servers import Addresses, make_servers, stop_servers

_TURN_S = 0.1
_STOP_S = 10.0


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


class Supervisor:
    """The parent. `run` returns after a stop."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        self._servers: dict[str, Server] = {}
        self._server_parts: list[Part] = []
        self._children = [OwnProcess(spec, folder, self._environment) for spec in plan.processes]
        self._child_parts = [Part(child) for child in self._children]
        self._step: list[Noted] = []
        self._said = ""
        self._unsaid = ""
        self._phase = "starting"
        self._problem = ""
        self._stopping = False

    def run(self) -> str:
        """Starts everything, watches it, stops it. Returns why it did not come up; empty: it did."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            with in_one_sentence(self._folder):
                self._start_servers()
                self._set_up()
            self._phase = "running"
            self._keep_alive()
        except StartFailed as error:
            self._problem = str(error)
        self._stop()
        return self._problem

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _keep_alive(self) -> None:
        parts = [*self._server_parts, *self._child_parts]
        asking = ThreadPoolExecutor(2 * len(parts) or 1, "health")  # a question to a dead process can still hang
        while not self._stopping:
            for part in parts:
                part.watch(asking)
            self._say_if_possible()
            time.sleep(_TURN_S)
        asking.shutdown(wait=False, cancel_futures=True)

    def _start_servers(self) -> None:
        self._enter("starting")
        self._servers = make_servers(self._folder, self._plan.given)
        self._refuse_taken_ports([*self._servers.values(), *self._children])
        self._server_parts = [Part(server) for server in self._servers.values()]
        for part in self._server_parts:
            self._enter(f"starting {part.runs.name}")
            part.launch()
        for part, server in zip(self._server_parts, self._servers.values(), strict=True):
            self._enter(f"waiting for {server.name}")
            server.wait()
            part.state = "up"

    @staticmethod
    def _refuse_taken_ports(runnables: Sequence[Runnable]) -> None:
        """Before anything starts: later the cause would be somewhere in a log."""
        for each in runnables:
            for port in each.ports:
                if trouble := why_not(port):
                    raise StartFailed(f"port {port} of {each.name} {trouble}")

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._say()
        if self._stopping:
            raise StartFailed("stopped while starting")

    def _environment(self, role: str = "") -> dict[str, str]:
        """An address that was given stays as it was given; our own Postgres lets each role in under its name."""
        found = {
            f"BATON_{name.upper()}": getattr(self._plan.given, name) or self._servers[name].address
            for name in ("kafka", "postgres", "valkey")
        }
        if role and not self._plan.given.postgres:
            found["BATON_POSTGRES"] = found["BATON_POSTGRES"].replace("//baton@", f"//{role}@", 1)
        return {**os.environ, **found, **self._plan.environment}

    def _set_up(self) -> None:
        for argv in self._plan.setup:
            phase = f"setting up ({argv[-1]})"
            self._enter(phase)
            log = self._folder / "logs" / "setup.log"
            with log.open("ab") as out:
                step = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env=self._environment(),
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            self._step = [Noted("setup", step.pid, psutil.Process(step.pid).create_time(), signal.SIGTERM)]
            try:
                while step.poll() is None:
                    self._enter(phase)
                    time.sleep(_TURN_S)
            finally:
                end(step, _STOP_S)
                self._step = []
            if step.returncode:
                tail = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise StartFailed(f"setting up failed: {' '.join(tail)}")

    def _stop(self) -> None:
        self._phase = "stopping"
        self._say_if_possible()
        for child in self._children:
            if child.process is not None:
                child.process.terminate()
        until = time.monotonic() + _STOP_S
        for child in self._children:
            if child.process is not None:
                end(child.process, max(0.0, until - time.monotonic()))
        stop_servers(self._servers)
        self._server_parts, self._child_parts = [], []
        self._phase = "failed" if self._problem else "stopped"
        self._say_if_possible()

    def _say_if_possible(self) -> None:
        """A disk that is full must not end what runs: what could not be written is tried again at the next turn."""
        try:
            self._say()
            self._unsaid = ""
        except OSError as error:
            if str(error) != self._unsaid:
                self._unsaid = str(error)
                with contextlib.suppress(OSError):  # the log may be on the same disk
                    print(f"the status could not be written: {why(error)}", file=sys.stderr, flush=True)

    def _say(self) -> None:
        """Writes the status, when it changed. Raises OSError."""
        parts = [*self._server_parts, *self._child_parts]
        said = json.dumps(
            {
                "pid": os.getpid(),
                "started": psutil.Process().create_time(),
                "phase": self._phase,
                "problem": self._problem,
                "addresses": {name: server.address for name, server in self._servers.items()}
                | {name: address for name, address in asdict(self._plan.given).items() if address},
                "parts": [part.row() for part in parts],
                "processes": [asdict(one) for one in (*self._step, *(one for part in parts for one in part.noted()))],
            },
            indent=1,
        )
        if said != self._said:
            fresh = self._folder / "status.json.new"
            fresh.write_text(said)
            fresh.replace(self._folder / "status.json")
            self._said = said


def main(folder: str, plan: str) -> int:
    """Exit code 1 when it did not come up, with the reason on standard output."""
    problem = Supervisor(Path(folder), Plan.load(Path(plan).read_text())).run()
    if problem:
        with contextlib.suppress(BrokenPipeError):  # whoever started it no longer listens
            os.write(sys.stdout.fileno(), problem.encode())
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
