"""What is known of a driver: what they want (duty), what others impose (paused, offline), and what they hold."""

from typing import Literal

import msgspec

from dispatch.contract.records.shared import AssignHow, Availability, Vehicle, ZonePreference

Duty = Literal["working", "break", "ended"]


class Hold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A delivery that reserved this driver (confirmed: was assigned to). Only a Release ends it."""

    offer_id: str
    delivery_id: str
    fence: int
    confirmed: bool = False
    how: AssignHow = "UNKNOWN"


class Driver(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The state of a driver. Before the first sign-on they count as offline."""

    id: str
    version: int = 0
    known: bool = False
    vehicle: Vehicle = "any"
    capacity: int = 1
    rating: float = 0
    fence: int = 0
    holds: tuple[Hold, ...] = ()
    duty: Duty = "working"
    paused: bool = False
    offline: bool = True
    break_from_ms: int = 0
    break_until_ms: int = 0
    notice_at_ms: int = 0
    pending_break_ms: int = 0
    pending_notice_ms: int = 0
    pending_end: bool = False
    last_seen_ms: int = 0
    offline_at_ms: int = 0
    plain: bool = False
    """The flag `availability_states` is off for the driver: only AVAILABLE, BUSY and OFFLINE are said."""
    zones: tuple[tuple[str, ZonePreference], ...] = ()
    """What the driver said of zones, by their ids; those not named are AVAILABLE."""


def initial(driver_id: str) -> Driver:
    """A driver who never signed on."""
    return Driver(id=driver_id)


def version(state: Driver) -> int:
    """The number of the last event."""
    return state.version


def availability(state: Driver) -> Availability:
    """The public word: PAUSED outranks OFFLINE, which outranks what the driver wants, which outranks what they hold."""
    if state.plain and rests(state):
        return "OFFLINE"
    if state.paused:
        return "PAUSED"
    if state.offline:
        return "OFFLINE"
    if state.duty == "break":
        return "ON_BREAK"
    if state.duty == "ended":
        return "SHIFT_ENDED"
    return "BUSY" if is_busy(state) else "AVAILABLE"


def rests(state: Driver) -> bool:
    """Whether the driver does not work though they may be heard: on a break, after the shift, paused."""
    return state.paused or state.duty != "working"


def status(state: Driver) -> str:
    """The public word; empty before the first sign-on."""
    return availability(state) if state.known else ""


def is_busy(state: Driver) -> bool:
    """Whether a delivery is assigned to the driver."""
    return any(hold.confirmed for hold in state.holds)


def held(state: Driver, offer_id: str) -> Hold | None:
    """The hold of this offer."""
    return next((hold for hold in state.holds if hold.offer_id == offer_id), None)


def takes_offers(state: Driver) -> bool:
    """Whether the driver may be asked at all: working, and not about to stop."""
    return (
        state.known
        and availability(state) in ("AVAILABLE", "BUSY")
        and not state.pending_end
        and not state.pending_break_ms
    )


def free_capacity(state: Driver) -> int:
    """Deliveries that could still be granted; reserved and confirmed count alike."""
    return max(0, state.capacity - len(state.holds)) if takes_offers(state) else 0
