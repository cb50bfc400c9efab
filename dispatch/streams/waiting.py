"""Deliveries that wait for a driver: where, since when and how urgently, found by place."""

import bisect
import heapq
import math
from collections.abc import Iterator
from typing import Any

import h3.api.basic_int as h3
import msgspec

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Vehicle
from dispatch.core.travel import distance_m
from dispatch.inputs.candidates.port import fits

_KNOWN = 200_000
_RESOLUTION = 6
_EDGE_M, _ROW_M = 4_500.0, 3_500.0
"""A cell's largest radius, and the least distance between two rows of cells, at this resolution with room to spare.

Source: h3geo.org, "Table of Cell Statistics": the mean edge is 3.7 km, and cells of one resolution differ by a factor
of two in area at most.
"""
_RINGS_MAX = 12
Urgency = tuple[int, int, str]
"""Level, the highest first; since when, the oldest first; the delivery. The least is the most urgent."""


class _Known(msgspec.Struct, gc=False):
    lat: float
    lng: float
    cell: int
    vehicle: Vehicle
    radius_m: int = 0
    since_ms: int = 0
    level: int = 0
    waits: bool = False
    not_them: tuple[str, ...] = ()

    def urgency(self, name: str) -> Urgency:
        return (-self.level, self.since_ms, name)


class Waiting:
    """Folded from delivery events; of those created before what was read, nothing is known: their retries find them."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._cells: dict[int, list[Urgency]] = {}
        self._widest_m = 0

    def take(self, event: Any) -> bool:
        """Folds an event; True: the delivery searched in vain just now."""
        name = event.delivery_id
        if isinstance(event, events.DeliveryCreated):
            if len(self._known) < _KNOWN:
                order = event.order
                cell = h3.latlng_to_cell(order.pickup_lat, order.pickup_lng, _RESOLUTION)
                self._known[name] = _Known(order.pickup_lat, order.pickup_lng, cell, order.vehicle)
            return False
        known = self._known.get(name)
        if known is None:
            return False
        if isinstance(event, events.NoDriverFound):
            self._change(name, known, waits=True)
            return True
        match event:
            case events.AssignmentStarted():
                self._change(name, known, radius_m=event.radius_m, since_ms=event.at_ms, level=0)
            case events.DriverCandidatesFound():  # farther than it began where the zone has too few drivers
                self._change(name, known, radius_m=event.radius_m)
            case events.UnassignedEscalated():
                self._change(name, known, radius_m=max(known.radius_m, event.radius_m), level=event.level)
            case events.AssignmentReassigned():
                former = (*known.not_them, event.driver_id)
                self._change(name, known, since_ms=event.at_ms, level=0, not_them=former)
            case events.DriverRejected() | events.OfferExpired(auto_assigned=False):
                self._change(name, known, not_them=(*known.not_them, event.driver_id))
            case events.ReservationRequested() | events.ManualReviewRequired():
                self._change(name, known, waits=False)
            case (
                events.DeliveryCompleted() | events.DeliveryCancelled() | events.DeliveryReturned()
                | events.DeliveryFailed(returning=False)
            ):  # fmt: skip
                self._change(name, known, waits=False)
                del self._known[name]
        return False

    def waits(self, name: str) -> bool:
        """Whether the delivery searches, and nobody was found."""
        known = self._known.get(name)
        return known is not None and known.waits

    def near(self, driver_id: str, lat: float, lng: float, vehicle: Vehicle) -> Iterator[str]:
        """Those who wait for a driver like this one here, the most urgent first. Not to be used while events fold."""
        here = h3.latlng_to_cell(lat, lng, _RESOLUTION)
        rings = math.ceil((self._widest_m + 2 * _EDGE_M) / _ROW_M)
        cells = h3.grid_disk(here, rings) if rings <= _RINGS_MAX else list(self._cells)
        for _, _, name in heapq.merge(*(found for cell in cells if (found := self._cells.get(cell)))):
            if self.suits(name, driver_id, lat, lng, vehicle):
                yield name

    def suits(self, name: str, driver_id: str, lat: float, lng: float, vehicle: Vehicle) -> bool:
        """Whether this delivery waits for a driver like this one here."""
        known = self._known.get(name)
        return (
            known is not None
            and known.waits
            and driver_id not in known.not_them
            and fits(known.vehicle, vehicle)
            and distance_m(known.lat, known.lng, lat, lng) <= known.radius_m
        )

    def _change(self, name: str, known: _Known, **changes: Any) -> None:
        """The cells hold those who wait, each in the order of its urgency."""
        if known.waits:
            found = self._cells[known.cell]
            del found[bisect.bisect_left(found, known.urgency(name))]
            if not found:
                del self._cells[known.cell]
        for field, value in changes.items():
            setattr(known, field, value)
        if known.waits:
            bisect.insort(self._cells.setdefault(known.cell, []), known.urgency(name))
            self._widest_m = max(self._widest_m, known.radius_m)
