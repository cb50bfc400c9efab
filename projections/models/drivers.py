"""drivers: one row a driver, as of their last event; the place also from pings. The fallback search reads it."""

from typing import Any

import h3

from dispatch.contract.records import driver_events as events
from dispatch.contract.records.system import DriverLocation
from projections.models.model import Folded, Row, moment

RESOLUTION = 7


def _common(row: Row, event: Any) -> None:
    row |= {"version": event.version, "updated_at": moment(event.at_ms)}


def _place(row: Row, lat: float | None, lng: float | None, at_ms: int, accuracy_m: float | None = None) -> None:
    if lat is not None and lng is not None:
        row |= {"placed_at": moment(at_ms), "accuracy_m": accuracy_m}
        row |= {"lat": lat, "lng": lng, "h3_cell": h3.str_to_int(h3.latlng_to_cell(lat, lng, RESOLUTION))}


def _signed_on(row: Row, event: events.DriverSignedOn) -> None:
    _common(row, event)
    row |= {"vehicle": event.vehicle, "capacity": event.capacity, "rating": event.rating}
    row["last_seen_at"] = moment(event.at_ms)
    _place(row, event.lat, event.lng, event.at_ms)


def _changed(row: Row, event: events.DriverAvailabilityChanged) -> None:
    _common(row, event)
    row |= {"availability": event.to_availability, "reason": event.reason, "until": moment(event.until_ms)}


def _extended(row: Row, event: events.DriverBreakExtended) -> None:
    _common(row, event)
    row["until"] = moment(event.until_ms)


def _seen(row: Row, event: events.DriverSeen) -> None:
    _common(row, event)
    row["last_seen_at"] = moment(event.seen_at_ms)
    _place(row, event.lat, event.lng, event.seen_at_ms)


def _preferred(row: Row, event: events.DriverZonePreferenceSet) -> None:
    _common(row, event)
    for column, word in (("preferred_in", "PREFERRED"), ("unavailable_in", "UNAVAILABLE")):
        zones = {*(row[column] or ())} - {event.zone} | ({event.zone} if event.preference == word else set())
        row[column] = sorted(zones) or None


def _reserved(row: Row, event: events.DriverReserved) -> None:
    _common(row, event)
    row |= {"holds": row["holds"] + 1, "fence": event.fence}


def _confirmed(row: Row, event: events.DriverReservationConfirmed) -> None:
    _common(row, event)
    row["last_assigned_at"] = moment(event.at_ms)


def _released(row: Row, event: events.DriverReservationReleased) -> None:
    _common(row, event)
    row["holds"] -= 1


def _pinged(row: Row, ping: DriverLocation) -> None:
    _place(row, ping.lat, ping.lng, ping.at_ms, ping.accuracy_m)
    row["last_seen_at"] = max(moment(ping.at_ms) or row["last_seen_at"], row["last_seen_at"])


DRIVERS = Folded(
    table="drivers",
    family="driver",
    key="driver_id",
    columns=(
        "driver_id", "version", "availability", "reason", "until", "vehicle", "capacity", "holds", "rating", "fence",
        "lat", "lng", "h3_cell", "last_assigned_at", "last_seen_at", "updated_at",
        "preferred_in", "unavailable_in", "accuracy_m", "placed_at",
    ),
    handles={
        events.DriverSignedOn: _signed_on,
        events.DriverAvailabilityChanged: _changed,
        events.DriverBreakRequested: _common,
        events.DriverBreakExtended: _extended,
        events.DriverBreakNoticed: _common,
        events.DriverShiftEndRequested: _common,
        events.DriverPauseRecorded: _common,
        events.DriverSeen: _seen,
        events.DriverZonePreferenceSet: _preferred,
        events.DriverReserved: _reserved,
        events.DriverReservationDenied: _common,
        events.DriverReservationConfirmed: _confirmed,
        events.DriverReservationReleased: _released,
        DriverLocation: _pinged,
    },
    ignores=(),
    first=(events.DriverSignedOn,),
    defaults={"availability": "OFFLINE", "holds": 0, "fence": 0},
    carried=("lat", "lng", "h3_cell", "last_seen_at", "accuracy_m", "placed_at"),
)  # fmt: skip
