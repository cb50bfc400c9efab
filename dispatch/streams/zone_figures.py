"""How each zone is doing, as metrics: what was counted last, of the zones that there are."""

from collections.abc import Iterable

from dispatch.contract.records.system import ZoneHealth
from dispatch.metrics import streams as metrics

STATES = ("available", "busy", "on_break", "paused", "shift_ended", "offline")


class ZoneFigures:
    """Sets the gauges; those of a zone that is gone from the map go too."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def show(self, healths: Iterable[ZoneHealth]) -> None:
        """Takes what was counted of all zones."""
        seen = set()
        for health in healths:
            zone = health.zone
            seen.add(zone)
            for state in STATES:
                metrics.ZONE_DRIVERS.labels(zone, state).set(getattr(health, f"drivers_{state}"))
            metrics.ZONE_MINIMUM.labels(zone).set(health.min_drivers_online)
            metrics.ZONE_SEARCHES.labels(zone).set(health.open_searches)
            metrics.ZONE_OLDEST.labels(zone).set(health.oldest_search_s)
            metrics.ZONE_PRESSURE.labels(zone).set(health.pressure)
            metrics.ZONE_WAIT.labels(zone, "50").set(health.wait_p50_ms / 1000)
            metrics.ZONE_WAIT.labels(zone, "95").set(health.wait_p95_ms / 1000)
            metrics.ZONE_UNDERSTAFFED.labels(zone).set(health.understaffed)
        for zone in self._shown - seen:
            self._forget(zone)
        self._shown = seen

    @staticmethod
    def _forget(zone: str) -> None:
        for state in STATES:
            metrics.ZONE_DRIVERS.remove(zone, state)
        for percentile in ("50", "95"):
            metrics.ZONE_WAIT.remove(zone, percentile)
        for gauge in (
            metrics.ZONE_MINIMUM, metrics.ZONE_SEARCHES, metrics.ZONE_OLDEST, metrics.ZONE_PRESSURE,
            metrics.ZONE_UNDERSTAFFED,
        ):  # fmt: skip
            gauge.remove(zone)
