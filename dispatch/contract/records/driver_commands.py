"""Generated from schemas/driver_commands by dispatch.contract.generate. Do not edit."""


import msgspec


from dispatch.contract.records.shared import ActorType, AssignHow, Availability, DriverTimer, HeldWish, ReleaseReason, Vehicle, ZonePreference


class ApplyAvailabilityStates(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The flag availability_states changed: the driver's availability is to be said as it is now."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""


class ConfirmReservation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The reservation became an assignment."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    delivery_id: str
    how: AssignHow


class DriverTimerDue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A deadline of the driver has come."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    timer: DriverTimer
    due_at_ms: int
    ref: str = ''


class EndShift(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The shift ends, at once or after the delivery in hand."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    after_delivery: bool = False


class ExtendBreak(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The break should last longer."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    extra_ms: int


class PauseDriver(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An admin takes the driver out of service."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    reason: str
    held: HeldWish


class ReleaseReservation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The delivery gives this driver up."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    delivery_id: str
    why: ReleaseReason


class ReserveDriver(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A delivery asks for this driver."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    delivery_id: str
    by_admin: bool = False
    pickup_lat: float
    pickup_lng: float


class ResumeWork(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The break or ended shift is over."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""


class SeenAlive(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A sign of life, at most one a minute."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    lat: float | None = None
    lng: float | None = None
    seen_at_ms: int


class SetZonePreference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver says whether to work in a zone."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    zone: str
    preference: ZonePreference


class SignOn(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A driver signs on and becomes available."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    vehicle: Vehicle
    capacity: int = 1
    """Deliveries at the same time, 1..10."""
    rating: float = 0
    """0..5."""
    lat: float
    lng: float


class StartShift(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Back to work."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""


class TakeBreak(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A break is wanted."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    duration_ms: int
    reason: str = ''


class UnpauseDriver(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An admin lets the driver work again."""

    command_id: str
    """The command's identity: a repeat has the same."""
    driver_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    reason: str


DriverCommand = ApplyAvailabilityStates | ConfirmReservation | DriverTimerDue | EndShift | ExtendBreak | PauseDriver | ReleaseReservation | ReserveDriver | ResumeWork | SeenAlive | SetZonePreference | SignOn | StartShift | TakeBreak | UnpauseDriver
