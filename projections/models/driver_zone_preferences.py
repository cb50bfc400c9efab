"""driver_zone_preferences: what each driver last said of each zone."""

from typing import get_args

from dispatch.contract.records import driver_events as events
from projections.models.model import Row, Several, moment


def _set(rows: list[Row], event: events.DriverZonePreferenceSet) -> Row:
    row = next((row for row in rows if row["zone"] == event.zone), None)
    if row is None:
        row = {"driver_id": event.driver_id, "zone": event.zone}
        rows.append(row)
    row |= {"preference": event.preference, "set_at": moment(event.at_ms)}
    row |= {"actor_type": event.actor_type, "actor_id": event.actor_id}
    return row


DRIVER_ZONE_PREFERENCES = Several(
    table="driver_zone_preferences",
    family="driver",
    key="driver_id",
    own="zone",
    columns=("driver_id", "zone", "preference", "set_at", "actor_type", "actor_id"),
    handles={events.DriverZonePreferenceSet: _set},
    ignores=tuple(kind for kind in get_args(events.DriverEvent) if kind is not events.DriverZonePreferenceSet),
)
