"""Deliveries that wait for a driver, and which of them a driver who becomes free should wake."""

from dataclasses import dataclass
from typing import Any

from dispatch.contract.records import delivery_events as events
from dispatch.core.travel import distance_m

WOKEN = 3
"""Deliveries that one driver wakes, at most: never a thundering herd."""
_KNOWN = 200_000


@dataclass(slots=True)
class _Known:
    lat: float
    lng: float
    radius_m: int = 0
    since_ms: int = 0


class Waiting:
    """Folded from delivery events since the start; those that waited before are found by their own retries."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._waits: set[str] = set()

    def take(self, event: Any) -> None:
        """Folds an event."""
        name = event.delivery_id
        if isinstance(event, events.DeliveryCreated):
            if len(self._known) < _KNOWN:
                self._known[name] = _Known(event.order.pickup_lat, event.order.pickup_lng)
            return
        known = self._known.get(name)
        if known is None:
            return
        match event:
            case events.AssignmentStarted():
                known.radius_m, known.since_ms = event.radius_m, event.at_ms
            case events.UnassignedEscalated():
                known.radius_m = event.radius_m
            case events.AssignmentReassigned():
                known.since_ms = event.at_ms
            case events.NoDriverFound():
                self._waits.add(name)
            case events.ReservationRequested() | events.ManualReviewRequired():
                self._waits.discard(name)
            case (
                events.DeliveryCompleted() | events.DeliveryCancelled() | events.DeliveryReturned()
                | events.DeliveryFailed(returning=False)
            ):  # fmt: skip
                self._waits.discard(name)
                del self._known[name]

    def woken_by(self, lat: float, lng: float) -> list[str]:
        """Those within their radius of the place, the longest waiting first."""
        near = []
        for name in self._waits:
            known = self._known[name]
            if distance_m(known.lat, known.lng, lat, lng) <= known.radius_m:
                near.append((known.since_ms, name))
        return [name for _, name in sorted(near)[:WOKEN]]
