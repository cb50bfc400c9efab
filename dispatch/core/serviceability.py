"""Before checkout: whether a delivery between two places could be served now, and when it would arrive."""

from typing import Literal

import msgspec

from dispatch.contract.records.shared import EtaBand, EtaShape, UnassignedReason, Vehicle
from dispatch.core.eta import band, leg
from dispatch.core.facts import FoundDriver, SearchResult
from dispatch.core.policy import Policy
from dispatch.core.quotes import Place
from dispatch.core.ranking import travel_seconds
from dispatch.core.terms import unassigned_reason
from dispatch.core.travel import distance_m

LARGEST_WAY_M = 100_000
"""Farther from the store nobody delivers."""
FEW, SOME = 3, 9
Roughly = Literal["none", "few", "some", "many"]
WhyNot = Literal["too_far", "drivers_unknown"] | UnassignedReason


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `prep_s`: seconds until the goods are ready, from now."""

    pickup: Place
    dropoff: Place
    vehicle: Vehicle = "any"
    prep_s: int = 300


class Arrivals(msgspec.Struct, frozen=True):
    """When a driver would be at the store and at the door, each with the band that eight of ten fall into, UTC ms."""

    pickup: EtaBand
    delivery: EtaBand


class Serviceable(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `why_not` is empty when it could be served; without drivers there are no arrivals."""

    why_not: WhyNot | Literal[""] = ""
    distance_m: int
    drivers_near: Roughly = "none"
    arrivals: Arrivals | None = None

    @property
    def yes(self) -> bool:
        """Whether it could be served."""
        return not self.why_not


def way_m(wanted: Wanted) -> int:
    """Metres from the store to the door, straight."""
    return round(distance_m(*wanted.pickup, *wanted.dropoff))


def judged(
    wanted: Wanted, found: SearchResult | None, shape: EtaShape, policy: Policy, now_ms: int
) -> Serviceable:  # fmt: skip
    """The answer for what a search for drivers found; None: it was not made, since the places are too far apart."""
    far_m = way_m(wanted)
    if found is None or far_m > LARGEST_WAY_M:
        return Serviceable(why_not="too_far", distance_m=far_m)
    if found.failed:
        return Serviceable(why_not="drivers_unknown", distance_m=far_m)
    if not found.drivers:
        return Serviceable(why_not=unassigned_reason(found), distance_m=far_m)
    nearest = min(found.drivers, key=lambda driver: travel_seconds(driver, policy))
    arrivals = _arrivals(wanted, nearest, shape, policy, now_ms)
    return Serviceable(distance_m=far_m, drivers_near=roughly(len(found.drivers)), arrivals=arrivals)


def roughly(count: int) -> Roughly:
    """How many, without saying exactly how many: who asks is not told where every driver is."""
    if count == 0:
        return "none"
    return "few" if count <= FEW else "some" if count <= SOME else "many"


def _arrivals(wanted: Wanted, nearest: FoundDriver, shape: EtaShape, policy: Policy, now_ms: int) -> Arrivals:
    """pickup = now + max(travel, preparation); delivery = pickup + handling + travel, as in an offer."""
    ready_s = max(travel_seconds(nearest, policy), wanted.prep_s * shape.prep)
    pickup_ms = now_ms + round(ready_s * 1000)
    to_door = leg(way_m(wanted), nearest.vehicle, policy, now_ms)
    delivery_ms = pickup_ms + round((policy.travel.handling_s + to_door.seconds) * 1000)
    return Arrivals(
        band(pickup_ms, now_ms, shape.pickup, policy.eta), band(delivery_ms, now_ms, shape.delivery, policy.eta)
    )
