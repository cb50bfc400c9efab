"""A running dispatch of its own for each test that wants one: see `running`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import Addresses
from dispatch import setup
from dispatch.core.policy import Flag, Flags, Policy, scaled

sys.path.insert(0, str(Path(__file__).parent))
from running import Dispatch, Workers


@pytest.fixture
def dispatch(servers: Addresses, namespace: str, tmp_path: Path) -> Dispatch:
    return Dispatch(servers, namespace, tmp_path)


@pytest.fixture
def workers(dispatch: Dispatch) -> Iterator[Workers]:
    made = Workers(dispatch)
    yield made
    made.stop()


@pytest.fixture
def fast(dispatch: Dispatch, workers: Workers) -> Policy:
    """A city that lives sixty times as fast, for threads and processes alike."""
    policy = scaled(Policy(version=7), 200)
    workers.rules.policy = policy
    setup.publish_policy(dispatch.settings, policy)
    return policy


@pytest.fixture
def direct(dispatch: Dispatch, workers: Workers) -> None:
    """No offers: whoever is granted is assigned at once."""
    flag = Flag(enabled=False)
    workers.rules.flags = Flags(driver_offers=flag)
    setup.publish_flag(dispatch.settings, "driver_offers", flag)
