"""Kafka's start laid out ahead: made once, taken where it fits, and not missed where it is not."""

from pathlib import Path

import pytest

from deploy.local import Kafka, ahead


def test_a_broker_starts_with_what_was_laid_out_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path / "environment"))
    kafka = Kafka(tmp_path / "stack")
    assert ahead.use(kafka.java()) == [], "nothing was made yet"
    made = ahead.make()
    before = made.stat()
    assert ahead.make() == made
    assert made.stat() == before, "made once"
    options = ahead.use(kafka.java())
    kafka.options = ["-XX:AOTMode=on", *options]  # without it Java ends where it would only do without
    kafka.start()
    try:
        assert kafka.answers()
        assert f"-XX:AOTCache={made}" in kafka.command()
    finally:
        kafka.kill()
    made.write_bytes(b"no archive")
    kafka.options = None
    kafka.start()
    try:
        assert kafka.answers(), "one that is broken is left alone"
    finally:
        kafka.kill()


def test_another_command_line_has_another_archive(tmp_path: Path) -> None:
    java = Kafka(tmp_path).java()
    assert ahead.archive(java) == ahead.archive(list(java))
    assert ahead.archive(java) != ahead.archive([*java, "-Xmx1g"])
