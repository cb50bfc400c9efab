"""Drivers who rest (on a break, after the shift, paused) while the flag `availability_states` goes off or on.

Nothing happens to such a driver by itself, so they are asked to say their availability anew, until the log shows that
they did: a worker may hear of the flag a moment later than this stream does.
"""

from typing import Any

from dispatch.contract import identity
from dispatch.contract.records import driver_events as events
from dispatch.contract.records.driver_commands import ApplyAvailabilityStates
from dispatch.core.policy import Flags

AGAIN_MS = 2_000


class Resting:
    """Who rests, and whether they were last seen with the plain words of the flag switched off."""

    def __init__(self) -> None:
        self._plain: dict[str, bool] = {}
        self._asked_ms = 0

    def take(self, event: Any) -> None:
        """Folds a driver's event."""
        if isinstance(event, events.DriverAvailabilityChanged):
            if event.paused or event.duty != "working":
                self._plain[event.driver_id] = event.plain
            else:
                self._plain.pop(event.driver_id, None)

    def due(self, flags: Flags, now_ms: int) -> list[ApplyAvailabilityStates]:
        """Commands to those who are seen otherwise than the flag wants; asked again every two seconds, not sooner."""
        if now_ms - self._asked_ms < AGAIN_MS:
            return []
        self._asked_ms = now_ms
        flag = flags.availability_states
        return [
            ApplyAvailabilityStates(
                command_id=identity.command_id(driver_id, f"availability_states {now_ms}"),
                driver_id=driver_id,
                at_ms=now_ms,
                actor_type="system",
                actor_id="flags",
                correlation_id=driver_id,
            )
            for driver_id, plain in self._plain.items()
            if plain == flag.covers(driver_id, "none")
        ]
