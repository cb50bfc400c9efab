"""How the broker is started: as many threads as the machine bears, and Java's options, with those given beside ours."""

import shlex
from pathlib import Path

import pytest

from deploy.local import Kafka
from deploy.local.kafka import JVM_OPTIONS, threads


@pytest.mark.parametrize(
    ("cores", "network", "io"), [(1, 1, 2), (2, 1, 2), (3, 1, 3), (4, 2, 4), (8, 3, 8), (64, 3, 8)]
)
def test_a_broker_has_no_more_threads_than_cores(cores: int, network: int, io: int) -> None:
    """Of both kinds one at least, and two that carry out: what waits for the disk must not keep all others waiting."""
    assert threads(cores) == {"num.network.threads": network, "num.io.threads": io}


def test_options_of_the_environment_come_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = "-XX:TieredStopAtLevel=1 -Dsaid='two words'"
    monkeypatch.setenv(JVM_OPTIONS, given)
    with_them = Kafka(tmp_path).command()
    monkeypatch.delenv(JVM_OPTIONS)
    without = Kafka(tmp_path).command()
    assert [word for word in with_them if word not in shlex.split(given)] == without
    assert "-Dsaid=two words" in with_them
