"""A stack of its own for tests that fold a log."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from folding import Stack

from deploy.local import Addresses


@pytest.fixture
def stack(servers: Addresses, namespace: str) -> Iterator[Stack]:
    """With a database that nobody had before."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    made = Stack(servers, namespace, servers.postgres.rsplit("/", 1)[0] + f"/{name}")
    yield made
    made.stop()
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
