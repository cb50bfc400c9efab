"""Whether a driver who holds a delivery comes nearer to the pickup: what is behind `driver_distance_too_far`."""

from collections import OrderedDict
from typing import Any

import msgspec

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands, delivery_events, driver_events
from dispatch.contract.records.system import DriverLocation
from dispatch.core.policy import ReassignmentPolicy
from dispatch.core.travel import distance_m


class Approach(msgspec.Struct, frozen=True):
    """One driver's way to one pickup."""

    delivery_id: str
    offer_id: str
    pickup_lat: float
    pickup_lng: float
    nearest_m: float = float("inf")
    nearest_at_ms: int = 0


_NEARER_M = 25.0
"""Less than this is the noise of positioning."""
_ARRIVED_KNOWN = 100_000


def moved(approach: Approach, distance_m: float, at_ms: int, policy: ReassignmentPolicy) -> tuple[Approach, str]:
    """The approach after a ping at this distance, and why it has gone astray; empty: it has not."""
    if distance_m < approach.nearest_m - _NEARER_M:
        nearer = msgspec.structs.replace(approach, nearest_m=distance_m, nearest_at_ms=at_ms)
        return nearer, ""
    if distance_m > approach.nearest_m + policy.moving_away_m:
        return approach, f"{distance_m:.0f} m from the pickup, {approach.nearest_m:.0f} m before: moving away"
    still_s = (at_ms - approach.nearest_at_ms) / 1000
    if still_s > policy.no_progress_s and distance_m > policy.moving_away_m / 10:
        return approach, f"{distance_m:.0f} m from the pickup and no nearer for {still_s:.0f} s"
    return approach, ""


class Approaches:
    """All ways to pickups: begun by a reservation, ended by its release or by arriving, whichever topic comes first."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Approach]] = {}
        self._arrived: OrderedDict[str, None] = OrderedDict()

    def take(self, event: Any) -> None:
        """Folds an event of a driver or a delivery."""
        match event:
            case driver_events.DriverReserved(offer_id=offer_id):
                if offer_id not in self._arrived:
                    way = Approach(event.delivery_id, offer_id, event.pickup_lat, event.pickup_lng)
                    self._held.setdefault(event.driver_id, {})[offer_id] = way
            case driver_events.DriverReservationReleased():
                self._end(event.driver_id, event.offer_id)
            case delivery_events.ArrivedAtPickup() | delivery_events.PickupCompleted():
                self._arrived[event.offer_id] = None
                if len(self._arrived) > _ARRIVED_KNOWN:
                    self._arrived.popitem(last=False)
                self._end(event.driver_id, event.offer_id)

    def astray(self, ping: DriverLocation, policy: ReassignmentPolicy) -> list[delivery_commands.ReassignDelivery]:
        """What a ping that is believed says of the driver's ways; each is said once."""
        held = self._held.get(ping.driver_id)
        if not held:
            return []
        found = []
        for offer_id, approach in list(held.items()):
            far_m = distance_m(ping.lat, ping.lng, approach.pickup_lat, approach.pickup_lng)
            held[offer_id], why = moved(approach, far_m, ping.at_ms, policy)
            if why:
                self._end(ping.driver_id, offer_id)
                found.append(_reassign(approach, ping, why))
        return found

    def _end(self, driver_id: str, offer_id: str) -> None:
        held = self._held.get(driver_id, {})
        held.pop(offer_id, None)
        if not held:
            self._held.pop(driver_id, None)


def _reassign(approach: Approach, ping: DriverLocation, why: str) -> delivery_commands.ReassignDelivery:
    return delivery_commands.ReassignDelivery(
        command_id=identity.command_id(approach.offer_id, f"astray {ping.at_ms}"),
        delivery_id=approach.delivery_id,
        at_ms=ping.at_ms,
        actor_type="system",
        actor_id="approach",
        correlation_id=approach.delivery_id,
        offer_id=approach.offer_id,
        reason="driver_distance_too_far",
        note=why,
    )
