"""What Kafka, Postgres and Valkey have in common as child processes: each can be asked, stopped, frozen, killed."""

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from deploy.local.errors import StartFailed
from deploy.local.ports import free_port
from deploy.local.processes import die_with_parent, end


class Server(ABC):
    """One server in a folder."""

    name: str
    limit_s = 40.0
    stop_signal: int = signal.SIGTERM

    def __init__(self, folder: Path, port: int | None = None, *, orphan: bool = False) -> None:
        self.folder = folder / self.name
        self.log = folder / "logs" / f"{self.name}.log"
        self.port = port or free_port()
        self.tie: Callable[[], None] | None = None if orphan else die_with_parent
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def address(self) -> str:
        """What clients are given."""

    @abstractmethod
    def prepare(self) -> None:
        """Makes the data folder, once."""

    @abstractmethod
    def command(self) -> list[str]:
        """The server's command line."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client gets an answer."""

    @property
    def ports(self) -> list[int]:
        """Every port that it listens on."""
        return [self.port]

    def well(self) -> bool:
        """Whether a server that once answered still does; asked every second, so it must be cheap."""
        return self.answers()

    def health(self) -> str:
        """As of our own processes: "up", or empty when it does not answer."""
        return "up" if self.well() else ""

    @property
    def pid(self) -> int:
        """0: not running."""
        return self.process.pid if self.process and self.process.poll() is None else 0

    def start(self) -> None:
        """Starts and waits until it answers. Raises StartFailed with the last lines of its log."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Starts without waiting."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.prepare()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self.tie,
                user=self.user(),
            )

    def wait(self) -> None:
        """Waits until the launched server answers. Raises StartFailed."""
        until = time.monotonic() + self.limit_s
        while not self.answers():
            if not self.pid:
                raise StartFailed(f"{self.name} ended while starting: {self.last_lines()}")
            if time.monotonic() > until:
                raise StartFailed(f"{self.name} did not answer within {self.limit_s:g} s: {self.last_lines()}")
            time.sleep(0.1)

    def user(self) -> int | None:
        """The system user to run as; None: the present one."""
        return None

    def stop(self, within_s: float = 15) -> None:
        """Asks it to end, and insists when it does not."""
        if self.process is not None:
            end(self.process, within_s, self.stop_signal)

    def kill(self) -> None:
        """SIGKILL, to it and its children."""
        if self.process is not None and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGCONT)

    def last_lines(self, count: int = 3) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " | ".join(line.strip()[:200] for line in lines[-count:]) or "its log is empty"
