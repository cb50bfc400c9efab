"""The policy and the flags in force: the last good record of the compacted topics `policies` and `flags`.

A record that cannot be read or is not a valid policy changes nothing; what was in force stays.
"""

import msgspec
import structlog
from confluent_kafka import KafkaError, Message, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import FlagPublished, PolicyPublished
from dispatch.core.policy import Flag, Flags, Policy
from dispatch.core.policy_document import parse, whole
from dispatch.inputs import rule_metrics
from dispatch.inputs.follower import Follower

POLICY_KEY = b"dispatch"
logger = structlog.get_logger("dispatch.inputs.rules")


class Rules:
    """What is in force now. Read by the decider, replaced as a whole by `apply`: a reader sees the old or the new."""

    def __init__(self, policy: Policy | None = None, flags: Flags | None = None) -> None:
        self.policy = policy or Policy(version=0)  # of decisions made before one was published
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
        """Takes one record of either topic. Raises ContractError and changes nothing."""
        match codec.decode_checked(value):
            case PolicyPublished(document=document, version=version):
                self.policy = msgspec.structs.replace(parse(codec.document(document)), version=version)
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


class RulesFollower(Follower[Rules]):
    """Keeps a Rules true to the topics, and the metrics true to it."""

    def __init__(self, brokers: str, namespace: str, rules: Rules) -> None:
        followed = (topics.POLICIES, topics.FLAGS)
        super().__init__("rules", rules, followed, brokers=brokers, namespace=namespace)

    def _begin(self) -> tuple[list[TopicPartition], set[str]]:
        """A topic that is not there is followed from when it is made."""
        return [TopicPartition(name, 0, 0) for name in self._topics], self._there()

    def _caught_up(self) -> None:
        rule_metrics.show(self._known.policy, self._known.flags)

    def _apply(self, message: Message) -> None:
        before = self._known.flags
        self._known.apply(message.value())
        if not self._behind:
            rule_metrics.changed(before, self._known.flags)
            rule_metrics.show(self._known.policy, self._known.flags)

    def _unreachable(self, error: KafkaError) -> None:
        logger.warning("rules_unreachable", error=str(error))

    def _refused(self, message: Message, reason: str) -> None:
        logger.error("rules_refused", topic=message.topic(), offset=message.offset(), reason=reason)


def policy_record(policy: Policy, *, at_ms: int, actor_id: str, reason: str = "") -> PolicyPublished:
    """The record that puts this policy in force: every field written out, so that it says the same for ever."""
    document = msgspec.json.encode(whole(policy)).decode()
    return PolicyPublished(version=policy.version, at_ms=at_ms, actor_id=actor_id, document=document, reason=reason)
