"""Real servers and Baton's processes, kept running as a supervisor does, and what can be done to them."""

import importlib.util
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
from brokers import Broker, Brokers
from links import Link, Links
from outside import WEBHOOKS
from running import Dispatch, spawn

from deploy.local import Addresses, Server, start_servers, stop_servers
from deploy.local.ports import free_port
from dispatch import setup
from dispatch.core.policy import OfferPolicy, Policy, SearchPolicy
from projections.migrate import up

POLICY = Policy(
    version=9, offer=OfferPolicy(timeout_s=10), search=SearchPolicy(retry_first_s=0.5, retry_max_s=2, fresh_s=2)
)
Part = tuple[str, int]
_AGAIN_S = 0.5
_DEADLY = (str(Path(__file__).with_name("deadly.py")),)


class Crew:
    """Everything of one run. Starts and kills happen on one thread, for children end with the thread they are of."""

    def __init__(self, say: Callable[[str], None], *, brokers: int = 1, workers: int = 2) -> None:
        self._say = say
        self.folder = Path(tempfile.mkdtemp(prefix="baton-chaos-"))
        self.folder.chmod(0o755)
        self.links = Links()
        self.brokers = Brokers(self.folder, brokers, self.links)
        self.servers: dict[str, Server] = {}
        self.processes: dict[Part, subprocess.Popen[bytes]] = {}
        try:
            say(f"starting {brokers} of Kafka's brokers")
            self.brokers.start()
            direct, self.servers = start_servers(self.folder, Addresses(kafka=self.brokers.address), progress=say)
        except BaseException:
            stop_servers({broker.name: broker for broker in self.brokers.all})
            raise
        self.servers |= {broker.name: broker for broker in self.brokers.all}
        self.link_of: dict[str, Link] = {
            name: self.links.add(self.servers[name].port) for name in ("postgres", "valkey")
        }
        self.addresses = Addresses(direct.kafka, self._by_link("postgres", direct.postgres),
                                   self._by_link("valkey", direct.valkey))  # fmt: skip
        partitions = 4 if brokers == 1 else workers  # each that a transaction touches costs every broker
        self.dispatch = Dispatch(self.addresses, f"c{uuid.uuid4().hex[:6]}.", self.folder, partitions)
        copies = self.brokers.copies(self.dispatch.namespace)
        assert copies == {brokers}, f"topics have {copies} copies, {brokers} brokers are there"
        setup.publish_policy(self.dispatch.settings, POLICY)
        up(direct.postgres)
        self.gateway_port = free_port()
        self.link_of["gateway"] = self.links.add(self.gateway_port)
        self.workers = tuple(range(workers))
        self.parts: tuple[Part, ...] = (
            *(("worker", slot) for slot in self.workers), ("streams", 0), ("projector", 0), ("gateway", 0),
            ("webhooks", 0),
        )  # fmt: skip
        self.restarts: dict[Part, int] = dict.fromkeys(self.parts, -1)
        self._away: set[str] = set()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._started: dict[Part, float] = {}
        self._more: dict[Part, dict[str, str]] = {}
        """Of a process its environment beyond the settings, while it is to be odd."""
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
        for part in self.parts:
            process = self.processes.get(part)
            if (process is None or process.poll() is not None) and now - self._started.get(part, 0) > _AGAIN_S:
                self._started[part] = now
                self.restarts[part] += 1
                self.frozen.discard(part)
                self.processes[part] = self._spawned(part)

    def kill(self, part: Part) -> None:
        """SIGKILL; it is started again by the next round."""
        self.processes[part].kill()
        self.processes[part].wait()
        self._started[part] = 0

    def odd(self, part: Part, seconds: float, **environment: str) -> None:
        """Killed, started with more in its environment, and later started again without."""
        self._more[part] = environment
        self.kill(part)

        def ordinary() -> None:
            self._more.pop(part, None)
            self.kill(part)

        self._after(seconds, ordinary)

    def dies_once(self, part: Part, step: str) -> None:
        """Killed, and killed again by itself at a step of its loop."""
        self._more[part] = {"BATON_CRASH_AT": f"{step}:1"}
        self.kill(part)
        self._after(2 * _AGAIN_S, lambda: self._more.pop(part, None))

    def clock(self, part: Part, seconds: int, by_s: int) -> None:
        """The process' clock is off by so much for a while; what it waits for passes as ever."""
        found = importlib.util.find_spec("libfaketime")
        assert found is not None
        assert found.origin is not None
        library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
        self.odd(part, seconds, LD_PRELOAD=str(library), FAKETIME=f"{by_s:+d}s", FAKETIME_DONT_FAKE_MONOTONIC="1",
                 DONT_FAKE_MONOTONIC="1")  # fmt: skip

    def freeze(self, part: Part, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        process = self.processes[part]
        process.send_signal(signal.SIGSTOP)
        self.frozen.add(part)
        self._after(seconds, lambda: self._thaw(part, process))

    def freeze_server(self, name: str, seconds: float) -> None:
        """The same for a server and its children."""
        pid = self.servers[name].pid
        frozen = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)] if pid else []
        for process in frozen:
            process.suspend()

        def thaw() -> None:
            for process in frozen:
                if process.is_running():
                    process.resume()

        self._after(seconds, thaw)

    def take_away(self, name: str, seconds: float, *, stop: bool = False) -> None:
        """A server is killed, or stopped, and started again later."""
        server: Server = self.servers[name]
        self._away.add(name)
        server.stop() if stop else server.kill()
        self._after(seconds, lambda: self._away.discard(name))

    def fill_the_disk(self, broker: Broker, seconds: float) -> None:
        """Every write of a broker fails for a while, of which it ends; it is started again when there is room."""
        self._away.add(broker.name)
        broker.fill_the_disk()

        def room() -> None:
            self._away.discard(broker.name)
            broker.kill()

        self._after(seconds, room)

    def every_link(self) -> list[Link]:
        """Those of the brokers."""
        return [broker.link for broker in self.brokers.all]

    def disturb_links(self, links: list[Link], seconds: float, *, how: str) -> None:
        """`slow`, `cut` or `held` for a while."""
        for link in links:
            match how:
                case "slow":
                    link.delay_s = 0.1
                case "held":
                    link.holds = True
                case _:
                    link.refuses = True
                    self.links.reset(link)

        def heal() -> None:
            for link in links:
                if link.holds:
                    self.links.reset(link)  # a half open connection ends some time, and what waited in it is lost
                link.delay_s, link.holds, link.refuses = 0.0, False, False

        self._after(seconds, heal)

    def soon(self, seconds: float, action: Callable[[], None]) -> None:
        """Does it later, on this thread."""
        self._after(seconds, action)

    @property
    def all_back(self) -> bool:
        """Whether nothing is still to come back."""
        return not self._later

    @property
    def leader(self) -> Broker:
        """The broker that leads the first partition of the deliveries' commands."""
        return self.brokers.leader_of(f"{self.dispatch.namespace}delivery.commands")

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
        for server in self.servers.values():
            server.kill()
        self.links.close()
        if keep_logs:
            self._say(f"the logs are in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _spawned(self, part: Part) -> "subprocess.Popen[bytes]":
        kind, slot = part
        more = dict(self._more.get(part, {}))
        if kind == "gateway":
            more |= {"BATON_GATEWAY_PORT": str(self.gateway_port)}
        if kind in ("gateway", "webhooks"):
            more |= WEBHOOKS
        if kind == "worker":
            return spawn(self.dispatch.settings, kind, slot, _DEADLY, **more)
        return spawn(self.dispatch.settings, kind, slot, **more)

    def _by_link(self, name: str, address: str) -> str:
        return address.replace(f":{self.servers[name].port}", f":{self.link_of[name].port}")

    def _thaw(self, part: Part, process: "subprocess.Popen[bytes]") -> None:
        self.frozen.discard(part)
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, action))
