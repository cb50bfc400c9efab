"""Baton on a broker that wants TLS and a password: an order is delivered, and without the password nothing is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from certificates import certificate
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from running import Dispatch
from town import Town, until

from deploy.local import Addresses, Kafka
from deploy.local.ports import free_port
from dispatch.log.connecting import UNCOMMITTED, VARIABLE, kafka_client
from projections.migrate import up

pytestmark = pytest.mark.servers
GROUPS = ("dispatch", "projector", "webhooks", "notifier", "shadow")
WRITERS = ("dispatch-0.a", "dispatch-0.b", "eta", "rules", "zones", "dead-letters", "shadow")
"""As in docs/kafka.md, without the namespace."""


class Closed(Kafka):
    """A broker that lets in who knows the password, over TLS; to itself it speaks without."""

    def __init__(self, folder: Path, keys: Path) -> None:
        super().__init__(folder)
        self._keys, self._internal = keys, free_port()

    def answers(self) -> bool:
        """Whether it lets us in."""
        try:
            client = AdminClient({**kafka_client(self.address, "test"), "log_level": 0})
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def allow(self, namespace: str) -> None:
        """What docs/kafka.md says that Baton's user needs, and no more."""
        read, write, describe = AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE
        rules = [(ResourceType.TOPIC, namespace, one) for one in (AclOperation.CREATE, describe, read, write)]
        rules += [(ResourceType.GROUP, namespace + name, read) for name in GROUPS]
        rules.append((ResourceType.GROUP, UNCOMMITTED, describe))
        rules += [
            (ResourceType.TRANSACTIONAL_ID, namespace + name, one) for name in WRITERS for one in (describe, write)
        ]
        bindings = [
            AclBinding(
                kind, name, ResourcePatternType.PREFIXED if kind == ResourceType.TOPIC else ResourcePatternType.LITERAL,
                "User:baton", "*", operation, AclPermissionType.ALLOW,
            )
            for kind, name, operation in rules
        ]  # fmt: skip
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{self._internal}"})
        for future in admin.create_acls(bindings).values():
            future.result(20)

    def _settings(self) -> dict[str, object]:
        here = f"CLIENTS://127.0.0.1:{self.port},INTERNAL://127.0.0.1:{self._internal}"
        protocols = "CLIENTS:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return super()._settings() | {
            "listeners": f"{here},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": here,
            "listener.security.protocol.map": protocols,
            "inter.broker.listener.name": "INTERNAL",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",  # who comes by the listener inside
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.clients.plain.sasl.jaas.config": f'{module} required user_baton="of the house";',
            "listener.name.clients.ssl.keystore.type": "PEM",
            "listener.name.clients.ssl.keystore.location": self._keys,
        }


@pytest.fixture
def signed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of properties, in force in this process and those that it starts."""
    pem = certificate(tmp_path / "broker.pem")
    file = tmp_path / "kafka.properties"
    file.write_text(
        "security.protocol=SASL_SSL\nsasl.mechanisms=PLAIN\nsasl.username=baton\nsasl.password=of the house\n"
        f"ssl.ca.location={pem}\n"
    )
    monkeypatch.setenv(VARIABLE, str(file))
    return file


@pytest.fixture
def closed(tmp_path: Path, signed_in: Path) -> Iterator[Closed]:
    """The broker."""
    broker = Closed(tmp_path / "broker", signed_in.with_name("broker.pem"))
    broker.start()
    yield broker
    broker.kill()


def said(here: Town | Dispatch, *arguments: str) -> tuple[int, str]:
    """Exit code and what a command says."""
    settings = here.settings
    environment = os.environ | {
        "BATON_KAFKA": settings.kafka, "BATON_POSTGRES": settings.postgres, "BATON_VALKEY": settings.valkey,
        "BATON_NAMESPACE": settings.namespace,
    }  # fmt: skip
    command = [sys.executable, "-m", "dispatch.cli", *arguments]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return made.returncode, made.stdout + made.stderr


def _ready(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def test_an_order_is_delivered_and_without_the_password_nothing_is_told(
    closed: Closed, servers: Addresses, database: str, namespace: str, tmp_path: Path, signed_in: Path
) -> None:
    closed.allow(namespace)
    up(database)
    here = Town(Addresses(closed.address, database, servers.valkey), namespace, tmp_path)
    try:
        here.run("worker", "streams", "eta", "projector", "gateway")
        here.sign_on()
        here.delivered(here.orders(3))
        url = f"http://127.0.0.1:{here.settings.gateway_port}/ready"
        until(lambda: _ready(url), "the gateway is ready", 60)
        here.holds()
        code, text = said(here, "check")
        assert code == 0, text
        right = signed_in.read_text()
        signed_in.write_text(right.replace("of the house", "of the street"))
        code, text = said(here, "check")
        assert (code, "does not answer" in text) == (2, True), text
        signed_in.write_text(right)
    finally:
        here.close()
