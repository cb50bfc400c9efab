"""Kafka: one broker that is its own controller, from the jars of the release."""

import os
import shlex
import socket
import struct
import subprocess
from pathlib import Path

from deploy.local import jars
from deploy.local.errors import StartFailed
from deploy.local.ports import free_port, listens
from deploy.local.server import Server

SETTINGS: dict[str, object] = {
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 8,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 8,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    "transaction.partition.verification.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 3000,
    "message.max.bytes": 4_194_304,
    "replica.fetch.max.bytes": 4_194_304,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "log.cleaner.dedupe.buffer.size": 16_777_216,
    "log.cleaner.threads": 1,
}
"""How the broker behaves, wherever it stands; docker-compose.yml says the same. It does not ask the coordinator again
at the first write of each transaction to each partition, a third of what a transaction takes: nobody here ends a
transaction under its own epoch while anything of it may be on its way (docs/decisions/0033)."""
HEAP = "512m"
"""Half a gigabyte is enough for one machine."""
YOUNG = "256m"
"""Half of it for what is new, of which little is kept: a collection stops everybody, and fewer are needed."""
JVM_OPTIONS = "BATON_KAFKA_JVM"
"""The environment's variable that says how Java compiles. A name of ours: what Kafka's own scripts read
(KAFKA_JVM_PERFORMANCE_OPTS) chooses a collector too, and with two of them Java does not start."""
COMPACT = ("-XX:+UseCompactObjectHeaders", "-XX:+UseTransparentHugePages")
"""Objects of smaller heads (JEP 519) in larger pages: the same work with less of memory (docs/decisions/0031). Where
the machine has no such pages, Java does without."""
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""The protocol's first request: length, key, version, our number for it, no client's name."""
_WELL_S = 2.0


class Kafka(Server):
    """One broker that is its own controller (KRaft)."""

    name = "kafka"
    limit_s = 90.0

    def __init__(self, folder: Path, port: int | None = None, *, orphan: bool = False, controller: int = 0) -> None:
        super().__init__(folder, port, orphan=orphan)
        self._controller = controller or free_port()
        self._classpath = ""
        self.options: list[str] | None = None
        """More of Java's options; None: those that start it faster."""

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def ports(self) -> list[int]:
        """The clients' and the controller's."""
        return [self.port, self._controller]

    def prepare(self) -> None:
        """Writes the settings; formats the log folder the first time."""
        self._classpath = self._classpath or jars.kafka_classpath()
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = "\n".join(f"{key}={value}" for key, value in self._settings().items())
        (self.folder / "server.properties").write_text(settings + "\n")
        if not (self.folder / "data" / "meta.properties").exists():
            made = subprocess.run(
                [*self._java("128m"), "kafka.tools.StorageTool", "format", *self._quorum(), "--ignore-formatted",
                 "--cluster-id", "YmF0b24tbG9jYWwtc3RhY2s", "--config", str(self.folder / "server.properties")],
                capture_output=True, text=True, check=False, preexec_fn=self.tie,
            )  # fmt: skip
            if made.returncode:
                raise StartFailed(f"kafka's folder could not be formatted: {_cause(made.stderr or made.stdout)}")

    def command(self) -> list[str]:
        """The broker on its settings."""
        from deploy.local import ahead

        java = self.java()
        more = ahead.use(java) if self.options is None else self.options
        compiled = shlex.split(os.environ.get(JVM_OPTIONS, ""))
        return [java[0], *more, *compiled, *java[1:], "kafka.Kafka", str(self.folder / "server.properties")]

    def wait(self) -> None:
        """Waits until it answers. Raises StartFailed."""
        try:
            super().wait()
        except StartFailed as error:
            if "UnsupportedVersionException" not in str(error):
                raise
            release = jars.KAFKA.rsplit(":", 1)[1]
            raise StartFailed(
                f"{self.folder} was written by a newer Kafka than {release}, which cannot read it;"
                " set BATON_HOME to a new folder, or remove the old one"
            ) from error

    def java(self) -> list[str]:
        """The broker's Java with its jars."""
        self._classpath = self._classpath or jars.kafka_classpath()
        return self._java(HEAP, f"-Xmn{YOUNG}")

    def answers(self) -> bool:
        """Whether the broker is registered and takes requests."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        if not listens(self.port):
            return False
        try:
            client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def well(self) -> bool:
        """One request on a bare socket: a client of librdkafka each second would cost more than it tells."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), _WELL_S) as connection:
                connection.sendall(_API_VERSIONS)
                return bool(connection.recv(4))
        except OSError:
            return False

    def _java(self, heap: str, *more: str) -> list[str]:
        return [
            jars.java(), f"-Xmx{heap}", f"-Xms{heap}", *more, "-XX:+UseSerialGC", *COMPACT,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", self._classpath,
        ]  # fmt: skip

    def _quorum(self) -> list[str]:
        """How its folder is formatted: as the only controller."""
        return ["--standalone"]

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
            **SETTINGS,
        }


def _cause(said: str) -> str:
    """What Java says went wrong, without the places in its code: the innermost exception's line, else the last one."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith(("\t", "  "))]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or ["it said nothing"])[-1].strip()[:400]
