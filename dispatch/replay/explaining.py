"""One decision explained: which rule decided, on which facts, what came of it, why one driver was before another."""

from typing import Any

import msgspec

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.system import PolicyPublished
from dispatch.core import delivery, driver
from dispatch.core.policy import Flags, Policy
from dispatch.core.policy_document import differences
from dispatch.replay.deciding import CORES, again
from dispatch.replay.history import Entry
from dispatch.replay.policies import Policies
from dispatch.replay.ranking_words import Ranked, ranked, why_first

_RULES: dict[str, Any] = {"delivery": delivery.rule_of, "driver": driver.rule_of}
_HEADER = frozenset({"command_id", "delivery_id", "at_ms", "actor_type", "actor_id", "correlation_id", "reply_to"})


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A decision for people and programs."""

    place: str
    aggregate: str
    aggregate_id: str
    command: str
    command_id: str
    actor: str
    now_ms: int
    late_ms: int
    """How long after the command's record time the wall clock stood: lag."""
    said: dict[str, Any]
    """What the command says besides its header."""
    rule: str
    """The function that decided."""
    rule_words: str
    phase_before: str
    phase_after: str
    outcome: str
    reason: str
    detail: str
    """The refusal's sentence, as the core words it again."""
    events: tuple[str, ...]
    policy_version: int
    policy_zone: str
    policy_words: str
    policy_differs: tuple[str, ...]
    """Fields of the policy that are not the defaults."""
    code_version: str
    flags: tuple[str, ...]
    """Flags that are not plainly on."""
    facts: tuple[str, ...]
    candidates: tuple[Ranked, ...]
    why: tuple[str, ...]
    same_again: bool
    """Whether deciding it again comes to the same events."""


def explained(entry: Entry, policies: Policies) -> Explained:
    """All that shaped a decision."""
    one, decision = entry.one, entry.one.decision
    policy = policies.of(decision.policy_version, decision.policy_zone, one.facts.wall_ms)
    decided = again(entry.before, one, policy) if policy is not None else None
    rule = _RULES[decision.aggregate](one.command)
    search = next((event for event in entry.events if isinstance(event, events.DriverCandidatesFound)), None)
    fields = {name: value for name, value in msgspec.structs.asdict(one.command).items() if name not in _HEADER}
    return Explained(
        place=str(one.place),
        aggregate=decision.aggregate,
        aggregate_id=decision.aggregate_id,
        command=type(one.command).__name__,
        command_id=decision.command_id,
        actor=f"{one.command.actor_type} {one.command.actor_id}",
        now_ms=decision.now_ms,
        late_ms=one.facts.wall_ms - decision.now_ms,
        said=msgspec.to_builtins({name: value for name, value in fields.items() if value not in ("", None)}),
        rule=f"{rule.__module__}.{rule.__name__}",
        rule_words=(rule.__doc__ or "").strip().splitlines()[0] if rule.__doc__ else "",
        phase_before=phase(entry.before),
        phase_after=phase(entry.after),
        outcome=decision.outcome,
        reason=decision.reason,
        detail=decided.detail if decided else "",
        events=tuple(type(event).__name__ for event in entry.events),
        policy_version=decision.policy_version,
        policy_zone=decision.policy_zone,
        policy_words=_published(policies.published(decision.policy_version)),
        policy_differs=_differs(policy),
        code_version=decision.code_version,
        flags=_flags(one.facts.flags),
        facts=_facts(entry),
        candidates=tuple(ranked(search)) if search else (),
        why=tuple(why_first(search)) if search else (),
        same_again=decided is not None and decided.events == entry.events and decided.outcome == decision.outcome,
    )


def phase(state: Any) -> str:
    """The phase of a delivery, the word of a driver."""
    known = getattr(state, "phase", None)
    if known is not None:
        return type(known).__name__.lower()
    return CORES["driver"].status(state) or "unknown"


def _published(record: PolicyPublished | None) -> str:
    if record is None:
        return "the defaults: none was published"
    return f"by {record.actor_id}" + (f": {record.reason}" if record.reason else "")


def _differs(policy: Policy | None) -> tuple[str, ...]:
    if policy is None:
        return ("it is not on record",)
    return tuple(f"{'.'.join(one.path)} = {one.new}" for one in differences(Policy(), policy))


def _flags(flags: Flags) -> tuple[str, ...]:
    said = []
    for name in Flags.__struct_fields__:
        flag = getattr(flags, name)
        if not flag.enabled:
            said.append(f"{name} off")
        elif flag.rollout_percent < 100 or flag.zones:
            where = f" in {', '.join(flag.zones)}" if flag.zones else ""
            said.append(f"{name} for {flag.rollout_percent}%{where}")
    return tuple(said)


def _facts(entry: Entry) -> tuple[str, ...]:
    facts, said = entry.one.facts, []
    if zone := facts.zone:
        online = "unknown how many" if zone.drivers_online is None else str(zone.drivers_online)
        said.append(
            f"zone {zone.zone} (map {zone.version}): {online} drivers online, {zone.min_drivers_online} wanted, "
            f"pressure {zone.pressure:g}" + (f", bonus {zone.incentive_minor}" if zone.incentive_minor else "")
        )
    if search := facts.search:
        source = "no index answered" if search.failed else f"{search.source} answered"
        redis = "" if search.redis_ok else ", Valkey did not"
        radius = f" within {search.radius_m / 1000:g} km" if search.radius_m else ""
        nearest = f"; the nearest free one beyond is {search.nearest_m / 1000:.1f} km away" if search.nearest_m else ""
        said.append(
            f"search{radius}: {source}{redis}, {len(search.drivers)} free, {search.busy_in_radius} busy{nearest}"
        )
    if price := facts.price:
        said.append(f"price of zone {price.zone}: {price.multiplier_percent}%")
    if facts.quote:
        said.append(f"quote of {facts.quote.multiplier_percent}%, good until {facts.quote.expires_ms}")
    return tuple(said)
