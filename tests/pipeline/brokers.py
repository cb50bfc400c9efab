"""Brokers that are each other's copies: one alone, or three with replication 3 and two in sync at least (KRaft)."""

import resource
import socket
import struct
import time
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from links import Link, Links

from deploy.local import Kafka
from deploy.local.ports import free_port

_DESCRIBE_QUORUM = 55
_METADATA = b"__cluster_metadata"


class Broker(Kafka):
    """One of them, broker and controller. Clients come by a link; the brokers speak to each other without."""

    def __init__(self, folder: Path, number: int, links: Links) -> None:
        self.name = f"kafka-{number}"
        super().__init__(folder)
        self.number, self._internal = number, free_port()
        self.link: Link = links.add(self.port)
        self.others: list[Broker] = [self]

    @property
    def voter(self) -> str:
        """As the others find its controller."""
        return f"{self.number}@127.0.0.1:{self._controller}"

    def fill_the_disk(self) -> None:
        """Every write of the process fails from now on, as on a full disk; the next process is not limited."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def _quorum(self) -> list[str]:
        return []

    def _settings(self) -> dict[str, object]:
        count = len(self.others)
        here = f"INTERNAL://127.0.0.1:{self._internal}"
        return super()._settings() | {
            "node.id": self.number,
            "controller.quorum.voters": ",".join(other.voter for other in self.others),
            "controller.quorum.bootstrap.servers": "",
            "listeners": f"CLIENTS://127.0.0.1:{self.port},{here},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": f"CLIENTS://127.0.0.1:{self.link.port},{here}",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INTERNAL",
            "default.replication.factor": count,
            "min.insync.replicas": min(2, count),
            "offsets.topic.replication.factor": count,
            "transaction.state.log.replication.factor": count,
            "transaction.state.log.min.isr": min(2, count),
            "replica.lag.time.max.ms": 5_000,
            "broker.session.timeout.ms": 6_000,
        }


class Brokers:
    """The cluster."""

    def __init__(self, folder: Path, count: int, links: Links) -> None:
        self.all = [Broker(folder, number, links) for number in range(1, count + 1)]
        for broker in self.all:
            broker.others = self.all

    @property
    def address(self) -> str:
        """For clients: every broker's link."""
        return ",".join(f"127.0.0.1:{broker.link.port}" for broker in self.all)

    def start(self) -> None:
        """All of them, at once."""
        for broker in self.all:
            broker.launch()
        for broker in self.all:
            broker.wait()

    def leader_of(self, topic: str) -> Broker:
        """Who leads its first partition; the first broker if nobody says."""
        try:
            found = AdminClient({"bootstrap.servers": self.address, "log_level": 0}).list_topics(topic, timeout=5)
        except KafkaException:
            return self.all[0]
        leader = found.topics[topic].partitions[0].leader
        return next((broker for broker in self.all if broker.number == leader), self.all[0])

    def copies(self, namespace: str) -> set[int]:
        """How many copies the partitions of these topics have. A broker may hear of new topics a moment later."""
        asked, ends, mine = AdminClient({"bootstrap.servers": self.address, "log_level": 0}), time.monotonic() + 20, []
        while not mine and time.monotonic() < ends:
            found = asked.list_topics(timeout=10)
            mine = [topic for name, topic in found.topics.items() if name.startswith(namespace)]
        return {len(partition.replicas) for topic in mine for partition in topic.partitions.values()}

    def controller(self) -> Broker:
        """Who leads the quorum of controllers; the first broker if nobody says."""
        for asked in self.all:
            leader = _leader_of_the_quorum(asked.port) if asked.pid else 0
            for broker in self.all:
                if broker.number == leader:
                    return broker
        return self.all[0]


def _leader_of_the_quorum(port: int) -> int:
    """DescribeQuorum, version 0, on a bare socket: the Python client does not have it. 0: it is not known."""
    body = b"\x02" + bytes([len(_METADATA) + 1]) + _METADATA + b"\x02" + struct.pack(">i", 0) + b"\0\0\0"
    head = struct.pack(">hhih", _DESCRIBE_QUORUM, 0, 1, -1) + b"\0"
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as connection:
            connection.sendall(struct.pack(">i", len(head + body)) + head + body)
            with connection.makefile("rb") as stream:
                said = stream.read(struct.unpack(">i", stream.read(4))[0])
    except (OSError, struct.error):
        return 0
    at = 4 + 1 + 2 + 1 + 1 + len(_METADATA) + 1  # correlation, tags, error, topics, the name, partitions
    number, error, leader = struct.unpack_from(">ihi", said, at)
    return int(leader) if (number, error) == (0, 0) else 0
