"""Kafka, Postgres and Valkey together: data in one folder, ports kept, started and stopped in order."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import Kafka
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.server import Server
from deploy.local.valkey import Valkey

__all__ = ["Addresses", "Progress", "free_port", "make_servers", "start_servers", "stop_servers"]

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers are."""

    kafka: str = ""
    postgres: str = ""
    valkey: str = ""


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
            server.wait()
            progress(f"{server.name} is up at port {server.port}")
    except BaseException:
        stop_servers(servers)
        raise
    found = {name: getattr(given, name) or servers[name].address for name in _KINDS}
    return Addresses(**found), servers


def stop_servers(servers: dict[str, Server]) -> None:
    """Stops all, the last one first."""
    for server in reversed(servers.values()):
        server.stop()
