"""What must be there before the processes start: topics, and rules in force."""

import os
from collections.abc import Sequence

from dispatch.config import Settings
from dispatch.contract import topics
from dispatch.contract.records.system import FlagPublished, PolicyPublished
from dispatch.core.policy import Flag, Policy, scaled
from dispatch.inputs import rulebook, start_values
from dispatch.inputs.rulebook import InForce, Rule
from dispatch.inputs.rules import policy_record
from dispatch.log.topics import TopicSpec, create

ACTOR = "setup"


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


def check_start_values() -> None:
    """Raises SettingsError for a start value in the environment that makes no sense."""
    start_values.start_policy(os.environ)
    start_values.start_flags(os.environ)


def start_rules(settings: Settings, speed: float = 1) -> str:
    """Publishes the rules that a new installation starts with; gives in words what was done.

    What somebody put in force stays, whatever the environment says. A policy that only ever was setup's own is made
    anew for a city of another speed. Raises SettingsError for a variable that makes no sense, and Misconfigured.
    """
    policy, flags = start_values.start_policy(os.environ), start_values.start_flags(os.environ)
    wanted, reason = (scaled(policy, speed) if speed != 1 else policy), f"start values at speed {speed:g}"

    def decide(found: InForce) -> Sequence[Rule]:
        made: list[Rule] = []
        last = found.published
        if last is None or (last.actor_id == ACTOR and last.reason not in ("", reason)):
            made.append(rulebook.next_policy(found, wanted, ACTOR, reason))
        for name, flag in flags.items():
            if name not in found.flags:
                made += rulebook.toggled(found, name, flag, ACTOR, "start value from the environment")
        return made

    found, made = rulebook.change(settings.kafka, settings.namespace, decide)
    started = next((rule for rule in made if isinstance(rule, PolicyPublished)), None)
    version = (started or found.published or policy).version
    flags_started = len([rule for rule in made if isinstance(rule, FlagPublished)])
    said = f"policy {version} {'is put in force' if started else 'stays in force'}"
    return said + (f", {flags_started} flags start as the environment says" if flags_started else "")


def publish_policy(settings: Settings, policy: Policy, actor_id: str = ACTOR) -> None:
    """Puts a policy in force under its own version. Raises Misconfigured when Kafka does not take it."""
    record = policy_record(policy, at_ms=rulebook.now_ms(), actor_id=actor_id)
    rulebook.change(settings.kafka, settings.namespace, lambda _found: [record])


def publish_flag(settings: Settings, name: str, flag: Flag, *, actor_id: str = ACTOR, reason: str = "") -> None:
    """Puts a flag's setting in force. Raises Misconfigured when Kafka does not take it."""
    rulebook.change(
        settings.kafka, settings.namespace, lambda found: rulebook.toggled(found, name, flag, actor_id, reason)
    )
