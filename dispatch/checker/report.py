"""What a check found."""

from dataclasses import dataclass, field
from typing import NamedTuple

RULES = {
    1: "a driver never holds more than their capacity",
    2: "a delivery never has two holders",
    3: "holder and held agree",
    4: "a driver's fence only rises",
    5: "versions have no gap or repeat",
    6: "at most one terminal event",
    7: "each command has exactly one outcome",
    8: "who waits is told the one outcome",
    9: "every order ended or is escalated by its deadline",
    10: "every reservation is confirmed, released or refused",
    11: "every timer has effect once, at its time, or is cancelled",
    12: "cause precedes effect",
    13: "every input record was processed, refused or dead-lettered",
    14: "folding the events gives the stored state",
    15: "deciding again gives the same bytes",
    16: "a former driver is not asked again unless an admin names them",
    17: "a driver who is lost keeps the delivery until the grace is over",
    18: "an offer that is over has no effect",
    19: "a driver has granted before they are offered or hold",
    20: "each event fits what was before, and its command",
    21: "drivers, customers and operations are told what they must know",
    22: "what is asked of one in one partition is decided in its order",
}
KEPT = 200
"""Violations of one rule that a report names, the first by time."""


class Place(NamedTuple):
    """Where a record stands, and its stamp."""

    topic: str
    partition: int
    offset: int
    at_ms: int = 0

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


NOWHERE = Place("", 0, 0)


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule broken, where first, and how."""

    rule: int
    place: str
    sentence: str
    at_ms: int = 0
    """The record's stamp, UTC ms."""


@dataclass(slots=True)
class Report:
    """Counts and violations, by rule the first in time first."""

    counts: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    broken: dict[int, int] = field(default_factory=dict)
    """How often each rule was broken, also beyond the violations kept."""
    unasked: tuple[int, ...] = ()
    """Rules that this check could not ask, for want of what it takes."""

    @property
    def ok(self) -> bool:
        """Whether every rule held."""
        return not self.violations

    @property
    def first(self) -> Violation | None:
        """What went wrong first, by the records' stamps."""
        return min(self.violations, key=lambda violation: (violation.at_ms, violation.rule), default=None)

    def text(self, most: int = 20) -> str:
        """In words."""
        lines = [", ".join(f"{count:,} {what}" for what, count in self.counts.items())]
        for rule, words in RULES.items():
            state = "not asked" if rule in self.unasked else "held"
            state = f"BROKEN {self.broken[rule]} times" if rule in self.broken else state
            lines.append(f"  {rule:>2}. {words}: {state}")
        for violation in self.violations[:most]:
            lines.append(f"  rule {violation.rule} at {violation.place}: {violation.sentence}")
        return "\n".join(lines)


class Findings:
    """Where the books write down what is broken."""

    def __init__(self) -> None:
        self._found: dict[int, list[Violation]] = {}
        self._broken: dict[int, int] = {}
        self.edge_ms: int | None = None
        """Nothing is held against records stamped later: of what belongs to them not all may have been read."""

    def add(self, rule: int, place: Place, sentence: str) -> None:
        """A rule is broken at a record."""
        if self.edge_ms is not None and place.at_ms > self.edge_ms:
            return
        kept = self._found.setdefault(rule, [])
        self._broken[rule] = self._broken.get(rule, 0) + 1
        kept.append(Violation(rule, str(place), sentence, place.at_ms))
        if len(kept) > 2 * KEPT:
            self._found[rule] = _first(kept)

    def report(self, counts: dict[str, int], unasked: tuple[int, ...]) -> Report:
        """All of it."""
        found = [violation for rule in sorted(self._found) for violation in _first(self._found[rule])]
        return Report(counts, found, dict(sorted(self._broken.items())), unasked)


def _first(found: list[Violation]) -> list[Violation]:
    return sorted(found, key=lambda violation: violation.at_ms)[:KEPT]
