"""How each zone is doing, folded from driver and delivery events: drivers by state, open searches, waits, pressure.

Pure: moments are given. A driver counts where they were last seen, a delivery where its pickup lies. The alert has two
thresholds in time: too few drivers for a while begins it, enough for a while ends it.
"""

from collections import Counter, deque
from typing import Any

import msgspec

from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as ve
from dispatch.contract.records.shared import ZoneTrend
from dispatch.contract.records.system import ZoneHealth
from dispatch.core.policy import ZonePolicy
from dispatch.core.zones import NOWHERE, ZoneTable

_ENDS = (de.DeliveryCompleted, de.DeliveryCancelled, de.DeliveryReturned)
FOLDED = (
    ve.DriverSignedOn, ve.DriverAvailabilityChanged, ve.DriverSeen, ve.DriverZonePreferenceSet,
    de.DeliveryCreated, de.AssignmentStarted, de.AssignmentReassigned, de.ManualReviewRequired, de.ManualReviewEnded,
    de.DriverAssigned, de.DeliveryFailed, *_ENDS,
)  # fmt: skip
"""Events that change anything here."""
_SAMPLE_MS = 5_000
_WAITS = 2_000
"""Of a zone the last so many, at most."""


class SeenDriver(msgspec.Struct):
    """A driver as last heard of. `zone` is worked out when asked for."""

    driver_id: str
    lat: float
    lng: float
    availability: str = "OFFLINE"
    placed_ms: int = 0
    zone: str | None = None
    zones: dict[str, str] = {}
    """What they said of zones."""


class _Delivery(msgspec.Struct):
    zone: str
    since_ms: int
    """Ready or taken from its driver; 0: not ready."""
    waits: bool = False


class _Alert(msgspec.Struct):
    since_ms: int = 0
    """0: off."""
    other_since_ms: int = 0
    """Since when the counts say the contrary; 0: they do not."""


class Change(msgspec.Struct, frozen=True):
    """An alert that began or ended."""

    health: ZoneHealth
    began: bool


class ZonesLive:
    """Everything that is known of the zones' day."""

    def __init__(self) -> None:
        self.drivers: dict[str, SeenDriver] = {}
        self._deliveries: dict[str, _Delivery] = {}
        self._waits: dict[str, deque[tuple[int, int]]] = {}
        self._pressures: dict[str, deque[tuple[int, float]]] = {}
        self._alerts: dict[str, _Alert] = {}
        self._table_version = -1

    def driver_event(self, event: Any) -> None:
        """Folds an event of a driver."""
        if isinstance(event, ve.DriverSignedOn):
            driver = self.drivers.setdefault(event.driver_id, SeenDriver(event.driver_id, event.lat, event.lng))
            self._move(driver, event.lat, event.lng, event.at_ms)
            return
        known = self.drivers.get(event.driver_id)
        if known is None:
            return
        match event:
            case ve.DriverAvailabilityChanged():
                known.availability = event.to_availability
            case ve.DriverSeen(lat=float(lat), lng=float(lng)):
                self._move(known, lat, lng, event.at_ms)
            case ve.DriverZonePreferenceSet():
                known.zones = {**known.zones, event.zone: event.preference}

    def moved(self, driver_id: str, lat: float, lng: float, at_ms: int) -> None:
        """A ping; of a driver who is not known, or older than what is known, nothing."""
        if (known := self.drivers.get(driver_id)) is not None:
            self._move(known, lat, lng, at_ms)

    def delivery_event(self, event: Any) -> None:
        """Folds an event of a delivery."""
        name = event.delivery_id
        if isinstance(event, de.DeliveryCreated):
            self._deliveries[name] = _Delivery(event.order.zone, 0)
            return
        known = self._deliveries.get(name)
        if known is None:
            return
        match event:
            case de.AssignmentStarted():
                known.zone, known.since_ms, known.waits = event.zone or known.zone, event.at_ms, True
            case de.AssignmentReassigned() | de.ManualReviewEnded():
                known.since_ms, known.waits = event.at_ms, True
            case de.ManualReviewRequired():
                known.waits = False
            case de.DriverAssigned():
                if known.since_ms:
                    waits = self._waits.setdefault(known.zone, deque(maxlen=_WAITS))
                    waits.append((event.at_ms, max(0, event.at_ms - known.since_ms)))
                known.waits = False
            case de.DeliveryFailed():
                known.waits = False
                if not event.returning:
                    del self._deliveries[name]
            case _ if isinstance(event, _ENDS):
                del self._deliveries[name]

    def recall(self, health: ZoneHealth) -> None:
        """Takes up an alert that was on when the process before this one ended."""
        self._alerts[health.zone] = _Alert(health.understaffed_since_ms if health.understaffed else 0)

    def healths(self, table: ZoneTable, policy: ZonePolicy, now_ms: int) -> tuple[list[ZoneHealth], list[Change]]:
        """Every zone of the table, and the outside of all, as they are; and which alerts changed with that."""
        states = self._states(table)
        searches: dict[str, list[int]] = {}
        for known in self._deliveries.values():
            if known.waits:
                searches.setdefault(known.zone, []).append(known.since_ms)
        found, changes = [], []
        for zone in (*table.zones, NOWHERE):
            health = self._health(zone, table, (states.get(zone, Counter()), searches.get(zone, [])), policy, now_ms)
            alert = self._alerts.setdefault(zone, _Alert())
            changed = self._judge(alert, health, policy)
            health = msgspec.structs.replace(
                health, understaffed=alert.since_ms > 0, understaffed_since_ms=alert.since_ms
            )
            found.append(health)
            if changed:
                changes.append(Change(health, began=alert.since_ms > 0))
        return found, changes

    def _states(self, table: ZoneTable) -> dict[str, Counter[str]]:
        if table.version != self._table_version:
            self._table_version = table.version
            for driver in self.drivers.values():
                driver.zone = None
        unplaced = [driver for driver in self.drivers.values() if driver.zone is None]
        zones = table.at_each([driver.lat for driver in unplaced], [driver.lng for driver in unplaced])
        for driver, zone in zip(unplaced, zones, strict=True):
            driver.zone = zone
        states: dict[str, Counter[str]] = {}
        for driver in self.drivers.values():
            states.setdefault(driver.zone or NOWHERE, Counter())[driver.availability] += 1
        return states

    def _health(
        self, zone: str, table: ZoneTable, counts: tuple[Counter[str], list[int]], policy: ZonePolicy, now_ms: int
    ) -> ZoneHealth:
        states, since = counts
        settings = table.zones.get(zone)
        window_ms = round(policy.window_s * 1000)
        waits = self._waits.get(zone, deque())
        while waits and waits[0][0] < now_ms - window_ms:
            waits.popleft()
        waited = sorted(wait for _, wait in waits)
        pressure = len(since) / max(1, states["AVAILABLE"])
        return ZoneHealth(
            zone=zone,
            zone_version=table.version,
            at_ms=now_ms,
            drivers_available=states["AVAILABLE"],
            drivers_busy=states["BUSY"],
            drivers_on_break=states["ON_BREAK"],
            drivers_paused=states["PAUSED"],
            drivers_shift_ended=states["SHIFT_ENDED"],
            drivers_offline=states["OFFLINE"],
            drivers_online=states["AVAILABLE"] + states["BUSY"],
            min_drivers_online=settings.min_drivers_online if settings else 0,
            open_searches=len(since),
            oldest_search_s=max(0, now_ms - min(since)) // 1000 if since else 0,
            pressure=pressure,
            trend=self._trend(zone, pressure, policy, now_ms),
            waits=len(waited),
            wait_p50_ms=quantile(waited, 0.5),
            wait_p95_ms=quantile(waited, 0.95),
            target_wait_s=settings.target_wait_s if settings else 0,
            window_s=max(1, round(policy.window_s)),
            understaffed=False,
        )

    def _trend(self, zone: str, pressure: float, policy: ZonePolicy, now_ms: int) -> ZoneTrend:
        past = self._pressures.setdefault(zone, deque())
        if not past or now_ms - past[-1][0] >= min(_SAMPLE_MS, policy.trend_s * 100):
            past.append((now_ms, pressure))
        while len(past) > 1 and past[1][0] <= now_ms - policy.trend_s * 1000:
            past.popleft()
        if abs(pressure - past[0][1]) < policy.trend_step:
            return "steady"
        return "rising" if pressure > past[0][1] else "falling"

    def _judge(self, alert: _Alert, health: ZoneHealth, policy: ZonePolicy) -> bool:
        """Whether the alert changed."""
        few = health.drivers_online < health.min_drivers_online
        if few == (alert.since_ms > 0):
            alert.other_since_ms = 0
            return False
        alert.other_since_ms = alert.other_since_ms or health.at_ms
        wanted_s = policy.understaffed_after_s if few else policy.staffed_after_s
        if health.at_ms - alert.other_since_ms < wanted_s * 1000:
            return False
        alert.since_ms, alert.other_since_ms = (health.at_ms if few else 0), 0
        return True

    @staticmethod
    def _move(driver: SeenDriver, lat: float, lng: float, at_ms: int) -> None:
        if at_ms < driver.placed_ms:
            return
        driver.placed_ms = at_ms
        if (driver.lat, driver.lng) != (lat, lng):
            driver.lat, driver.lng, driver.zone = lat, lng, None


def quantile(ordered: list[int], share: float) -> int:
    """The nearest-rank quantile of sorted values; 0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0
