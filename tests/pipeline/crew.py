"""Real servers and Baton's processes, kept running as a supervisor does, and what can be done to them."""

import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from running import Dispatch, spawn

from deploy.local import Addresses, Server, start_servers, stop_servers
from dispatch import setup
from dispatch.core.policy import OfferPolicy, Policy, SearchPolicy
from projections.migrate import up

POLICY = Policy(
    version=9, offer=OfferPolicy(timeout_s=10), search=SearchPolicy(retry_first_s=0.5, retry_max_s=2, fresh_s=2)
)
PROCESSES = (("worker", 0), ("worker", 1), ("streams", 0), ("projector", 0))
Part = tuple[str, int]
_AGAIN_S = 0.5


class Crew:
    """Everything of one run. Starts and kills happen on one thread, for children end with the thread they are of."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.folder = Path(tempfile.mkdtemp(prefix="baton-chaos-"))
        self.folder.chmod(0o755)
        self.addresses, self.servers = start_servers(self.folder, Addresses(), progress=say)
        self.dispatch = Dispatch(self.addresses, f"c{uuid.uuid4().hex[:6]}.", self.folder)
        setup.publish_policy(self.dispatch.settings, POLICY)
        up(self.addresses.postgres)
        self.processes: dict[Part, subprocess.Popen[bytes]] = {}
        self.restarts: dict[Part, int] = dict.fromkeys(PROCESSES, -1)
        self._away: set[str] = set()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._started: dict[Part, float] = {}
        self.frozen: set[Part] = set()
        self.keep()

    def keep(self) -> None:
        """Starts what ended and should run, and does what is due by now."""
        now = time.monotonic()
        for due in [due for due in self._later if due[0] <= now]:
            self._later.remove(due)
            due[1]()
        for name, server in self.servers.items():
            if not server.pid and name not in self._away:
                server.launch()
        for part in PROCESSES:
            process = self.processes.get(part)
            if (process is None or process.poll() is not None) and now - self._started.get(part, 0) > _AGAIN_S:
                self._started[part] = now
                self.restarts[part] += 1
                self.frozen.discard(part)
                self.processes[part] = spawn(self.dispatch.settings, *part)

    def kill(self, part: Part) -> None:
        """SIGKILL; it is started again by the next round."""
        self.processes[part].kill()
        self.processes[part].wait()
        self._started[part] = 0

    def freeze(self, part: Part, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        process = self.processes[part]
        process.send_signal(signal.SIGSTOP)
        self.frozen.add(part)
        self._after(seconds, lambda: self._thaw(part, process))

    def take_away(self, name: str, seconds: float, *, stop: bool = False) -> None:
        """A server is killed, or stopped, and started again later."""
        server: Server = self.servers[name]
        self._away.add(name)
        server.stop() if stop else server.kill()
        self._after(seconds, lambda: self._away.discard(name))

    @property
    def all_back(self) -> bool:
        """Whether nothing is still to come back."""
        return not self._later

    def close(self, *, keep_logs: bool) -> None:
        """Ends all, frozen ones too."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        stop_servers(self.servers)
        if keep_logs:
            self._say(f"the logs are in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _thaw(self, part: Part, process: "subprocess.Popen[bytes]") -> None:
        self.frozen.discard(part)
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, action))
