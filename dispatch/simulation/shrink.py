"""The least of a plan that still breaks the same rule: whoever and whatever can be left out is left out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from dispatch.simulation.plan import Plan
from dispatch.simulation.running import Outcome, live

T = TypeVar("T")
TRIES = 400
"""Runs, at most."""
_PARTS = ("faults", "orders", "drivers", "admins")


def shrunk(outcome: Outcome, tries: int = TRIES) -> Outcome:
    """An outcome that breaks what this one breaks, with less. The same one if it held or nothing can be left out."""
    if outcome.ok:
        return outcome
    return _Shrinking(outcome, tries).run()


def ddmin(items: Sequence[T], still_fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """The items without any one of which it does not fail: delta debugging (Zeller, Hildebrandt 2002)."""
    left, parts = tuple(items), 2
    while left:
        size = max(1, len(left) // parts)
        for first in range(0, len(left), size):
            fewer = left[:first] + left[first + size :]
            if still_fails(fewer):
                left, parts = fewer, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return left
            parts = min(len(left), parts * 2)
    return left


class _Shrinking:
    def __init__(self, outcome: Outcome, tries: int) -> None:
        self._best, self._left = outcome, tries
        self._wanted = broken(outcome)

    def run(self) -> Outcome:
        """Round by round, until a round leaves nothing out."""
        while True:
            before = self._best
            for part in _PARTS:
                ddmin(getattr(self._best.plan, part), self._fewer(part))
            ddmin(sorted(self._best.plan.habits), lambda habits: self._try(habits=frozenset(habits)))
            if self._best is before or self._left <= 0:
                return self._best

    def _fewer(self, part: str) -> Callable[[tuple[object, ...]], bool]:
        return lambda items: self._try(**{part: items})

    def _try(self, **changes: object) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        fewer: Plan = replace(self._best.plan, **changes)  # type: ignore[arg-type]
        outcome = live(fewer)
        if not self._wanted & broken(outcome):
            return False
        self._best = outcome
        return True


def broken(outcome: Outcome) -> frozenset[str]:
    """What it breaks, without places and names: rules, and the first words of the problems."""
    rules = {f"rule {violation.rule}" for violation in outcome.report.violations}
    return frozenset(rules or {" ".join(problem.split()[:2]) for problem in outcome.problems})
