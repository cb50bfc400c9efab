"""How far a worker is in each partition: what is committed, where the log ends, and what is still under way to it."""

from collections.abc import Mapping, Sequence

from dispatch.log.application import Deadline, Record
from dispatch.log.store import PartitionStore

Place = tuple[str, int]
Due = list[tuple[PartitionStore, list[tuple[str, Deadline]]]]


class Positions:
    """The positions of one worker, by topic and partition."""

    def __init__(self) -> None:
        self.next: dict[Place, int] = {}
        """What is committed: the next record to be decided."""
        self.end: dict[Place, int] = {}
        """Where the consumer came to the end, if it has read nothing since."""
        self.stamp: dict[Place, int] = {}
        """Time of the last record read, UTC ms."""
        self._sent_until: dict[Place, int] = {}

    def consumed(self, record: Record, *, vouches: bool) -> None:
        """A record was read; one that is refused for its stamp vouches for no time."""
        place = (record.topic, record.partition)
        self.end.pop(place, None)
        if vouches:
            self.stamp[place] = record.timestamp_ms

    def went_back(self, place: Place) -> None:
        """Records come again: no timer may pass what lies before them."""
        self.end.pop(place, None)
        self.stamp.pop(place, None)

    def took_over(self, place: Place, committed: int, end: int) -> None:
        """A partition that was assigned, with the end of all that its predecessors may have sent."""
        self.next[place] = committed
        self._sent_until[place] = end

    def committed(self, offsets: Mapping[Place, int], detoured: Mapping[Place, int]) -> None:
        """A transaction was: its offsets, and how far its detours got."""
        self.next.update(offsets)
        self._sent_until.update(detoured)

    def offsets(self, records: Sequence[Record], due: Due) -> dict[Place, int]:
        """What a transaction commits; for timers the present position again, so that a zombie is fenced."""
        offsets = {}
        for store, _ in due:
            place = (store.aggregate.commands_topic, store.partition)
            offsets[place] = self.next[place]
        for record in records:
            offsets[record.topic, record.partition] = record.offset + 1
        return offsets

    def has_read_all(self, place: Place, offsets: Mapping[Place, int]) -> bool:
        """Whether with these offsets every detour to the partition was read, so that nothing is overtaken."""
        return max(offsets.get(place, self.next[place]), self.end.get(place, 0)) >= self._sent_until[place]
