"""Generated from schemas/delivery_commands by dispatch.contract.generate. Do not edit."""


import msgspec


from dispatch.contract.records.shared import ActorType, DeliveryTimer, DenyReason, Eta, LossReason, Order, ReassignReason, RejectReason, Step


class AcceptOffer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A driver takes an offer."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    driver_id: str


class AssignDriver(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An admin names the driver."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    driver_id: str
    note: str


class CancelDelivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The order is not wanted any more."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    reason: str
    note: str = ''


class ChangePrepTime(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The store changed its estimate of preparation."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    prep_s: int


class DeliveryTimerDue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A deadline of the delivery has come."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    timer: DeliveryTimer
    due_at_ms: int
    ref: str = ''
    """What the deadline was set for: an offer id, a level or a search number."""


class DriverBack(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver lost before is back."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    driver_id: str


class DriverUnavailable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver who is reserved or holds this can no longer serve it."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    driver_id: str
    why: LossReason


class EscalateDelivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An admin escalates a waiting delivery now."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    note: str = ''


class FailDelivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The delivery cannot be completed. From an admin, offer_id and driver_id may be empty."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str = ''
    driver_id: str = ''
    reason: str
    note: str = ''


class GiveUpDelivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A driver gives up the delivery in hand."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    driver_id: str
    note: str = ''


class MarkReady(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order is ready to be fetched: dispatch begins. The order is needed unless it was placed before."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    order: Order | None = None


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order was placed; it may come early, with an estimate of preparation."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    order: Order


class ReassignDelivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Take the delivery from its driver and search again (an admin, or a watcher naming the offer it judged)."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str = ''
    """Named by a watcher; empty: whoever holds it."""
    reason: ReassignReason
    note: str = ''


class RejectOffer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A driver refuses an offer."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    driver_id: str
    reason: RejectReason
    note: str = ''


class ReportProgress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The courier moved on to the next step."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    driver_id: str
    step: Step
    proof_ref: str | None = None
    signature_ref: str | None = None
    """Where the signature is kept."""
    pin_mark: str = ''
    """Of the PIN that was said at the door; empty: none."""
    note: str = ''
    """An admin's: why it is taken for done."""


class ReservationDenied(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver is not to be had."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    driver_id: str
    why: DenyReason


class ReservationGranted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver is reserved for this offer."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    driver_id: str
    fence: int
    """Rises with each grant of this driver."""


class ReturnDelivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The goods are back at the store. From an admin, offer_id and driver_id may be empty."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str = ''
    driver_id: str = ''
    note: str = ''


class SearchAgain(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A suitable driver became available near by."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    driver_id: str = ''


class UpdateEta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The arrivals were reckoned anew; what moved enough becomes an event."""

    command_id: str
    """The command's identity: a repeat has the same."""
    delivery_id: str
    at_ms: int
    """The issuer's clock, UTC milliseconds. Decisions use the record's timestamp."""
    actor_type: ActorType
    actor_id: str
    correlation_id: str
    reply_to: int = -1
    """Slot (partition of replies) of the gateway that waits; -1: nobody waits."""
    offer_id: str
    driver_id: str
    eta: Eta
    why: str
    """driver_moved, status_changed or prep_time_changed."""


DeliveryCommand = AcceptOffer | AssignDriver | CancelDelivery | ChangePrepTime | DeliveryTimerDue | DriverBack | DriverUnavailable | EscalateDelivery | FailDelivery | GiveUpDelivery | MarkReady | PlaceOrder | ReassignDelivery | RejectOffer | ReportProgress | ReservationDenied | ReservationGranted | ReturnDelivery | SearchAgain | UpdateEta
