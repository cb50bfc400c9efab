"""Remembers, outside the process, which records were in hand when it died, to find one that kills every worker.

After a death the records that were in hand are taken one by one; the one that the process died at three times is set
aside unseen. A file of the machine is enough: the supervisor restarts the slot where it was.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from dispatch.log.application import Record

DEATHS = 3
Place = tuple[str, int, int]


class Journal:
    """One slot's file. Without a path nothing is remembered."""

    def __init__(self, path: Path | None) -> None:
        self._file: int | None = None
        self._suspects: set[Place] = set()
        self._deaths = 0
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._read(path)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    @property
    def suspicious(self) -> bool:
        """Whether records must be taken one by one."""
        return bool(self._suspects)

    def is_deadly(self, record: Record) -> bool:
        """Whether the process died at this very record too often."""
        return self._deaths >= DEATHS and place(record) in self._suspects

    def take(self, records: Sequence[Record]) -> None:
        """Called before a batch is handled."""
        places = [place(record) for record in records]
        again = self._deaths if len(places) == 1 and places[0] in self._suspects else 0
        self._write({"in_hand": places, "deaths": again})

    def done(self, records: Sequence[Record]) -> None:
        """Called when the batch is committed or given back."""
        self._suspects.difference_update(place(record) for record in records)
        if not self._suspects:
            self._deaths = 0
        self._write({"in_hand": sorted(self._suspects), "deaths": self._deaths})

    def settle(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Clears what was committed before the process died, and what another worker has now: neither comes again."""
        self._suspects = {
            (topic, number, offset)
            for topic, number, offset in self._suspects
            if (topic, number) in positions and offset >= positions[topic, number]
        }
        if not self._suspects:
            self._deaths = 0

    def close(self) -> None:
        """Closes the file; what it says stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read(self, path: Path) -> None:
        try:
            said = json.loads(path.read_text().split("\n", 1)[0]) if path.exists() else {}
        except (ValueError, OSError):
            said = {}  # torn by the death itself: nothing is suspected, the next death is remembered
        self._suspects = {(topic, partition, offset) for topic, partition, offset in said.get("in_hand", [])}
        self._deaths = said.get("deaths", 0) + 1 if len(self._suspects) == 1 else 1

    def _write(self, said: dict[str, object]) -> None:
        if self._file is not None:
            line = json.dumps(said).encode() + b"\n"
            os.pwrite(self._file, line, 0)


def place(record: Record) -> Place:
    """Topic, partition, offset."""
    return record.topic, record.partition, record.offset
