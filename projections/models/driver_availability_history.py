"""driver_availability_history: one row a change of a driver's availability."""

from typing import get_args

from dispatch.contract.records import driver_events as events
from projections.models.model import Appended, Row, moment


def _changed(event: events.DriverAvailabilityChanged) -> Row:
    return {
        "driver_id": event.driver_id,
        "version": event.version,
        "at": moment(event.at_ms),
        "from_state": event.from_availability,
        "to_state": event.to_availability,
        "reason": event.reason,
        "until": moment(event.until_ms),
        "actor_type": event.actor_type,
        "actor_id": event.actor_id,
    }


DRIVER_AVAILABILITY_HISTORY = Appended(
    table="driver_availability_history",
    family="driver",
    identity=("driver_id", "version", "at"),
    columns=("driver_id", "version", "at", "from_state", "to_state", "reason", "until", "actor_type", "actor_id"),
    handles={events.DriverAvailabilityChanged: _changed},
    ignores=tuple(kind for kind in get_args(events.DriverEvent) if kind is not events.DriverAvailabilityChanged),
    month="at",
)
