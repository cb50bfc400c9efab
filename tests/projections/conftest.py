"""A stack of its own for tests that fold a log."""

from collections.abc import Iterator

import psycopg
import pytest
from folding import Stack

from deploy.local import Addresses


@pytest.fixture
def stack(servers: Addresses, namespace: str, database: str) -> Iterator[Stack]:
    made = Stack(servers, namespace, database)
    yield made
    made.stop()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public, analytics CASCADE")
        connection.execute("CREATE SCHEMA public")
