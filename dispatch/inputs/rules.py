"""The policy and the flags in force: the last good record of the compacted topics `policies` and `flags`.

A record that cannot be read or is not a valid policy changes nothing; what was in force stays.
"""

import threading
from collections.abc import Iterable

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import FlagPublished, PolicyPublished
from dispatch.core.policy import Flag, Flags, Policy
from dispatch.core.policy_document import parse, whole
from dispatch.inputs import rule_metrics

POLICY_KEY = b"dispatch"
logger = structlog.get_logger("dispatch.inputs.rules")


class Rules:
    """What is in force now. Read by the decider, replaced as a whole by `apply`: a reader sees the old or the new."""

    def __init__(self, policy: Policy | None = None, flags: Flags | None = None) -> None:
        self.policy = policy or Policy()
        self.flags = flags or Flags()
        self._by_zone: tuple[Policy, dict[str, Policy]] = (self.policy, {})

    def policy_for(self, zone: str) -> Policy:
        """The policy as it holds for deliveries of a zone: `policy` itself when the zone has nothing of its own."""
        policy = self.policy
        if zone not in policy.by_zone:
            return policy
        base, made = self._by_zone
        if base is not policy:
            made = {}
            self._by_zone = (policy, made)
        if zone not in made:
            made[zone] = policy.for_zone(zone)
        return made[zone]

    def apply(self, value: bytes | None) -> None:
        """Takes one record of either topic. Raises ContractError or msgspec.DecodeError and changes nothing."""
        match codec.decode_checked(value):
            case PolicyPublished(document=document, version=version):
                self.policy = msgspec.structs.replace(parse(msgspec.json.decode(document)), version=version)
            case FlagPublished() as published:
                self.flags = msgspec.structs.replace(self.flags, **{published.flag: flag_in(published)})
            case other:
                raise ContractError(f"a {type(other).__name__} is neither a policy nor a flag")


def flag_in(published: FlagPublished) -> Flag:
    """The setting in a record. Raises ContractError for a flag that this release does not know."""
    if published.flag not in Flags.__struct_fields__:
        raise ContractError(f"{published.flag!r} is no flag; known are {', '.join(Flags.__struct_fields__)}", "flag")
    percent = min(published.rollout_percent, 100)
    return Flag(enabled=published.enabled, rollout_percent=percent, zones=tuple(published.zones))


class RulesFollower:
    """Keeps a Rules true to the topics: read whole by `start`, followed by a thread until `stop`."""

    def __init__(self, brokers: str, namespace: str, rules: Rules) -> None:
        self._rules = rules
        self._unread: set[str] = set()
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
                "enable.partition.eof": True,
            }
        )

    def start(self) -> Rules:
        """Reads what is there, then follows. Raises confluent_kafka.KafkaException when Kafka is not reachable."""
        known = self._consumer.list_topics(timeout=30).topics
        self._unread = {name for name in self._topics if name in known}
        self._consumer.assign([TopicPartition(name, 0, 0) for name in self._topics])
        while self._unread:
            self._take(self._consumer.consume(100, 0.2))
        rule_metrics.show(self._rules.policy, self._rules.flags)
        self._thread.start()
        return self._rules

    def stop(self) -> None:
        """Ends the thread and closes the consumer."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._take(self._consumer.consume(100, 0.5))

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    self._unread.discard(message.topic() or "")
                else:
                    logger.warning("rules_unreachable", error=str(error))
                continue
            before = self._rules.flags
            try:
                self._rules.apply(message.value())
            except (ContractError, msgspec.DecodeError) as wrong:
                logger.error("rules_refused", topic=message.topic(), offset=message.offset(), reason=str(wrong))
                continue
            if not self._unread:
                rule_metrics.changed(before, self._rules.flags)
                rule_metrics.show(self._rules.policy, self._rules.flags)


def policy_record(policy: Policy, *, at_ms: int, actor_id: str, reason: str = "") -> PolicyPublished:
    """The record that puts this policy in force: every field written out, so that it says the same for ever."""
    document = msgspec.json.encode(whole(policy)).decode()
    return PolicyPublished(version=policy.version, at_ms=at_ms, actor_id=actor_id, document=document, reason=reason)
