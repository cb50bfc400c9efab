"""What is known of drivers, folded from their events: the source of the index, complete at any moment."""

from typing import Any

from msgspec.structs import replace

from dispatch.contract.records import driver_events as events
from dispatch.inputs.candidates.port import IndexedDriver


class Fleet:
    """Drivers as they are. `take` gives the driver when the index must know."""

    def __init__(self) -> None:
        self.drivers: dict[str, IndexedDriver] = {}

    def take(self, event: Any) -> IndexedDriver | None:
        """Folds an event; gives the driver as changed, None: nothing to tell."""
        known = self.drivers.get(event.driver_id)
        match event:
            case events.DriverSignedOn():
                base = known or IndexedDriver(
                    driver_id=event.driver_id, lat=event.lat, lng=event.lng, vehicle=event.vehicle,
                    capacity=event.capacity, orders=0, rating=event.rating, availability="OFFLINE",
                )  # fmt: skip
                changed = replace(
                    base, lat=event.lat, lng=event.lng, vehicle=event.vehicle, capacity=event.capacity,
                    rating=event.rating,
                )  # fmt: skip
            case _ if known is None:
                return None
            case events.DriverAvailabilityChanged():
                changed = replace(known, availability=event.to_availability)
            case events.DriverReserved():
                changed = replace(known, orders=known.orders + 1)
            case events.DriverReservationReleased():
                changed = replace(known, orders=max(0, known.orders - 1))
            case events.DriverReservationConfirmed():
                changed = replace(known, last_assigned_ms=event.at_ms)
            case events.DriverZonePreferenceSet():
                said = {**dict(known.zones), event.zone: event.preference}
                changed = replace(known, zones=tuple((z, word) for z, word in said.items() if word != "AVAILABLE"))
            case events.DriverReservationDenied():
                changed = known
            case _:
                return None
        changed = replace(changed, as_of_ms=event.at_ms)
        self.drivers[event.driver_id] = changed
        return changed

    def move(self, driver_id: str, lat: float, lng: float) -> bool:
        """Takes a place; False: the driver is not known."""
        known = self.drivers.get(driver_id)
        if known is None:
            return False
        self.drivers[driver_id] = replace(known, lat=lat, lng=lng)
        return True
