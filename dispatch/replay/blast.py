"""How far something reached: which deliveries and drivers had a decision of which a predicate holds, how many, when."""

from collections.abc import Iterable
from typing import Any

import msgspec

from dispatch.replay.predicate import BadPredicate, Predicate, about
from dispatch.replay.walking import Step

EXAMPLES = 10
NAMED = 100_000
"""Aggregates that are named; beyond they are counted."""
_HOUR_MS = 3_600_000


class Reached(msgspec.Struct, kw_only=True):
    """One aggregate."""

    aggregate: str
    aggregate_id: str
    decisions: int
    first_ms: int
    last_ms: int


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One decision."""

    aggregate: str
    aggregate_id: str
    command: str
    command_id: str
    at_ms: int
    place: str
    outcome: str
    events: tuple[str, ...]


class Radius(msgspec.Struct, kw_only=True):
    """The whole of it."""

    predicate: str
    looked_at: int = 0
    decisions: int = 0
    deliveries: int = 0
    drivers: int = 0
    first_ms: int = 0
    last_ms: int = 0
    by_hour: dict[int, int] = {}
    """Decisions by the hour in which they were made, UTC milliseconds."""
    by_zone: dict[str, int] = {}
    by_command: dict[str, int] = {}
    by_policy: dict[str, int] = {}
    by_code: dict[str, int] = {}
    passed_over: dict[str, int] = {}
    unjudged: dict[str, int] = {}
    reached: list[Reached] = []
    examples: list[Example] = []


def radius(steps: Iterable[Step], predicate: Predicate, text: str) -> Radius:
    """Judges every step."""
    found = Radius(predicate=text)
    known: dict[tuple[str, str], Reached] = {}
    for step in steps:
        found.looked_at += 1
        seen = about(step)
        try:
            if not predicate.holds(seen):
                continue
        except BadPredicate as error:
            _one_more(found.unjudged, str(error)[:200])
            continue
        _add(found, step, seen)
        key = (str(seen["aggregate"]), str(seen["aggregate_id"]))
        if (one := known.get(key)) is None:
            one = Reached(aggregate=key[0], aggregate_id=key[1], decisions=0, first_ms=seen["now_ms"], last_ms=0)
            if key[0] == "delivery":
                found.deliveries += 1
            else:
                found.drivers += 1
            if len(known) < NAMED:
                known[key] = one
                found.reached.append(one)
        one.decisions += 1
        one.first_ms, one.last_ms = min(one.first_ms, seen["now_ms"]), max(one.last_ms, seen["now_ms"])
    found.reached.sort(key=lambda one: one.first_ms)
    return found


def _add(found: Radius, step: Step, seen: dict[str, Any]) -> None:
    now_ms = int(seen["now_ms"])
    found.decisions += 1
    found.first_ms = min(found.first_ms or now_ms, now_ms)
    found.last_ms = max(found.last_ms, now_ms)
    found.by_hour[now_ms - now_ms % _HOUR_MS] = found.by_hour.get(now_ms - now_ms % _HOUR_MS, 0) + 1
    _one_more(found.by_zone, seen["zone"])
    _one_more(found.by_command, seen["command"])
    _one_more(found.by_policy, str(seen["policy_version"]))
    _one_more(found.by_code, seen["code_version"])
    if len(found.examples) < EXAMPLES:
        found.examples.append(
            Example(
                aggregate=seen["aggregate"],
                aggregate_id=seen["aggregate_id"],
                command=seen["command"],
                command_id=step.one.decision.command_id,
                at_ms=now_ms,
                place=str(step.one.place),
                outcome=seen["outcome"],
                events=tuple(seen["events"]),
            )
        )


def _one_more(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
