"""One partition: its records and the marks of transactions, and what a reader of committed records may see of them."""

from collections.abc import Callable, Iterator

OPEN, COMMITTED, ABORTED, MARK = range(4)
"""States of an entry. What the cleaner took away is a place without a record, as a mark is."""


class Entry:
    """A record, or the mark that ends a transaction."""

    __slots__ = ("key", "offset", "stamp_ms", "state", "value")

    def __init__(self, offset: int, key: bytes | None, value: bytes | None, stamp_ms: int, state: int) -> None:
        self.offset, self.key, self.value, self.stamp_ms, self.state = offset, key, value, stamp_ms, state


class Partition:
    """Offsets are places in `entries`. A producer id has at most one transaction open here."""

    def __init__(self, topic: str, number: int) -> None:
        self.topic, self.number = topic, number
        self.entries: list[Entry] = []
        self.open: dict[int, list[Entry]] = {}
        """By producer id what is neither committed nor aborted."""
        self.stable = 0
        """The last stable offset: readers of committed records do not see beyond."""
        self.watchers: list[Callable[[], None]] = []
        """Called when there is more to see."""

    @property
    def end(self) -> int:
        """The high watermark."""
        return len(self.entries)

    def append(self, key: bytes | None, value: bytes | None, stamp_ms: int, producer_id: int | None = None) -> int:
        """Takes a record, of a transaction if a producer id is given. Its offset."""
        state = COMMITTED if producer_id is None else OPEN
        entry = Entry(len(self.entries), key, value, stamp_ms, state)
        self.entries.append(entry)
        if producer_id is not None:
            self.open.setdefault(producer_id, []).append(entry)
        elif not self.open:
            self.stable = len(self.entries)
        for watcher in self.watchers:
            watcher()
        return entry.offset

    def mark(self, producer_id: int, *, commit: bool, stamp_ms: int) -> None:
        """Ends all that lies open of this producer id, also what an earlier transaction left (docs/decisions/0003)."""
        for entry in self.open.pop(producer_id, ()):
            entry.state = COMMITTED if commit else ABORTED
        self.entries.append(Entry(len(self.entries), None, None, stamp_ms, MARK))
        self.stable = min((entries[0].offset for entries in self.open.values()), default=len(self.entries))
        for watcher in self.watchers:
            watcher()

    def compact(self) -> None:
        """The log's cleaner: of each key's stable records the last one stays."""
        last = {entry.key: entry.offset for entry in self.committed()}
        for entry in self.committed():
            if entry.offset != last[entry.key]:
                entry.state = MARK

    def next_from(self, offset: int, *, committed: bool) -> int:
        """The offset of the next record to be read at or after this one; the end of what may be read if none."""
        end = self.stable if committed else len(self.entries)
        entries = self.entries
        while offset < end and (entries[offset].state == MARK or (committed and entries[offset].state == ABORTED)):
            offset += 1
        return offset

    def committed(self) -> Iterator[Entry]:
        """Every committed record up to the last stable offset."""
        return (entry for entry in self.entries[: self.stable] if entry.state == COMMITTED)
