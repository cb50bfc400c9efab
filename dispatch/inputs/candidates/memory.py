"""The index in memory: for tests and simulations, held to the same contract."""

from collections.abc import Sequence

from msgspec.structs import replace

from dispatch.core.facts import SearchNeed, SearchResult
from dispatch.inputs.candidates.port import IndexedDriver, judge


class MemoryIndex:
    """Looks at every driver."""

    def __init__(self) -> None:
        self._drivers: dict[str, IndexedDriver] = {}

    def search(self, needs: Sequence[SearchNeed]) -> list[SearchResult]:
        """All answers, in order."""
        return [judge(need, list(self._drivers.values()), "memory") for need in needs]

    def put(self, drivers: Sequence[IndexedDriver]) -> None:
        """Takes drivers as they are now."""
        self._drivers.update((driver.driver_id, driver) for driver in drivers)

    def move(self, places: Sequence[tuple[str, float, float]]) -> None:
        """Takes new places of known drivers."""
        for driver_id, lat, lng in places:
            if (known := self._drivers.get(driver_id)) is not None:
                self._drivers[driver_id] = replace(known, lat=lat, lng=lng)

    def clear(self) -> None:
        """Forgets all."""
        self._drivers.clear()

    def close(self) -> None:
        """Holds no connection."""
