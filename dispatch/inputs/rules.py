"""The policy and the flags in force: the last good record of the compacted topics `policies` and `flags`.

A record that cannot be read or is not a valid policy changes nothing; what was in force stays.
"""

import threading
from collections.abc import Iterable

import msgspec
import structlog
from confluent_kafka import Consumer, Message, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import FlagPublished, PolicyPublished
from dispatch.core.policy import Flag, Flags, Policy
from dispatch.log.reading import watermarks

POLICY_KEY = b"dispatch"
logger = structlog.get_logger("dispatch.inputs.rules")


class Rules:
    """What is in force now. Read by the decider, replaced as a whole by `apply`: a reader sees the old or the new."""

    def __init__(self, policy: Policy | None = None, flags: Flags | None = None) -> None:
        self.policy = policy or Policy()
        self.flags = flags or Flags()

    def apply(self, value: bytes | None) -> None:
        """Takes one record of either topic. Raises ContractError or msgspec.ValidationError and changes nothing."""
        match codec.decode_checked(value):
            case PolicyPublished(document=document, version=version):
                policy = msgspec.json.decode(document, type=Policy)
                self.policy = msgspec.structs.replace(policy, version=version)
            case FlagPublished(flag=name, enabled=enabled, rollout_percent=percent, zones=zones):
                if name not in Flags.__struct_fields__:
                    raise ContractError(f"{name!r} is no flag; known are {', '.join(Flags.__struct_fields__)}", "flag")
                flag = Flag(enabled=enabled, rollout_percent=min(percent, 100), zones=tuple(zones))
                self.flags = msgspec.structs.replace(self.flags, **{name: flag})
            case other:
                raise ContractError(f"a {type(other).__name__} is neither a policy nor a flag")


class RulesFollower:
    """Keeps a Rules true to the topics: read whole by `start`, followed by a thread until `stop`."""

    def __init__(self, brokers: str, namespace: str, rules: Rules) -> None:
        self._rules = rules
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="rules", daemon=True)
        self._topics = [namespace + topic.name for topic in (topics.POLICIES, topics.FLAGS)]
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "rules-are-never-committed",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
            }
        )

    def start(self) -> Rules:
        """Reads what is there, then follows. Raises confluent_kafka.KafkaException when Kafka is not reachable."""
        partitions = [TopicPartition(name, 0, 0) for name in self._topics]
        ends = {name: watermarks(self._consumer, TopicPartition(name, 0))[1] for name in self._topics}
        self._consumer.assign(partitions)
        while any(position.offset < ends[position.topic] for position in self._positions()):
            self._take(self._consumer.consume(100, 0.2))
        self._thread.start()
        return self._rules

    def stop(self) -> None:
        """Ends the thread and closes the consumer."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def _positions(self) -> Iterable[TopicPartition]:
        found: list[TopicPartition] = self._consumer.position([TopicPartition(name, 0) for name in self._topics])
        return [TopicPartition(place.topic, 0, max(place.offset, 0)) for place in found]

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._take(self._consumer.consume(100, 0.5))

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.error() is not None:
                logger.warning("rules_unreachable", error=str(message.error()))
                continue
            try:
                self._rules.apply(message.value())
            except (ContractError, msgspec.ValidationError, msgspec.DecodeError) as error:
                logger.error("rules_refused", topic=message.topic(), offset=message.offset(), reason=str(error))


def policy_record(policy: Policy, *, at_ms: int, actor_id: str) -> PolicyPublished:
    """The record that puts this policy in force."""
    document = msgspec.json.encode(policy).decode()
    return PolicyPublished(version=policy.version, at_ms=at_ms, actor_id=actor_id, document=document)
