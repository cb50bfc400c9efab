"""The rows of the aggregates that were lately under way, as they stand in Postgres, so that few are read again.

Whoever remembers must be the only one who writes: what is kept is forgotten when a batch was not written, when
partitions come or go, and when a rebuild has replaced tables.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from projections.models.model import Row

KEPT = 8_000
"""Aggregates of a family; some 10 KB each."""


class Aggregate:
    """All rows that are folded from one aggregate's events."""

    __slots__ = ("lists", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, dict[Any, Row]] = {}
        """By table and key."""
        self.lists: dict[str, list[Row]] = {}
        """By table; for those that have several rows a key."""


class Memory:
    """Aggregates of one family by id; those not asked for longest are forgotten first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[str, Aggregate] = OrderedDict()

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those that must be read."""
        return [name for name in names if name not in self._known]

    def add(self, name: str) -> Aggregate:
        """An aggregate of which nothing is there yet."""
        aggregate = self._known[name] = Aggregate()
        return aggregate

    def get(self, name: str) -> Aggregate | None:
        """The aggregate, which then counts as the one asked for last."""
        aggregate = self._known.get(name)
        if aggregate is not None:
            self._known.move_to_end(name)
        return aggregate

    def shrink(self) -> None:
        """Forgets what is more than shall be kept. Between batches only."""
        while len(self._known) > self._kept:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """All."""
        self._known.clear()
