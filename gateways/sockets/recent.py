"""What was heard lately, by driver: from it a connection goes on where the last one ended."""

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateways.sockets.positions import HEARD, NOTHING, Position, partition_of


@dataclass(slots=True)
class Heard:
    """A record for a driver, with its place in the log."""

    topic: int
    """Number in HEARD."""
    partition: int
    offset: int
    driver_id: str
    value: bytes
    record: Any = None
    """Decoded, if somebody was here to want it."""


class Kept(NamedTuple):
    """What is kept of it."""

    topic: int
    offset: int
    value: bytes


class Recent:
    """The last `most` records for drivers. Older ones are forgotten, and it is known from where on nothing is."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_driver: dict[str, deque[Kept]] = {}
        self._order: deque[tuple[str, int]] = deque()
        self._floor: dict[tuple[int, int], int] = {}
        self._end: dict[tuple[int, int], int] = {}
        self._heard: dict[int, tuple[int, ...]] = {}
        self.partitions = 0

    def begin(self, starts: dict[tuple[int, int], int], partitions: int) -> None:
        """Forgets all; from these offsets on, by topic and partition, everything will be heard."""
        self._by_driver.clear()
        self._order.clear()
        self._floor = dict(starts)
        self._end = {place: offset - 1 for place, offset in starts.items()}
        self._heard.clear()
        self.partitions = partitions

    def reached(self, ends: dict[tuple[int, int], int]) -> None:
        """Up to these offsets everything was heard."""
        for place, offset in ends.items():
            self._end[place] = max(offset, self._end.get(place, NOTHING))
        self._heard.clear()

    def add(self, heard: Heard) -> None:
        """One more; the oldest is forgotten when there are too many."""
        kept = Kept(heard.topic, heard.offset, heard.value)
        self._by_driver.setdefault(heard.driver_id, deque()).append(kept)
        self._order.append((heard.driver_id, heard.partition))
        if len(self._order) > self._most:
            driver_id, partition = self._order.popleft()
            of_driver = self._by_driver[driver_id]
            gone = of_driver.popleft()
            if not of_driver:
                del self._by_driver[driver_id]
            place = gone.topic, partition
            self._floor[place] = max(self._floor.get(place, 0), gone.offset + 1)

    def present(self, driver_id: str) -> Position:
        """How far the driver's partition was heard."""
        partition = partition_of(driver_id, max(1, self.partitions))
        return Position(partition, self.heard(partition))

    def heard(self, partition: int) -> tuple[int, ...]:
        """How far a partition of each topic in HEARD was heard."""
        found = self._heard.get(partition)
        if found is None:
            found = tuple(self._end.get((topic, partition), NOTHING) for topic in range(len(HEARD)))
            self._heard[partition] = found
        return found

    def of(self, driver_id: str) -> tuple[Kept, ...]:
        """All that is kept for the driver, as it was heard."""
        return tuple(self._by_driver.get(driver_id, ()))

    def ahead(self, since: Position) -> bool:
        """Whether it names what was not heard here yet."""
        places = ((topic, since.partition) for topic in range(len(HEARD)))
        return any(offset > self._end.get(place, NOTHING) for place, offset in zip(places, since.told, strict=True))

    def after(self, driver_id: str, since: Position) -> list[Kept] | None:
        """What came for the driver after a position; None: some of it may be forgotten, or it is another's position."""
        if since.partition != self.present(driver_id).partition or self.ahead(since):
            return None
        for topic, offset in enumerate(since.told):
            if offset + 1 < self._floor.get((topic, since.partition), 0):
                return None
        return [kept for kept in self.of(driver_id) if kept.offset > since.told[kept.topic]]
