"""A gateway answers for what Kafka has, and for nothing else: an order told `pending` is never lost."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deploy.local import Addresses
from dispatch import setup
from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records.system import Contact
from dispatch.log.reading import read_all
from gateways.log_client import LogClient
from gateways.problems import Problem

NOWHERE = "127.0.0.1:1"
CONTACT = Contact(subject_id="d", name="Clara Q.", phone="", address="")


def a_command() -> dc.CancelDelivery:
    return dc.CancelDelivery(
        command_id=str(uuid.uuid4()), at_ms=1, actor_type="order_service", actor_id="shop", correlation_id="d",
        delivery_id="d", reason="sold_out", reply_to=0,
    )  # fmt: skip


def with_client(brokers: str, namespace: str, do: Callable[[LogClient], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        client = LogClient(brokers, namespace, 0)
        client.start()
        try:
            return await do(client)
        finally:
            await asyncio.to_thread(client.stop)

    return asyncio.run(run())


def test_a_command_that_kafka_has_not_taken_is_no_promise() -> None:
    async def asked(client: LogClient) -> None:
        with pytest.raises(Problem) as refused:
            await client.ask(topics.DELIVERY_COMMANDS, "d", a_command(), 0.3)
        assert (refused.value.status, refused.value.code) == (503, "unavailable")
        assert refused.value.headers["retry-after"] == "1"

    with_client(NOWHERE, "x.", asked)


def test_a_record_that_kafka_has_not_taken_is_no_promise() -> None:
    async def put(client: LogClient) -> None:
        with pytest.raises(Problem, match="Kafka does not answer"):
            await client.put(topics.CONTACTS, "d", CONTACT, 0.3)

    with_client(NOWHERE, "x.", put)


@pytest.mark.servers
def test_a_command_that_nobody_decides_is_pending_and_in_the_log(
    servers: Addresses, namespace: str, tmp_path: Any
) -> None:
    settings = Settings(
        kafka=servers.kafka, postgres=servers.postgres, valkey=servers.valkey, namespace=namespace, home=tmp_path,
        partitions=1, reply_slots=1,
    )  # fmt: skip
    setup.create_topics(settings)
    command = a_command()

    async def asked(client: LogClient) -> Any:
        reply = await client.ask(topics.DELIVERY_COMMANDS, "d", command, 3.0)
        await client.put(topics.CONTACTS, "d", CONTACT)
        return reply

    assert with_client(servers.kafka, namespace, asked) is None
    names = [namespace + topic.name for topic in (topics.DELIVERY_COMMANDS, topics.CONTACTS)]
    assert {codec.decode(record.value) for record in read_all(servers.kafka, names)} == {command, CONTACT}
