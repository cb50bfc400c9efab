"""A broker that was killed ends what was open, in every partition, before it is asked for anything else."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from deploy.local import Kafka

PARTITIONS = 8
TIMEOUT_MS = 2_000
"""Of the transaction: it ends while the broker that came back may not be registered yet."""
SESSION_MS = 4_000
"""So long the registration of the one that was killed stays in force; nine seconds if nothing is said."""
WITHIN_S = 40.0


class _Broker(Kafka):
    def _settings(self) -> dict[str, object]:
        return super()._settings() | {"broker.session.timeout.ms": SESSION_MS}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Kafka]:
    kafka = _Broker(tmp_path)
    kafka.start()
    yield kafka
    kafka.kill()


def test_a_transaction_that_was_open_when_the_broker_was_killed_is_ended_in_every_partition(broker: Kafka) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic("open", PARTITIONS, 1)])["open"].result()
    producer = Producer(
        {"bootstrap.servers": broker.address, "transactional.id": "open", "transaction.timeout.ms": TIMEOUT_MS}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(PARTITIONS):
        producer.produce("open", b"never committed", partition=number)
    assert producer.flush(30) == 0
    broker.kill()
    broker.start()
    until = time.monotonic() + WITHIN_S
    while (unstable := _unstable(admin)) and time.monotonic() < until:
        time.sleep(0.2)
    assert not unstable, f"readers of what is committed wait for good in partitions {unstable}"


def _unstable(admin: AdminClient) -> list[int]:
    """Partitions whose last stable offset is not their end, or in which no mark was written."""
    ends, stable = (_ends(admin, level) for level in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED))
    return [number for number in range(PARTITIONS) if stable[number] < ends[number] or ends[number] < 2]


def _ends(admin: AdminClient, level: IsolationLevel) -> dict[int, int]:
    asked = {TopicPartition("open", number): OffsetSpec.latest() for number in range(PARTITIONS)}
    answers = admin.list_offsets(asked, isolation_level=level, request_timeout=10)
    return {place.partition: answer.result().offset for place, answer in answers.items()}
