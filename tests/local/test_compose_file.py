"""docker-compose.yml gives the same servers as `baton up`: images, and settings one by one."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local import jars, kafka, postgres, valkey

FILE = Path(__file__).parents[2] / "docker-compose.yml"
OF_THE_PLACE = {
    "NODE_ID", "PROCESS_ROLES", "LISTENERS", "ADVERTISED_LISTENERS", "CONTROLLER_LISTENER_NAMES",
    "LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER_QUORUM_VOTERS", "LOG_DIRS", "HEAP_OPTS",
}  # fmt: skip
"""What a container needs in its own way, or what is not a setting of the broker."""


def section(name: str) -> str:
    """One service's lines: the file is plain enough to be read without a YAML library."""
    found = re.search(rf"^  {name}:\n((?:    .*\n)+)", FILE.read_text(), re.MULTILINE)
    assert found
    return found[1]


def command(name: str) -> list[str]:
    found = re.search(r"^    command: (\[.*\])$", section(name), re.MULTILINE)
    assert found
    arguments: list[str] = json.loads(found[1])
    return arguments


def kafkas_environment() -> dict[str, str]:
    rows = re.findall(r"^      KAFKA_(\w+): (.*)$", section("kafka"), re.MULTILINE)
    return {name: value.strip('"') for name, value in rows}


def test_kafka_has_the_same_settings() -> None:
    ours = {name.replace(".", "_").upper(): str(value) for name, value in kafka.SETTINGS.items()}
    assert {name: value for name, value in kafkas_environment().items() if name not in OF_THE_PLACE} == ours
    assert kafkas_environment()["HEAP_OPTS"] == f"-Xmx{kafka.HEAP} -Xms{kafka.HEAP}"


def test_kafkas_log_is_on_its_volume() -> None:
    assert f"kafka:{kafkas_environment()['LOG_DIRS']}" in section("kafka")


def test_postgres_has_the_same_options() -> None:
    wanted = [part for name, value in postgres.OPTIONS.items() for part in ("-c", f"{name}={value}")]
    assert command("postgres") == ["postgres", *wanted]


def test_valkey_has_the_same_options() -> None:
    assert command("valkey") == ["valkey-server", *valkey.OPTIONS]


def test_the_images_are_of_the_same_versions() -> None:
    images = {name: re.findall(r"image: (\S+)", section(name)) for name in ("kafka", "postgres", "valkey")}
    assert images == {
        "kafka": [f"apache/kafka:{jars.KAFKA.rsplit(':', 1)[1]}"],
        "postgres": ["postgres:18"],
        "valkey": ["valkey/valkey:9"],
    }


def test_docker_can_read_it(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not on this machine")
    subprocess.run([docker, "compose", "-f", str(FILE), "config", "-q"], check=True, cwd=tmp_path)
