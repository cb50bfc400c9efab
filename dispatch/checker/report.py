"""What a check found."""

from dataclasses import dataclass, field

RULES = {
    1: "a driver never holds more than their capacity",
    2: "a delivery never has two holders",
    3: "holder and held agree",
    4: "a driver's fence only rises",
    5: "versions have no gap or repeat",
    6: "at most one terminal event",
    7: "each command has exactly one outcome",
    9: "every order ended or is escalated",
    10: "every reservation is confirmed, released or refused",
    11: "every timer has effect once",
    12: "cause precedes effect",
    13: "every input record was processed, refused or dead-lettered",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule broken, where first, and how."""

    rule: int
    place: str
    sentence: str


@dataclass(slots=True)
class Report:
    """Counts and violations."""

    counts: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every rule held."""
        return not self.violations

    def text(self, most: int = 20) -> str:
        """In words."""
        lines = [", ".join(f"{count:,} {what}" for what, count in self.counts.items())]
        broken: dict[int, int] = {}
        for violation in self.violations:
            broken[violation.rule] = broken.get(violation.rule, 0) + 1
        for rule, words in RULES.items():
            state = f"BROKEN {broken[rule]} times" if rule in broken else "held"
            lines.append(f"  {rule:>2}. {words}: {state}")
        for violation in self.violations[:most]:
            lines.append(f"  rule {violation.rule} at {violation.place}: {violation.sentence}")
        return "\n".join(lines)
