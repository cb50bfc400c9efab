"""What deciding again came to."""

from typing import Any

import msgspec

from dispatch.replay.comparing import Field

KEPT = 1_000
"""Differences kept whole; beyond they are counted."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that came out otherwise than the log says, or a record that does not fit."""

    place: str
    """Of the decision, or of the event that no decision made."""
    aggregate: str
    aggregate_id: str
    command: str
    command_id: str
    at_ms: int
    policy_version: int
    code_version: str
    fields: tuple[Field, ...]


class Report(msgspec.Struct, kw_only=True):
    """Counts and differences. `undecided` are those of which something was missing; the reasons are counted."""

    decisions: int = 0
    equal: int = 0
    events: int = 0
    """Compared byte by byte."""
    different: int = 0
    undecided: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    code_versions: dict[str, int] = {}
    before: int = 0
    """Events from before the first decision asked for: folded as the log has them."""
    differences: list[Difference] = []
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every decision was decided again and came out the same."""
        return not self.different and not self.undecided

    def found(self, difference: Difference) -> None:
        """One more difference."""
        self.different += 1
        if len(self.differences) < KEPT:
            self.differences.append(difference)

    def without(self, reason: str) -> None:
        """One more that cannot be decided again."""
        self.undecided[reason] = self.undecided.get(reason, 0) + 1

    def plain(self) -> dict[str, Any]:
        """For programs."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        fields["differences"] = [
            {**one, "fields": [Field(*field)._asdict() for field in one["fields"]]} for one in fields["differences"]
        ]
        return {"ok": self.ok, **fields}


def counted(counts: dict[str, int], name: str) -> None:
    """One more of this name."""
    counts[name] = counts.get(name, 0) + 1
