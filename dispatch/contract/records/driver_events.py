"""Generated from schemas/driver_events by dispatch.contract.generate. Do not edit."""


import msgspec


from dispatch.contract.records.shared import ActorType, AssignHow, Availability, DenyReason, HeldWish, ReleaseReason, Vehicle, ZonePreference


class DriverAvailabilityChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Availability changed."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    from_availability: Availability
    to_availability: Availability
    reason: str
    until_ms: int | None = None
    notice_at_ms: int | None = None
    """When the driver is told that the break ends."""
    duty: str
    """working, break or ended: what the driver wants, whatever is seen."""
    paused: bool
    offline: bool
    pending_break_ms: int = 0
    """A break of this length starts when the delivery in hand ends."""
    pending_notice_ms: int = 0
    pending_end: bool = False
    """The shift ends with the delivery in hand."""
    free_capacity: int
    plain: bool = False
    """The flag availability_states is off for this driver: breaks, ended shifts and pauses are seen as OFFLINE."""


class DriverBreakExtended(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The break lasts longer."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    until_ms: int
    notice_at_ms: int | None = None


class DriverBreakNoticed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver was told that the break ends soon."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    until_ms: int


class DriverBreakRequested(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A break will start when the delivery in hand ends."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    duration_ms: int
    notice_ms: int
    reason: str


class DriverPauseRecorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An admin paused the driver, saying what becomes of the delivery in hand."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    reason: str
    held: HeldWish


class DriverReservationConfirmed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The reservation became an assignment."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    offer_id: str
    delivery_id: str
    fence: int
    how: AssignHow
    free_capacity: int


class DriverReservationDenied(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Asked for and not to be had."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    offer_id: str
    delivery_id: str
    why: DenyReason


class DriverReservationReleased(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Let go by the delivery."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    offer_id: str
    delivery_id: str
    why: ReleaseReason
    free_capacity: int


class DriverReserved(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Reserved for an offer; the fence rose."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    offer_id: str
    delivery_id: str
    fence: int
    pickup_lat: float
    pickup_lng: float
    free_capacity: int


class DriverSeen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A sign of life."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    seen_at_ms: int
    lat: float | None = None
    lng: float | None = None
    offline_at_ms: int


class DriverShiftEndRequested(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The shift will end with the delivery in hand."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    after_delivery: bool


class DriverSignedOn(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver is known, with what they can carry."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    vehicle: Vehicle
    capacity: int
    rating: float
    lat: float
    lng: float
    offline_at_ms: int
    """Without another sign of life, offline from then."""


class DriverZonePreferenceSet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver's word on a zone; AVAILABLE is the same as none."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    driver_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    zone: str
    preference: ZonePreference


DriverEvent = DriverAvailabilityChanged | DriverBreakExtended | DriverBreakNoticed | DriverBreakRequested | DriverPauseRecorded | DriverReservationConfirmed | DriverReservationDenied | DriverReservationReleased | DriverReserved | DriverSeen | DriverShiftEndRequested | DriverSignedOn | DriverZonePreferenceSet


AUDIT_WORDS: dict[type[DriverEvent], str] = {
    DriverAvailabilityChanged: "driver_availability_changed",
    DriverBreakExtended: "driver_break_extended",
    DriverBreakNoticed: "driver_break_noticed",
    DriverBreakRequested: "driver_break_requested",
    DriverPauseRecorded: "driver_pause_recorded",
    DriverReservationConfirmed: "driver_reservation_confirmed",
    DriverReservationDenied: "driver_reservation_denied",
    DriverReservationReleased: "driver_reservation_released",
    DriverReserved: "driver_reserved",
    DriverSeen: "driver_seen",
    DriverShiftEndRequested: "driver_shift_end_requested",
    DriverSignedOn: "driver_signed_on",
    DriverZonePreferenceSet: "driver_zone_preference_set",
}
