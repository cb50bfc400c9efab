"""Creating topics, as often as one likes."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from dispatch.log.connecting import kafka_client
from dispatch.log.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it must be."""

    name: str
    partitions: int
    config: dict[str, str]


_AS_THE_BROKERS_SAY = -1
"""Copies of a topic: `default.replication.factor`, with `min.insync.replicas`, both settings of the cluster."""


def create(brokers: str, specs: Sequence[TopicSpec], replication: int = _AS_THE_BROKERS_SAY) -> int:
    """Creates what is missing; gives how many. Raises Misconfigured for one that is there with other partitions."""
    admin = AdminClient(kafka_client(brokers, "topics"))
    wanted = [
        NewTopic(spec.name, num_partitions=spec.partitions, replication_factor=replication, config=spec.config)
        for spec in specs
    ]
    created = 0
    for name, future in admin.create_topics(wanted, operation_timeout=30, request_timeout=40).items():
        try:
            future.result()
            created += 1
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Misconfigured(f"topic {name} was not created: {error.args[0].str()}") from error
    if created < len(specs):
        there = admin.list_topics(timeout=30).topics
        for spec in specs:
            if spec.name in there and len(there[spec.name].partitions) != spec.partitions:
                raise Misconfigured(
                    f"topic {spec.name} has {len(there[spec.name].partitions)} partitions and {spec.partitions} are "
                    "wanted; a change of partitions is a replay into new topics"
                )
    return created
