"""Who is woken when a driver becomes free: the most urgent near by, at once, and never a thundering herd.

One driver wakes at most `per_driver` deliveries in `wake_gap_s`, and a delivery is woken at most once in that time; one
that was woken too recently is looked at again when the gap is over. A search may miss a driver who became free while it
ran, and its failure may be read after the driver's event: so a delivery that searched in vain looks back, too.
"""

from collections.abc import Callable
from typing import NamedTuple

from dispatch.core.policy import WakeUpPolicy
from dispatch.inputs.candidates.port import IndexedDriver
from dispatch.streams.waiting import Waiting

RECENT_MS = 10_000
"""A driver who became free longer ago wakes nobody: whoever searched since has seen them."""
_MISSED_MS = 500
"""A search does not see a driver who became free less than this before it: the index lags a little."""
_LOOKED_AT = 100
"""Deliveries or drivers looked at for one decision, at most."""
Present = Callable[[str], IndexedDriver | None]
"""The driver as known now."""


class WakeUp(NamedTuple):
    """This delivery should search again, for this driver became free with this event."""

    delivery_id: str
    driver_id: str
    event_id: str
    at_ms: int


class _Freed:
    __slots__ = ("at_ms", "event_id", "left", "since_ms")

    def __init__(self, event_id: str, at_ms: int, since_ms: int, left: int) -> None:
        self.event_id, self.at_ms, self.since_ms, self.left = event_id, at_ms, since_ms, left


class WakeUps:
    """Gathers who became free and who searched in vain; `due` gives those to be woken now."""

    def __init__(self, waiting: Waiting, present: Present) -> None:
        self._waiting, self._present = waiting, present
        self._freed: dict[str, _Freed] = {}
        self._new_drivers: list[str] = []
        self._in_vain: dict[str, int] = {}
        self._woken: dict[str, int] = {}
        self._later: dict[str, int] = {}

    def freed(self, driver_id: str, event_id: str, at_ms: int, now_ms: int, policy: WakeUpPolicy) -> None:
        """A driver became free by this event. One who comes and goes has no more wake-ups than one who stays."""
        if now_ms - at_ms > RECENT_MS:
            return
        before = self._freed.pop(driver_id, None)
        renewed = before is None or now_ms - before.since_ms >= policy.wake_gap_s * 1000
        since_ms, left = (now_ms, policy.per_driver) if before is None or renewed else (before.since_ms, before.left)
        self._freed[driver_id] = _Freed(event_id, at_ms, since_ms, left)
        self._new_drivers.append(driver_id)

    def searched_in_vain(self, delivery_id: str, at_ms: int) -> None:
        """A delivery found nobody at this moment."""
        self._in_vain[delivery_id] = at_ms

    def due(self, now_ms: int, policy: WakeUpPolicy) -> list[WakeUp]:
        """Those to be woken now, each at most once."""
        gap_ms = policy.wake_gap_s * 1000
        self._forget(now_ms, gap_ms)
        wakes: list[WakeUp] = []
        for driver_id in self._new_drivers:
            self._wake_for(driver_id, now_ms, gap_ms, wakes)
        for delivery_id, at_ms in self._in_vain.items():
            self._look_back(delivery_id, at_ms - _MISSED_MS, now_ms, gap_ms, wakes)
        for delivery_id in [name for name, due_ms in self._later.items() if due_ms <= now_ms]:
            del self._later[delivery_id]
            self._look_back(delivery_id, now_ms - RECENT_MS, now_ms, gap_ms, wakes)
        self._new_drivers, self._in_vain = [], {}
        return wakes

    def _wake_for(self, driver_id: str, now_ms: int, gap_ms: float, wakes: list[WakeUp]) -> None:
        driver, freed = self._present(driver_id), self._freed.get(driver_id)
        if driver is None or freed is None or not driver.free:
            return
        near = self._waiting.near(driver_id, driver.lat, driver.lng, driver.vehicle)
        for _, delivery_id in zip(range(_LOOKED_AT), near, strict=False):
            if freed.left <= 0:
                return
            self._wake(delivery_id, driver_id, freed, now_ms, gap_ms, wakes)

    def _look_back(self, delivery_id: str, since_ms: int, now_ms: int, gap_ms: float, wakes: list[WakeUp]) -> None:
        for _, (driver_id, freed) in zip(range(_LOOKED_AT), reversed(self._freed.items()), strict=False):
            if freed.at_ms < since_ms or freed.left <= 0:
                continue
            driver = self._present(driver_id)
            if driver is None or not driver.free:
                continue
            if self._waiting.suits(delivery_id, driver_id, driver.lat, driver.lng, driver.vehicle):
                self._wake(delivery_id, driver_id, freed, now_ms, gap_ms, wakes)
                return

    def _wake(
        self, delivery_id: str, driver_id: str, freed: _Freed, now_ms: int, gap_ms: float, wakes: list[WakeUp]
    ) -> None:
        woken_ms = self._woken.get(delivery_id)
        if woken_ms is not None and now_ms - woken_ms < gap_ms:
            self._later[delivery_id] = round(woken_ms + gap_ms)
            return
        freed.left, freed.since_ms = freed.left - 1, now_ms
        self._woken.pop(delivery_id, None)
        self._woken[delivery_id] = now_ms
        wakes.append(WakeUp(delivery_id, driver_id, freed.event_id, freed.at_ms))

    def _forget(self, now_ms: int, gap_ms: float) -> None:
        """Both are in the order of time, for whoever comes again is put last."""
        while self._woken and now_ms - next(iter(self._woken.values())) >= gap_ms:
            del self._woken[next(iter(self._woken))]
        while self._freed and now_ms - next(iter(self._freed.values())).at_ms > RECENT_MS:
            del self._freed[next(iter(self._freed))]
