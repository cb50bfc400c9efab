"""Pings and heartbeats: where each driver is believed to be, and signs of life for the driver aggregates."""

from dispatch.contract import identity
from dispatch.contract.records import driver_commands, driver_events
from dispatch.contract.records.system import DriverHeartbeat, DriverLocation
from dispatch.core.policy import Policy
from dispatch.core.presence import Place, Track, judged, refused
from dispatch.metrics.streams import PING_OUTCOMES, PINGS
from dispatch.streams.fleet import Fleet

COUNTED = {outcome: PINGS.labels(outcome) for outcome in PING_OUTCOMES}
_POLE = 90.0
"""A place that is somewhere: a heartbeat is judged by its time alone."""
_BELIEVED = ("taken", "confirmed")
_ALIVE = (*_BELIEVED, "jump")
EARLY_MS, EARLY_MOST = 10_000, 10_000
"""So long at least a ping waits for its driver's sign-on to be read, of so many drivers: two topics keep no order."""


class Presence:
    """Judges pings by each driver's track. At most one sign of life in `seen_every_s` a driver, over restarts too."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._tracks: dict[str, Track] = {}
        self._told_ms: dict[str, int] = {}
        self._offline_ms: dict[str, int] = {}
        """Those who are missed: their first sign of life after that is told at once."""
        self._early: dict[str, tuple[DriverLocation, int]] = {}
        """The last ping of each who is not known, and when it was heard; who pinged longest ago is first."""

    def take(self, event: driver_events.DriverEvent, *, past: bool) -> bool:
        """Folds a driver event; True: the driver was moved. In the present the pings know better than what is seen."""
        match event:
            case driver_events.DriverSignedOn(driver_id=name, lat=lat, lng=lng):
                known = self._tracks.get(name)
                self._tracks[name] = Track(lat, lng, event.at_ms, known.pinged_ms if known else 0)
            case driver_events.DriverSeen(driver_id=name, lat=seen_lat, lng=seen_lng):
                self._told_ms[name] = max(event.seen_at_ms, self._told_ms.get(name, 0))
                if past and seen_lat is not None and seen_lng is not None:
                    self._tracks[name] = Track(seen_lat, seen_lng, event.seen_at_ms)
                    return self._fleet.move(name, seen_lat, seen_lng)
            case driver_events.DriverAvailabilityChanged(driver_id=name, offline=offline):
                if offline:
                    self._offline_ms[name] = event.at_ms
                else:
                    self._offline_ms.pop(name, None)
        return False

    def ping(
        self, ping: DriverLocation, heard_ms: int, now_ms: int, policy: Policy
    ) -> tuple[bool, driver_commands.SeenAlive | None]:
        """Whether the ping is believed, and the sign of life that is due. `heard_ms` is when it came into the log."""
        name = ping.driver_id
        place = Place(ping.lat, ping.lng, ping.at_ms, ping.accuracy_m)
        track, driver = self._tracks.get(name), self._fleet.drivers.get(name)
        if wrong := refused(place, now_ms, policy.presence):
            outcome = wrong[0]
        elif track is None or driver is None:
            outcome = "unknown_driver"
            self._keep(ping, heard_ms)
        else:
            self._tracks[name], outcome = judged(track, place, driver.vehicle, now_ms, policy.presence)
        COUNTED[outcome].inc()
        if outcome in _BELIEVED:
            self._fleet.move(name, ping.lat, ping.lng)
            return True, self._alive(name, ping.at_ms, heard_ms, policy, (ping.lat, ping.lng))
        return False, self._alive(name, ping.at_ms, heard_ms, policy) if outcome in _ALIVE else None

    def early(self, event: driver_events.DriverEvent) -> tuple[DriverLocation, int] | None:
        """The ping read before the sign-on that it came after, and when it was heard. To be judged by `ping` now."""
        if not self._early or not isinstance(event, driver_events.DriverSignedOn):
            return None
        ping, heard_ms = self._early.pop(event.driver_id, (None, 0))
        return (ping, heard_ms) if ping is not None and heard_ms >= event.at_ms else None

    def _keep(self, ping: DriverLocation, heard_ms: int) -> None:
        self._early.pop(ping.driver_id, None)
        self._early[ping.driver_id] = (ping, heard_ms)
        while len(self._early) > EARLY_MOST or next(iter(self._early.values()))[1] < heard_ms - EARLY_MS:
            del self._early[next(iter(self._early))]

    def heartbeat(
        self, beat: DriverHeartbeat, heard_ms: int, now_ms: int, policy: Policy
    ) -> driver_commands.SeenAlive | None:
        """The sign of life that is due. One as old as a ping may not be, or of a driver not known, is passed over."""
        if wrong := refused(Place(_POLE, 0, beat.at_ms), now_ms, policy.presence):
            COUNTED[wrong[0]].inc()
            return None
        if beat.driver_id not in self._fleet.drivers:
            COUNTED["unknown_driver"].inc()
            return None
        COUNTED["heartbeat"].inc()
        return self._alive(beat.driver_id, beat.at_ms, heard_ms, policy)

    def _alive(
        self, name: str, at_ms: int, heard_ms: int, policy: Policy, place: tuple[float, float] | None = None
    ) -> driver_commands.SeenAlive | None:
        offline_ms = self._offline_ms.get(name)
        if offline_ms is not None:
            if heard_ms < offline_ms:  # read again after a restart: from before they were missed
                return None
            del self._offline_ms[name]
        elif heard_ms - self._told_ms.get(name, 0) < policy.availability.seen_every_s * 1000:
            return None
        self._told_ms[name] = heard_ms
        return driver_commands.SeenAlive(
            command_id=identity.command_id(name, f"seen {at_ms}"),
            driver_id=name,
            at_ms=at_ms,
            actor_type="driver",
            actor_id=name,
            correlation_id=name,
            lat=place[0] if place else None,
            lng=place[1] if place else None,
            seen_at_ms=at_ms,
        )
