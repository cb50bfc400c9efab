"""Changing the rules: what is in force is read and what shall be is written in one step that nobody comes between.

All writers share one transactional id. Kafka lets only the last one who came write, so whoever read the rules before
another change was made cannot write after it: their transaction is refused, and they look again. What was in force
before stays in `rules.history`, for the record of a decision names the policy by its version only.
"""

import getpass
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import KafkaException, Producer

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import FeatureFlagToggled, FlagPublished, PolicyPublished
from dispatch.core.policy import Flag, Flags, Policy
from dispatch.inputs.changes import ChangedMeanwhile, NotReached, UnknownName, overtaken
from dispatch.inputs.rules import POLICY_KEY, Rules, flag_in, policy_record
from dispatch.log.connecting import kafka_client
from dispatch.log.errors import Misconfigured
from dispatch.log.reading import read_all

Rule = PolicyPublished | FlagPublished | FeatureFlagToggled
TOPICS = (topics.POLICIES, topics.FLAGS, topics.RULES_HISTORY)
WITHOUT_ZONES = ("availability_states",)
"""Flags of drivers, who are in no zone."""
_ACTOR = re.compile(r"[A-Za-z0-9_.:@|-]{1,128}")
_REASON_CHARACTERS = 500
_WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds now. A policy that was never published is None, a flag that was never published is not listed."""

    policy: Policy | None = None
    published: PolicyPublished | None = None
    flags: Mapping[str, FlagPublished] = field(default_factory=dict)

    def flag(self, name: str) -> Flag:
        """A flag's setting; its default when it was never published."""
        default: Flag = getattr(Flags(), name)
        return flag_in(self.flags[name]) if name in self.flags else default


def in_force(brokers: str, namespace: str) -> InForce:
    """What the topics say. Raises KafkaException when Kafka does not answer."""
    rules = Rules()
    published: PolicyPublished | None = None
    flags: dict[str, FlagPublished] = {}
    for record in read_all(brokers, [namespace + topic.name for topic in TOPICS[:2]]):
        try:
            rules.apply(record.value)
        except (ContractError, msgspec.DecodeError):
            continue  # every process that follows the rules has refused it, and said so in its log
        match codec.decode(record.value or b""):
            case PolicyPublished() as policy:
                published = policy
            case FlagPublished() as flag:
                flags[flag.flag] = flag
    return InForce(rules.policy if published else None, published, flags)


def history(brokers: str, namespace: str) -> list[PolicyPublished | FeatureFlagToggled]:
    """Every policy that was ever in force and every change of a flag, oldest first."""
    records = read_all(brokers, [namespace + topics.RULES_HISTORY.name])
    known = [codec.decode(record.value or b"") for record in records]
    return [rule for rule in known if isinstance(rule, PolicyPublished | FeatureFlagToggled)]


def change(brokers: str, namespace: str, decide: Callable[[InForce], Sequence[Rule]]) -> tuple[InForce, Sequence[Rule]]:
    """Publishes what `decide` makes of what is in force; gives both. Nothing made: nothing is written.

    Raises Misconfigured when another change came between or Kafka does not take it, and whatever `decide` raises; then
    nothing has changed.
    """
    producer = Producer(
        {
            **kafka_client(brokers, "rules"),
            "transactional.id": f"{namespace}rules",
            "transaction.timeout.ms": 10_000,
            "log_level": 0,
        }
    )
    try:
        producer.init_transactions(_WAIT_S)
        found = in_force(brokers, namespace)
        made = decide(found)
        if made:
            producer.begin_transaction()
            for rule in made:
                for topic, key in _places(rule):
                    producer.produce(namespace + topic.name, codec.encode(rule), key)
            producer.commit_transaction(_WAIT_S)
    except KafkaException as error:
        raise _why(error) from error
    return found, made


def next_policy(found: InForce, policy: Policy, actor_id: str, reason: str) -> PolicyPublished:
    """The record that puts a policy in force as the next version. Raises Misconfigured for a wrong actor or reason."""
    _check_words(actor_id, reason)
    version = found.published.version + 1 if found.published else 1
    return policy_record(
        msgspec.structs.replace(policy, version=version), at_ms=now_ms(), actor_id=actor_id, reason=reason
    )


def toggled(found: InForce, name: str, flag: Flag, actor_id: str, reason: str) -> tuple[Rule, ...]:
    """The records that give a flag this setting; none when it has it. Raises Misconfigured for what cannot be."""
    _check_words(actor_id, reason)
    known_flag(name)
    if flag.zones and name in WITHOUT_ZONES:
        raise Misconfigured(f"{name} is a flag of drivers, who are in no zone; give it a rollout instead of zones")
    for zone in flag.zones:
        if not _ACTOR.fullmatch(zone):
            raise Misconfigured(f"{zone!r} is no zone's id: 1 to 128 letters, digits or _.:@|- are wanted")
    was = found.flag(name)
    if name in found.flags and was == flag:
        return ()
    version = found.flags[name].version + 1 if name in found.flags else 1
    at_ms = now_ms()
    return (
        FlagPublished(
            flag=name, enabled=flag.enabled, rollout_percent=flag.rollout_percent, zones=flag.zones, version=version,
            at_ms=at_ms, actor_id=actor_id, reason=reason,
        ),
        FeatureFlagToggled(
            flag=name, was_enabled=was.enabled, enabled=flag.enabled, was_rollout_percent=was.rollout_percent,
            rollout_percent=flag.rollout_percent, was_zones=was.zones, zones=flag.zones, version=version,
            at_ms=at_ms, actor_id=actor_id, reason=reason,
        ),
    )  # fmt: skip


def known_flag(name: str) -> None:
    """Raises Misconfigured for a flag that there is not, with those that there are."""
    if name not in Flags.__struct_fields__:
        raise UnknownName("flag", f"{name[:60]!r} is no flag; known are {', '.join(Flags.__struct_fields__)}")


def policy_in(published: PolicyPublished) -> Policy:
    """The policy of a record. Raises ContractError for one that this release does not read."""
    rules = Rules()
    rules.apply(codec.encode(published))
    return rules.policy


def whoever_this_is() -> str:
    """The operating system's name for the person at the terminal, as an actor."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for its user
        return "somebody"
    return re.sub(r"[^A-Za-z0-9_.:@|-]", "_", name)[:128] or "somebody"


def _places(rule: Rule) -> tuple[tuple[topics.Topic, bytes], ...]:
    match rule:
        case PolicyPublished():
            return ((topics.POLICIES, POLICY_KEY), (topics.RULES_HISTORY, POLICY_KEY))
        case FlagPublished(flag=name):
            return ((topics.FLAGS, name.encode()),)
        case FeatureFlagToggled(flag=name):
            return ((topics.RULES_HISTORY, name.encode()),)


def _check_words(actor_id: str, reason: str) -> None:
    if not _ACTOR.fullmatch(actor_id):
        raise Misconfigured(f"the actor is {actor_id[:60]!r}: 1 to 128 letters, digits or _.:@|- are wanted")
    if len(reason) > _REASON_CHARACTERS or not reason.isprintable():
        raise Misconfigured(f"the reason has {len(reason)} characters: at most {_REASON_CHARACTERS}, printable ones")


def _why(error: KafkaException) -> Misconfigured:
    if overtaken(error):
        return ChangedMeanwhile(
            "somebody else changed the rules at the same moment; nothing was changed here, look at them and do it again"
        )
    return NotReached(f"the rules were not changed: {error.args[0].str()}")


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000
