"""The real servers, once for the whole run; a namespace and a database of its own for whoever wants one."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local import Addresses, start_servers, stop_servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """The addresses in the environment, or servers started for this run."""
    given = Addresses(*(os.environ.get(f"BATON_{name}", "") for name in ("KAFKA", "POSTGRES", "VALKEY")))
    folder: Path = tmp_path_factory.mktemp("servers")
    for parent in (folder, *folder.parents):
        if parent.owner() == Path.home().owner() and parent != Path("/") and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    addresses, started = start_servers(folder, given)
    yield addresses
    stop_servers(started)


@pytest.fixture
def namespace() -> str:
    """A prefix nobody else uses."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture(scope="module")
def database(servers: Addresses) -> Iterator[str]:
    """The address of an empty database."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield servers.postgres.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
