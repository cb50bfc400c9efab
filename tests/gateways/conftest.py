"""The running system, once a module."""

from collections.abc import Iterator

import pytest
from whole_system import System

from deploy.local import Addresses


@pytest.fixture(autouse=True)
def patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a gateway waits for a second or two, and then answers without, is here waited for however slow all is."""
    if request.node.get_closest_marker("servers") is not None:
        for name, seconds in (
            ("gateways.orders.FIRST_OFFER_S", 15.0), ("gateways.contacts.LIMIT_S", 6.0),
            ("gateways.commerce.offering.OFFER_S", 10.0), ("gateways.tracking.links._THERE_S", 10.0),
            ("gateways.shell.idempotency.WAIT_S", 10.0),
        ):  # fmt: skip
            monkeypatch.setattr(name, seconds)


@pytest.fixture(scope="module")
def system(servers: Addresses, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(servers, database, tmp_path_factory.mktemp("system"))
    yield running
    running.close()
