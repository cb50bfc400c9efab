"""Message ids: how far in the log a driver has been told. Any gateway can go on from one, for the log is the same.

A driver's messages come from three topics that are keyed by the driver, so from one partition of each. A message's id
names that partition and of each topic the offset up to which all was told, the message's own among them:
`1-3-120-4567-89`.
"""

import re
from dataclasses import dataclass

from dispatch.contract import topics
from dispatch.log.reach import murmur2

HEARD = (topics.OFFERS, topics.DRIVER_EVENTS, topics.NOTICES)
"""Where drivers' messages come from, in the order of an id's offsets."""
NOTHING = -1
"""Offset before the first."""
_FORM = re.compile(r"1-([0-9]{1,4})((?:-n|-[0-9]{1,18}){3})")


@dataclass(frozen=True, slots=True)
class Position:
    """What was told: of each topic in HEARD all up to this offset."""

    partition: int
    told: tuple[int, ...]

    def __str__(self) -> str:
        return "-".join(
            ["1", str(self.partition), *("n" if offset == NOTHING else str(offset) for offset in self.told)]
        )

    def after(self, topic: int, offset: int) -> "Position":
        """With one more message told."""
        return Position(self.partition, (*self.told[:topic], offset, *self.told[topic + 1 :]))

    def reached(self, heard: tuple[int, ...]) -> "Position":
        """With nothing left to tell up to there: quiet topics go on as well, or a gap in them would seem to be one."""
        return Position(self.partition, tuple(map(max, self.told, heard)))


def position(text: str) -> Position | None:
    """The position that an id names; None for what is no id."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    offsets = found[2].removeprefix("-").split("-")
    return Position(int(found[1]), tuple(NOTHING if offset == "n" else int(offset) for offset in offsets))


def partition_of(driver_id: str, partitions: int) -> int:
    """Where the driver's records are."""
    return murmur2(driver_id.encode()) % partitions
