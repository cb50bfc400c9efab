"""How the broker is started: with Java's options of ours, and those given beside them."""

import shlex
from pathlib import Path

import pytest

from deploy.local import Kafka
from deploy.local.kafka import JVM_OPTIONS


def test_options_of_the_environment_come_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = "-XX:TieredStopAtLevel=1 -Dsaid='two words'"
    monkeypatch.setenv(JVM_OPTIONS, given)
    with_them = Kafka(tmp_path).command()
    monkeypatch.delenv(JVM_OPTIONS)
    without = Kafka(tmp_path).command()
    assert [word for word in with_them if word not in shlex.split(given)] == without
    assert "-Dsaid=two words" in with_them
