"""The events of one partition beside its decisions: read as far ahead as a decision wants, kept by aggregate.

A transaction writes a decision and its events, so the two topics stand nearly side by side and little is kept. An event
that is looked for and not there within `WITHIN_MS` of the decision's stamp is not there.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dispatch.log.application import Record

WITHIN_MS = 30_000
"""A transaction is ended by its process after 20 s."""
Source = Callable[[], Record | None]
"""The next record; None: there are no more."""


class Wanted(NamedTuple):
    """Which records of a topic are looked at."""

    keys: frozenset[bytes] | None = None
    """Only of these aggregates; None: of all."""

    def take(self, record: Record) -> bool:
        """Whether this one is."""
        return self.keys is None or record.key in self.keys


class Ahead:
    """Events that were read and belong to decisions that were not."""

    def __init__(
        self, source: Source, early: Callable[[Record], None], since_ms: int = 0, wanted: Wanted | None = None
    ) -> None:
        """`early` takes the events that no decision asked for can have made: stamped before `since_ms`."""
        self._source, self._early, self._since_ms = source, early, since_ms - WITHIN_MS
        self._wanted = wanted or Wanted()
        self._waiting: dict[bytes, deque[Record]] = {}
        self._stamp_ms = 0
        self.next_offset = -1
        self.waiting = 0

    def first(self, key: bytes, stamp_ms: int) -> Record | None:
        """The next event of an aggregate, left where it is; None: none is there for a decision of this stamp."""
        while not (queue := self._waiting.get(key)):
            if self._stamp_ms > stamp_ms + WITHIN_MS or not self._read():
                return None
        return queue[0]

    def pop(self, key: bytes) -> Record:
        """Takes it."""
        queue = self._waiting[key]
        record = queue.popleft()
        self.waiting -= 1
        if not queue:
            del self._waiting[key]
        return record

    def rest(self) -> Iterator[Record]:
        """Those that nobody took, and all that is still to be read."""
        while self._read():
            continue
        for queue in self._waiting.values():
            yield from queue

    def left(self) -> list[Record]:
        """Those read and not taken yet, for a checkpoint."""
        return [record for queue in self._waiting.values() for record in queue]

    def put(self, record: Record) -> None:
        """Takes one from a checkpoint."""
        self._waiting.setdefault(record.key or b"", deque()).append(record)
        self.waiting += 1

    def _read(self) -> bool:
        record = self._source()
        if record is None:
            return False
        self.next_offset, self._stamp_ms = record.offset + 1, record.timestamp_ms
        if self._wanted.take(record):
            if record.timestamp_ms < self._since_ms:
                self._early(record)
            else:
                self.put(record)
        return True
