"""What must be there before the processes start: topics, and a policy in force."""

import time

from confluent_kafka import Producer

from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.records.system import FlagPublished
from dispatch.core.policy import Flag, Policy
from dispatch.inputs.rules import POLICY_KEY, policy_record
from dispatch.log.errors import Misconfigured
from dispatch.log.topics import TopicSpec, create


def create_topics(settings: Settings) -> int:
    """Creates the catalogue's topics that are missing; gives how many. Raises Misconfigured."""
    specs = [
        TopicSpec(
            settings.namespace + topic.name,
            topics.partitions_of(topic, keyed=settings.partitions, replies=settings.reply_slots),
            topic.settings(),
        )
        for topic in topics.CATALOGUE
    ]
    return create(settings.kafka, specs)


def publish_policy(settings: Settings, policy: Policy, actor_id: str = "setup") -> None:
    """Puts a policy in force. Raises Misconfigured when Kafka does not take it."""
    record = policy_record(policy, at_ms=time.time_ns() // 1_000_000, actor_id=actor_id)
    _publish(settings, topics.POLICIES, POLICY_KEY, codec.encode(record))


def publish_flag(settings: Settings, name: str, flag: Flag, *, version: int, actor_id: str = "setup") -> None:
    """Puts a flag's setting in force. Raises Misconfigured when Kafka does not take it."""
    record = FlagPublished(
        flag=name,
        enabled=flag.enabled,
        rollout_percent=flag.rollout_percent,
        zones=flag.zones,
        version=version,
        at_ms=time.time_ns() // 1_000_000,
        actor_id=actor_id,
    )
    _publish(settings, topics.FLAGS, name.encode(), codec.encode(record))


def _publish(settings: Settings, topic: topics.Topic, key: bytes, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka, "enable.idempotence": True})
    failed: list[str] = []
    producer.produce(
        settings.namespace + topic.name,
        value,
        key,
        on_delivery=lambda error, _message: failed.append(error.str()) if error else None,
    )
    if producer.flush(20) or failed:
        raise Misconfigured(f"{topic.name} did not take the record: {failed or 'no answer from Kafka in 20 s'}")
