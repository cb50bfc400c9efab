"""Writes the geo index: what changed since the last time, and everything when the server lost it."""

import time
from collections.abc import Iterable

from dispatch.inputs.candidates.port import IndexedDriver, IndexUnavailable
from dispatch.inputs.candidates.valkey import ValkeyIndex
from dispatch.log import logs
from dispatch.metrics.reading import ERRORS
from dispatch.streams.fleet import Fleet

_CHECK_EVERY_S = 1.0
_AT_ONCE = 1_000
logger = logs.get("dispatch.streams.index_feed")


class IndexFeed:
    """Gathers changes; `write` sends them. What could not be sent is sent next time."""

    def __init__(self, index: ValkeyIndex, fleet: Fleet) -> None:
        self._index, self._fleet = index, fleet
        self._changed: dict[str, IndexedDriver] = {}
        self._moved: dict[str, tuple[float, float]] = {}
        self._checked = 0.0
        self.state = "starting"
        """For /ready."""

    def changed(self, driver: IndexedDriver) -> None:
        """The driver is now as given, place included."""
        self._changed[driver.driver_id] = driver
        self._moved.pop(driver.driver_id, None)

    def moved(self, driver_id: str, lat: float, lng: float) -> None:
        """The driver is now here."""
        self._moved[driver_id] = (lat, lng)

    def write(self) -> None:
        """One round."""
        try:
            if time.monotonic() - self._checked > _CHECK_EVERY_S:
                self._checked = time.monotonic()
                if not self._index.marked():
                    self._refill()
            if self._changed:
                self._index.put(list(self._changed.values()))
                self._changed = {}
            if self._moved:
                self._index.move([(name, lat, lng) for name, (lat, lng) in self._moved.items()])
                self._moved = {}
            self.state = "up"
        except IndexUnavailable as error:
            ERRORS.labels("index").inc()
            if self.state == "up":
                logger.warning("index_unreachable", reason=str(error))
            self.state = str(error)
            self._checked = 0.0

    def _refill(self) -> None:
        began = time.monotonic()
        self._index.begin()
        count = 0
        for part in _parts(self._fleet.drivers.values()):
            self._index.put(part)
            count += len(part)
        self._index.mark()
        logger.info("index_rebuilt", drivers=count, seconds=round(time.monotonic() - began, 3))


def _parts(drivers: Iterable[IndexedDriver]) -> Iterable[list[IndexedDriver]]:
    whole = list(drivers)
    return (whole[at : at + _AT_ONCE] for at in range(0, len(whole), _AT_ONCE))
