"""Which pings are believed: what a single ping shows by itself, and what it means after those before it.

A ping is refused for what it says alone (`refused`), at the HTTP door and in the stream alike. What is left is judged
by where the driver was (`judged`): an older ping than the last one moves nobody back, and one that nobody could have
reached since is not believed until a later one near it confirms it.
"""

from typing import Literal, NamedTuple

import msgspec

from dispatch.contract.records.shared import Vehicle
from dispatch.core.policy import PresencePolicy
from dispatch.core.travel import distance_m

Outcome = Literal["taken", "confirmed", "out_of_order", "jump"]


class Place(NamedTuple):
    """Somewhere at a moment."""

    lat: float
    lng: float
    at_ms: int
    accuracy_m: float = 0


class Track(msgspec.Struct, frozen=True, gc=False):
    """Where a driver was last believed to be, since when, the last ping believed, and one that is doubted."""

    lat: float
    lng: float
    at_ms: int
    pinged_ms: int = 0
    doubted: Place | None = None


def refused(ping: Place, now_ms: int, policy: PresencePolicy) -> tuple[str, str] | None:
    """Why the ping says nothing: a code and a sentence; None: it may be right."""
    if ping.lat == 0 and ping.lng == 0:
        return "zero_place", "is at 0,0, which is what a device says that knows no place"
    ahead_s, old_s = (ping.at_ms - now_ms) / 1000, (now_ms - ping.at_ms) / 1000
    if ahead_s > policy.clock_ahead_s:
        return "in_the_future", f"is {ahead_s:.0f} s in the future; at most {policy.clock_ahead_s:g} s are allowed"
    if old_s > policy.oldest_s:
        return "too_old", f"is {old_s:.0f} s old; at most {policy.oldest_s:g} s are allowed"
    if not 0 <= ping.accuracy_m <= policy.accuracy_max_m:
        return "bad_accuracy", f"is exact to {ping.accuracy_m:g} m; 0 to {policy.accuracy_max_m} m are allowed"
    return None


def judged(track: Track, ping: Place, vehicle: Vehicle, now_ms: int, policy: PresencePolicy) -> tuple[Track, Outcome]:
    """The track after a ping that was not refused, and what became of it.

    A clock ahead of ours counts as ours: else one hasty ping would outrank all that follow it.
    """
    if ping.at_ms > now_ms:
        ping = ping._replace(at_ms=now_ms)
    if ping.at_ms < track.pinged_ms:
        return track, "out_of_order"
    if _in_reach(track.lat, track.lng, track.at_ms, ping, vehicle, policy):
        return Track(ping.lat, ping.lng, ping.at_ms, ping.at_ms), "taken"
    doubted = track.doubted
    if doubted is not None and ping.at_ms > doubted.at_ms:
        lat, lng, at_ms, _ = doubted
        if _in_reach(lat, lng, at_ms, ping, vehicle, policy):
            return Track(ping.lat, ping.lng, ping.at_ms, ping.at_ms), "confirmed"
    return Track(track.lat, track.lng, track.at_ms, track.pinged_ms, ping), "jump"


def _in_reach(lat: float, lng: float, at_ms: int, ping: Place, vehicle: Vehicle, policy: PresencePolicy) -> bool:
    far_m = distance_m(lat, lng, ping.lat, ping.lng)
    spare_m = policy.jump_slack_m + ping.accuracy_m
    if far_m <= spare_m:
        return True
    return far_m - spare_m <= top_kmh(vehicle, policy) / 3.6 * max(0, ping.at_ms - at_ms) / 1000


def top_kmh(vehicle: Vehicle, policy: PresencePolicy) -> float:
    """What no driver of this vehicle is faster than."""
    match vehicle:
        case "bicycle":
            return policy.bicycle_max_kmh
        case "scooter":
            return policy.scooter_max_kmh
        case "motorbike":
            return policy.motorbike_max_kmh
        case "van":
            return policy.van_max_kmh
    return policy.car_max_kmh
