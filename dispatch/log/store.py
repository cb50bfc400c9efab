"""The aggregates of one partition in memory: raw bytes for all, live states for those used last, and their timers."""

import heapq
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from dispatch.log.application import Aggregate, Deadline
from dispatch.log.envelope import Recent, load

LIVE = 20_000
"""States kept decoded in a partition."""


@dataclass(slots=True)
class Live:
    """An aggregate ready for the next step."""

    state: Any
    now_ms: int = 0
    recent: Recent = ()
    deadlines: tuple[Deadline, ...] = ()
    set_aside: tuple[Deadline, ...] = ()

    def remembers(self, command_id: bytes) -> bytes | None:
        """The outcome of a command seen before."""
        for known, outcome in self.recent:
            if known == command_id:
                return outcome
        return None


class PartitionStore:
    """One aggregate kind in one partition. Changed only by `put`, after a commit, and by a restore."""

    def __init__(self, aggregate: Aggregate, partition: int) -> None:
        self.aggregate = aggregate
        self.partition = partition
        self._raw: dict[str, bytes] = {}
        self._live: OrderedDict[str, Live] = OrderedDict()
        self._timers: list[tuple[int, str, Deadline]] = []
        self._unset: dict[str, None] = {}
        self.known_until = 0
        """The offset of the state topic before which nothing is news."""

    def __len__(self) -> int:
        return len(self._raw)

    def get(self, aggregate_id: str) -> Live:
        """The aggregate, decoded if need be. What is given is not to be changed in place."""
        if (live := self._live.get(aggregate_id)) is not None:
            self._live.move_to_end(aggregate_id)
            return live
        raw = self._raw.get(aggregate_id)
        if raw is None:
            return Live(self.aggregate.initial(aggregate_id))
        kept = load(raw)
        state = self.aggregate.load(aggregate_id, kept.state)
        live = Live(state, kept.now_ms, kept.recent, kept.deadlines, kept.set_aside)
        self._keep(aggregate_id, live)
        return live

    def put(self, aggregate_id: str, raw: bytes | None, live: Live | None) -> None:
        """Takes what was committed; None forgets."""
        if raw is None or live is None:
            self._raw.pop(aggregate_id, None)
            self._live.pop(aggregate_id, None)
            return
        before = self._live.get(aggregate_id)
        self._raw[aggregate_id] = raw
        self._keep(aggregate_id, live)
        known = before.deadlines if before else ()
        for deadline in live.deadlines:
            if deadline not in known:
                self._push(aggregate_id, deadline)

    def restored(self, aggregate_id: str, raw: bytes | None) -> None:
        """Takes a record of the state topic; its timers are set by `set_timers` when all are read."""
        self._live.pop(aggregate_id, None)
        if raw is None:
            self._raw.pop(aggregate_id, None)
        else:
            self._raw[aggregate_id] = raw
            self._unset[aggregate_id] = None

    def set_timers(self) -> None:
        """Adds to the heap what was restored."""
        self._timers += [
            (deadline.at_ms, aggregate_id, deadline)
            for aggregate_id in self._unset
            if (raw := self._raw.get(aggregate_id)) is not None
            for deadline in load(raw).deadlines
        ]
        heapq.heapify(self._timers)
        self._unset = {}

    def next_due_ms(self, now_ms: int) -> int | None:
        """The earliest deadline. Of those that have come, the overtaken are dropped here."""
        while self._timers and self._timers[0][0] <= now_ms and not self.is_open(*self._timers[0][1:]):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def take_due(self, until_ms: int, limit: int) -> list[tuple[str, Deadline]]:
        """Timers due by then and still in force, at most `limit`, earliest first. Those not committed are put back."""
        due: list[tuple[str, Deadline]] = []
        while self._timers and self._timers[0][0] <= until_ms and len(due) < limit:
            timer = heapq.heappop(self._timers)[1:]
            if self.is_open(*timer) and timer not in due[-1:]:  # set twice, they lie next to each other
                due.append(timer)
        return due

    def put_back(self, due: list[tuple[str, Deadline]]) -> None:
        """Timers whose transaction did not commit."""
        for aggregate_id, deadline in due:
            self._push(aggregate_id, deadline)

    def is_open(self, aggregate_id: str, deadline: Deadline) -> bool:
        """Whether the aggregate still has this deadline."""
        live = self._live.get(aggregate_id)
        if live is not None:
            return deadline in live.deadlines
        raw = self._raw.get(aggregate_id)
        return raw is not None and deadline in load(raw).deadlines

    def _push(self, aggregate_id: str, deadline: Deadline) -> None:
        heapq.heappush(self._timers, (deadline.at_ms, aggregate_id, deadline))

    def _keep(self, aggregate_id: str, live: Live) -> None:
        self._live[aggregate_id] = live
        self._live.move_to_end(aggregate_id)
        if len(self._live) > LIVE:
            self._live.popitem(last=False)
