"""How the broker is started: with Java's options of ours, and those given beside them; and what is said if it ends."""

import shlex
import sys
from pathlib import Path

import pytest

from deploy.local import Kafka
from deploy.local.errors import StartFailed
from deploy.local.kafka import JVM_OPTIONS


def test_options_of_the_environment_come_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = "-XX:TieredStopAtLevel=1 -Dsaid='two words'"
    monkeypatch.setenv(JVM_OPTIONS, given)
    with_them = Kafka(tmp_path).command()
    monkeypatch.delenv(JVM_OPTIONS)
    without = Kafka(tmp_path).command()
    assert [word for word in with_them if word not in shlex.split(given)] == without
    assert "-Dsaid=two words" in with_them


def test_a_folder_of_a_newer_kafka_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4.2.2 said so on a folder of 4.3.0."""
    said = "Caused by: org.apache.kafka.common.errors.UnsupportedVersionException: Can't read version 4 of BrokerEnd"
    broker = Kafka(tmp_path)
    monkeypatch.setattr(broker, "command", lambda: [sys.executable, "-c", f"import sys; sys.exit({said!r})"])
    with pytest.raises(StartFailed, match=rf"{tmp_path}.* was written by a newer Kafka than \d.*; set BATON_HOME"):
        broker.start()
