"""The timers that an aggregate's events have set: each fires with effect once, at its time, or is cancelled.

A timer's command has an id that follows from the aggregate and the deadline, so an event tells which timer caused it.
"""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Protocol

from dispatch.checker.report import Findings, Place
from dispatch.contract import identity

ACTOR = "timer"
"""Who acts in what a timer causes."""


class Timer(NamedTuple):
    """An open deadline. Equal to the one in a state record, of which it has the form."""

    kind: str
    at_ms: int
    ref: str = ""

    def command_id(self, aggregate_id: str) -> str:
        """Of the command that the timer becomes."""
        return identity.command_id(aggregate_id, f"timer {self.kind} {self.at_ms} {self.ref}")

    def letter(self) -> bytes:
        """What a dead letter says of it."""
        return f"Deadline(kind={self.kind!r}, at_ms={self.at_ms!r}, ref={self.ref!r})".encode()


class Timed(Protocol):
    """What has timers: a delivery or a driver as the checker knows it."""

    place: Place

    def timers(self) -> list[Timer]:
        """All that are open."""


def fired(known: Timed, name: str, event: Any, place: Place, findings: Findings) -> None:
    """The first event that a timer caused: the timer is open, and its time has come."""
    timer = next((open_ for open_ in known.timers() if open_.command_id(name) == event.causation_id), None)
    if timer is None:
        findings.add(11, place, f"{type(event).__name__} of {name} comes of a timer that is not, or no longer, set")
    elif event.at_ms < timer.at_ms:
        early_ms = timer.at_ms - event.at_ms
        findings.add(11, place, f"{timer.kind} of {name} fires {early_ms} ms before its time")


def overdue(
    known: Timed, name: str, lived_until_ms: int, late_ms: int, letters: Collection[tuple[bytes, bytes]]
) -> Iterator[Timer]:
    """Timers that should have fired while the log was still written, and did not."""
    for timer in known.timers():
        if timer.at_ms + late_ms < lived_until_ms and (name.encode(), timer.letter()) not in letters:
            yield timer
