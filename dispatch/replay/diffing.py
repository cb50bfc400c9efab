"""Which decisions come out otherwise: counted by kind and zone, with examples, and what all of it amounts to."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from dispatch.core.policy import Policy
from dispatch.core.policy_document import differences
from dispatch.replay.changes import SCORES, Came, kinds, of_event
from dispatch.replay.comparing import Field, fields
from dispatch.replay.deciding import again
from dispatch.replay.effects import Effects
from dispatch.replay.policies import Policies
from dispatch.replay.under import OUTSIDE, Other, Undecidable, decided
from dispatch.replay.walking import Step

EXAMPLES = 3
FIELDS = 3
TRUTH = (
    "Exact for one decision: the same state, command and facts. What would have come after it is not in these figures, "
    "for then the states would have been others: beyond one step they are an estimate."
)


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One decision that changes."""

    aggregate_id: str
    command: str
    command_id: str
    at_ms: int
    zone: str
    was: str
    would_be: str
    fields: tuple[Field, ...] = ()
    """The first that differ, where the events are of the same kinds."""


class Group(msgspec.Struct, kw_only=True):
    """Decisions that change in one way."""

    kind: str
    decisions: int = 0
    by_zone: dict[str, int] = {}
    by_command: dict[str, int] = {}
    examples: list[Example] = []


class Diff(msgspec.Struct, kw_only=True):
    """The whole of it."""

    decisions: int = 0
    """Looked at."""
    decided: int = 0
    changed: int = 0
    """In more than numbers of a ranking whose order stays."""
    scores_only: int = 0
    undecidable: dict[str, int] = {}
    """Of which the record has not what would have been looked at."""
    passed_over: dict[str, int] = {}
    """That do not come out the same under their own policy, or cannot be read: `verify` says more."""
    by_zone: dict[str, list[int]] = {}
    """Zone: decided, changed."""
    groups: dict[str, Group] = {}
    effects: dict[str, list[float]] = {}
    """Figure: as it was, as it would be."""
    outside: tuple[str, ...] = ()
    """Changes of the policy that act outside decisions, and are not seen here."""
    truth: str = TRUTH

    @property
    def percent(self) -> float:
        """Share of the decided that change."""
        return 100 * self.changed / self.decided if self.decided else 0.0


class Seen(NamedTuple):
    """Where a decision stood."""

    zone: str
    aggregate_id: str
    command: str
    command_id: str
    now_ms: int
    wall_ms: int


class Tally:
    """Adds up pairs of outcomes."""

    def __init__(self) -> None:
        self.diff = Diff()
        self._old, self._new = Effects(), Effects()

    def add(self, seen: Seen, old: Came, new: Came) -> None:
        """One decision, as it was and as it would be."""
        diff = self.diff
        diff.decided += 1
        zone = diff.by_zone.setdefault(seen.zone, [0, 0])
        zone[0] += 1
        self._old.add(old.outcome, old.events, seen.wall_ms)
        self._new.add(new.outcome, new.events, seen.wall_ms)
        found = kinds(old, new)
        if not found:
            return
        if found == [SCORES]:
            diff.scores_only += 1
            return
        diff.changed += 1
        zone[1] += 1
        for kind in found:
            self._group(kind, seen, old, new)

    def finish(self) -> Diff:
        """With the effects."""
        before, after = self._old.figures(), self._new.figures()
        self.diff.effects = {
            name: [before.get(name, 0), after.get(name, 0)] for name in dict.fromkeys((*before, *after))
        }
        self.diff.groups = dict(sorted(self.diff.groups.items(), key=lambda one: -one[1].decisions))
        return self.diff

    def undecidable(self, reason: str) -> None:
        """One of which the record has not enough."""
        self.diff.undecidable[reason] = self.diff.undecidable.get(reason, 0) + 1

    def passed_over(self, reason: str) -> None:
        """One that is not compared."""
        self.diff.passed_over[reason] = self.diff.passed_over.get(reason, 0) + 1

    def _group(self, kind: str, seen: Seen, old: Came, new: Came) -> None:
        group = self.diff.groups.setdefault(kind, Group(kind=kind))
        group.decisions += 1
        group.by_zone[seen.zone] = group.by_zone.get(seen.zone, 0) + 1
        group.by_command[seen.command] = group.by_command.get(seen.command, 0) + 1
        if len(group.examples) < EXAMPLES:
            group.examples.append(
                Example(
                    aggregate_id=seen.aggregate_id, command=seen.command, command_id=seen.command_id, at_ms=seen.now_ms,
                    zone=seen.zone, was=words(old), would_be=words(new), fields=_fields(kind, old, new),
                )
            )  # fmt: skip


def under_policy(steps: Iterable[Step], policies: Policies, policy: Policy, tally: Tally, zone: str = "") -> None:
    """Every step decided under another policy; with a zone only those of deliveries picked up there."""
    other = Other(policy)
    for step in steps:
        where = seen(step)
        if zone and where.zone != zone:
            continue
        tally.diff.decisions += 1
        one, decision = step.one, step.one.decision
        was = policies.of(decision.policy_version, decision.policy_zone, one.facts.wall_ms)
        if was is None:
            tally.passed_over(f"policy {decision.policy_version} is not on record")
            continue
        old = Came(decision.outcome, decision.reason, step.events)
        if same_again(step, was) != old:
            tally.passed_over("does not come out the same under its own policy")
            continue
        try:
            tally.add(where, old, decided(step.before, one, was, other.at(one)))
        except Undecidable as reason:
            tally.undecidable(str(reason))


def same_again(step: Step, was: Policy) -> Came:
    """Under its own policy."""
    made = again(step.before, step.one, was)
    return Came(made.outcome, made.reason, made.events)


def seen(step: Step) -> Seen:
    """Where it stood. A driver's decisions are of no zone."""
    order, one = getattr(step.before, "order", None), step.one
    zone = one.facts.zone.zone if one.facts.zone is not None else order.zone if order is not None else "none"
    if one.decision.aggregate == "driver":
        zone = "(drivers)"
    decision = one.decision
    return Seen(zone, decision.aggregate_id, type(one.command).__name__, decision.command_id, decision.now_ms,
                one.facts.wall_ms)  # fmt: skip


def acts_outside(old: Policy, new: Policy) -> tuple[str, ...]:
    """Fields that differ and that no decision looks at."""
    return tuple(".".join(one.path) for one in differences(old, new) if one.path[0] in OUTSIDE)


def _fields(kind: str, old: Came, new: Came) -> tuple[Field, ...]:
    """Fields that differ, of the events that differ in this way; scores, which follow from others, are left out."""
    if [type(event) for event in old.events] != [type(event) for event in new.events]:
        return ()
    pairs = [(one, other) for one, other in zip(old.events, new.events, strict=True) if kind in of_event(one, other)]
    found = [field for one, other in pairs for field in fields(type(one).__name__, one, other)]
    telling = [field for field in found if not field.field.startswith(("candidates[", "event_id"))]
    return tuple((telling or found)[:FIELDS])


def words(made: Came) -> str:
    """The events that matter, in a line."""
    if made.outcome == "refused":
        return f"refused {made.reason}"
    return ", ".join(_event(event) for event in made.events) or "nothing"


def _event(event: Any) -> str:
    name = type(event).__name__
    if name in ("ReservationRequested", "DriverAssigned", "DriverOfferSent"):
        terms = getattr(event, "terms", None)
        pay = f" for {terms.earning_minor / 100:.2f} {terms.currency}" if terms is not None else ""
        return f"{name} {event.driver_id}{pay}"
    if name == "NoDriverFound":
        return f"{name} {event.why}"
    return name
