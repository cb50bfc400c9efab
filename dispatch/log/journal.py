"""Remembers, outside the process, what was in hand when it died, to find a record or timer that kills every worker.

After a death what was in hand is taken one by one; when it was more than fifty things, a fiftieth at a time, and one by
one after a second death. Other records are taken together, never beside it. What the process died at three times, twice
of them alone, is set aside unseen. A file of the machine is enough: the supervisor restarts the slot where it was.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from dispatch.log.application import Deadline, Record

DEATHS = 3
_SHARES = 50
"""After a death what was in hand is done again in about so many transactions: thousands of them would be a pause."""
_BESIDE = 100
"""So many records are read at once while others are suspected: a turn stays short."""


class Taken(NamedTuple):
    """What is in hand: a record by its offset, or an aggregate's timer."""

    topic: str
    partition: int
    offset: int = -1
    aggregate_id: str = ""
    deadline: Deadline | None = None


class Said(msgspec.Struct):
    """What the file says."""

    in_hand: set[Taken] = msgspec.field(default_factory=set)
    deaths: int = 0
    """Of the one thing in hand, before the present."""


class JournalFile(Protocol):
    """Where it is kept: what was written outlives the process, however it ends."""

    def read(self) -> bytes:
        """All that is kept. Raises OSError."""

    def write(self, data: bytes) -> None:
        """Writes over the beginning."""

    def close(self) -> None:
        """Lets it go; what it says stays."""


class FileOfJournal:
    """A file of this machine."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def read(self) -> bytes:
        """All that is kept."""
        return self._path.read_bytes()

    def write(self, data: bytes) -> None:
        """One call of the kernel: a process that is killed has written it or not."""
        os.pwrite(self._file, data, 0)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


class Journal:
    """One slot's file. Without one nothing is remembered."""

    def __init__(self, file: JournalFile | None) -> None:
        self._file = file
        self._suspects: set[Taken] = set()
        self._deaths = 0
        self._came = True
        """Whether the last record was a suspect: the next one will be."""
        if file is not None:
            self._read(file)
        self._share = 1 + len(self._suspects) // _SHARES

    @property
    def suspicious(self) -> bool:
        """Whether there are records and timers that must be taken apart from others."""
        return bool(self._suspects)

    def room(self, most: int) -> int:
        """How many records to read at once: few while suspects come, for what is read beside them is read again."""
        return most if not self._suspects else min(most, self._share if self._came else _BESIDE)

    def parted(self, records: list[Record]) -> tuple[list[Record], list[Record]]:
        """What to handle together, in its order, and what must be read again after that: suspects, or what is none."""
        if not self._suspects or not records:
            return records, []
        came = [Taken(one.topic, one.partition, one.offset) in self._suspects for one in records]
        self._came = came[0]
        alike = came.index(not self._came) if (not self._came) in came else len(came)
        together = min(alike, self._share) if self._came else alike
        return records[:together], records[together:]

    def is_deadly(self, taken: Taken) -> bool:
        """Whether the process died at this very record or timer too often."""
        return self._deaths >= DEATHS and taken in self._suspects

    def take(self, taken: Iterable[Taken]) -> None:
        """Called before a batch is handled."""
        in_hand = set(taken)
        again = self._deaths if len(in_hand) == 1 and in_hand <= self._suspects else 0
        self._write(Said(in_hand, again))

    def done(self, taken: Iterable[Taken]) -> None:
        """Called when the batch is committed or given back. Dying now, with nothing in hand, counts for nothing."""
        self._forget(self._suspects.intersection(taken))
        self._write(Said(self._suspects, max(0, self._deaths - 1)))

    def settle(self, comes_again: Callable[[Taken], bool]) -> None:
        """Clears what was committed before the process died, and what another worker has now: neither comes again."""
        self._forget({taken for taken in self._suspects if not comes_again(taken)})

    def close(self) -> None:
        """Closes the file; what it says stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _forget(self, taken: set[Taken]) -> None:
        self._suspects -= taken
        if not self._suspects:
            self._deaths = 0

    def _read(self, file: JournalFile) -> None:
        try:
            said = msgspec.json.decode(file.read().split(b"\n", 1)[0], type=Said)
        except (OSError, ValueError, RecursionError):
            said = Said()  # none, or torn by the death itself: nothing is suspected, the next death is remembered
        self._suspects = said.in_hand
        self._deaths = said.deaths + 1 if len(self._suspects) == 1 else 1

    def _write(self, said: Said) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(said) + b"\n")
