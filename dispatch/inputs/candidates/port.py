"""What an index of drivers answers, and how it is written. The same contract tests run over every implementation."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from dispatch.contract.records.shared import Availability, CandidateSource, Vehicle, ZonePreference
from dispatch.core.facts import FoundDriver, SearchNeed, SearchResult
from dispatch.core.travel import distance_m

BEYOND = 3
"""How many radii out the nearest free driver is looked for."""


class IndexUnavailable(Exception):
    """The index did not answer in time or not at all: ask the next one."""


class IndexedDriver(msgspec.Struct, frozen=True, kw_only=True):
    """A driver as kept in an index."""

    driver_id: str
    lat: float
    lng: float
    vehicle: Vehicle
    capacity: int
    orders: int
    rating: float
    availability: Availability
    last_assigned_ms: int = 0
    as_of_ms: int = 0
    """The driver's last event that the index has heard of; 0: it does not say."""
    zones: tuple[tuple[str, ZonePreference], ...] = ()
    """What the driver said of zones; of those not named, nothing."""

    @property
    def free(self) -> bool:
        """Whether the driver could take another delivery."""
        return self.availability in ("AVAILABLE", "BUSY") and self.orders < self.capacity

    def says_of(self, zone: str) -> str:
        """The driver's word on a zone; empty: none."""
        return next((word for name, word in self.zones if name == zone), "") if zone else ""

    def found(self, distance: float, zone: str = "") -> FoundDriver:
        """The driver as a search for a pickup in this zone gives it."""
        return FoundDriver(
            driver_id=self.driver_id,
            lat=self.lat,
            lng=self.lng,
            distance_m=round(distance),
            vehicle=self.vehicle,
            capacity=self.capacity,
            orders=self.orders,
            rating=self.rating,
            availability=self.availability,
            last_assigned_ms=self.last_assigned_ms,
            as_of_ms=self.as_of_ms,
            preference=self.says_of(zone),
        )


class CandidateIndex(Protocol):
    """The reading side."""

    def search(self, needs: Sequence[SearchNeed]) -> list[SearchResult]:
        """All answers in one round trip, in order. Raises IndexUnavailable."""

    def close(self) -> None:
        """Lets connections go."""


class DriverIndex(CandidateIndex, Protocol):
    """The writing side, for what feeds the index."""

    def put(self, drivers: Sequence[IndexedDriver]) -> None:
        """Takes drivers as they are now, replacing what was known."""

    def move(self, places: Sequence[tuple[str, float, float]]) -> None:
        """Takes (driver_id, lat, lng); of drivers not known, nothing."""

    def clear(self) -> None:
        """Forgets all."""


def judge(need: SearchNeed, drivers: Sequence[IndexedDriver], source: CandidateSource) -> SearchResult:
    """The answer to a need, given every driver within BEYOND radii: the one rule of all indexes.

    Free: AVAILABLE or BUSY with room, the vehicle fitting, not excluded, not UNAVAILABLE in the zone. Busy: working,
    but without room. Where the list is full, nobody else is counted: in the middle of a town that would cost more than
    the search.
    """
    measured = [(distance_m(need.lat, need.lng, driver.lat, driver.lng), driver) for driver in drivers]
    if need.named:
        found = tuple(driver.found(far, need.zone) for far, driver in measured if driver.driver_id == need.named)
        return SearchResult(drivers=found, source="named")
    measured.sort(key=lambda pair: (pair[0], pair[1].driver_id))
    free, busy, nearest = [], 0, None
    for far, driver in measured:
        if driver.driver_id in need.excluded or not fits(need.vehicle, driver.vehicle):
            continue
        if need.zone and driver.says_of(need.zone) == "UNAVAILABLE":
            continue
        if far > need.radius_m:
            if driver.free and nearest is None and far <= need.radius_m * BEYOND:
                nearest = round(far)
        elif driver.free:
            free.append(driver.found(far, need.zone))
        elif driver.availability in ("AVAILABLE", "BUSY"):
            busy += 1
    if len(free) >= need.limit:
        return SearchResult(drivers=tuple(free[: need.limit]), source=source, radius_m=need.radius_m)
    return SearchResult(
        drivers=tuple(free), source=source, busy_in_radius=busy, nearest_m=nearest, radius_m=need.radius_m
    )


def fits(wanted: Vehicle, has: Vehicle) -> bool:
    """A van carries what a car does; otherwise the vehicle asked for is meant."""
    return wanted == "any" or wanted == has or (wanted == "car" and has == "van")
