"""The running system, once a module."""

from collections.abc import Iterator

import pytest
from whole_system import System

from deploy.local import Addresses


@pytest.fixture(scope="module")
def system(servers: Addresses, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(servers, database, tmp_path_factory.mktemp("system"))
    yield running
    running.close()
