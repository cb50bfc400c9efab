"""Generated from schemas/delivery_events by dispatch.contract.generate. Do not edit."""


import msgspec


from dispatch.contract.records.shared import ActorType, AssignHow, Candidate, CandidateSource, DenyReason, Economics, Eta, EtaShape, LossReason, OfferTerms, Order, PricedBy, Proof, QuoteOutcome, ReassignReason, RejectReason, Route, SettledAs, UnassignedReason, WithdrawReason


class ArrivedAtDropoff(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """At the customer."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str


class ArrivedAtPickup(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """At the store."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str


class AssignmentReassigned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The holder lost the delivery before pickup."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    reason: ReassignReason
    note: str = ''
    assigned_at_ms: int
    attempt_count: int
    notify_customer: bool
    """After more than two changes."""
    compensation_minor: int = 0
    """What the driver who loses it is paid for the way made."""


class AssignmentStarted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The order is ready; the variant holds for the delivery's life."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    driver_offers: bool
    reassignment: bool
    escalation: bool
    radius_m: int
    level_1_ms: int
    """Escalation levels: after so long without a holder."""
    level_2_ms: int
    level_3_ms: int
    reply_to: int = -1
    """Slot of the gateway that waits for the first offer."""
    policy_version: int
    zone: str = ''
    """Where the pickup lies; none: in no zone; empty: as when it was created."""
    zone_version: int = 0
    zone_balancing: bool = False
    """Whether zones shape this delivery's searches."""
    eta_tracking: bool = False
    """Whether ETAs have bands and are reckoned anew under way."""


class DeliveryCancelled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The order was cancelled."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    note: str = ''
    by_policy: bool = False


class DeliveryCompleted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Handed over."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    proof_ref: str | None = None
    total_ms: int
    """From ready to handed over."""
    signature_ref: str | None = None
    """Where the signature is kept."""
    pin_checked: bool = False
    """The customer's PIN was said, and is right."""
    note: str = ''
    """An admin's: why it is taken for delivered."""


class DeliveryCreated(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The order became known."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    order: Order
    order_digest: str
    """SHA-256 of the order's identity: tells a repeat with other content apart."""
    remember_ms: int
    """How long the closed delivery leaves its marker."""
    zone_version: int = 0
    """The zones in force when its zone was determined; 0: none."""
    multiplier_percent: int = 100
    """The dynamic price of this delivery, for its life; 100 is 1.0."""
    priced_by: PricedBy = 'off'
    quote: QuoteOutcome = 'none'


class DeliveryEconomicsEstimated(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the delivery will cost and bring if it is completed, as known when a driver took it."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    seller_id: str
    zone: str
    economics: Economics
    routing_calls: int
    """What the costs rest on."""
    messages: int
    events: int
    multiplier_percent: int = 100
    policy_version: int


class DeliveryEconomicsSettled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the delivery cost and brought in the end. It stands right before the event that ends the delivery, once."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    driver_id: str
    """The last holder; empty: nobody."""
    seller_id: str
    zone: str
    outcome: SettledAs
    economics: Economics
    routing_calls: int
    """What the costs rest on."""
    messages: int
    events: int
    multiplier_percent: int = 100
    policy_version: int
    paid_percent: int
    """Share of the earning without incentive that the last holder is paid; what is delivered is paid whole."""


class DeliveryFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """It could not be completed. With goods in hand they go back to the store."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    offer_id: str = ''
    driver_id: str = ''
    reason: str
    note: str = ''
    returning: bool


class DeliveryReturned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The goods are back at the store."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    offer_id: str = ''
    driver_id: str = ''
    note: str = ''


class DeliveryStarted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """On the way to the customer."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str


class DriverAccepted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver accepted."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    response_ms: int


class DriverAssigned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The delivery has a holder."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    fence: int
    how: AssignHow
    terms: OfferTerms
    search_ms: int
    """From ready to assigned."""


class DriverCandidatesFound(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The candidates as considered, best first."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    search_no: int
    radius_m: int
    candidates: tuple[Candidate, ...]
    source: CandidateSource
    redis_ok: bool
    free_in_radius: int
    busy_in_radius: int
    nearest_m: int | None = None
    """The nearest free driver beyond the radius, if any is known."""
    policy_version: int
    zone: str
    model_version: int = 0
    """Version of the acceptance model asked; 0: none."""
    zone_version: int = 0
    """The zones in force; 0: none."""
    zone_drivers_online: int = -1
    """As known then; -1: not known."""
    zone_min_drivers: int = 0
    """Fewer online than this widen the search."""
    route: Route | None = None
    """null: no routing engine gave it."""
    eta: EtaShape | None = None
    """null: ETAs are not tracked."""


class DriverLost(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The holder was lost before pickup; a grace runs."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    why: LossReason
    grace_until_ms: int


class DriverOfferSent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver was offered the delivery."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    fence: int
    sent_at_ms: int
    expires_at_ms: int
    terms: OfferTerms
    notified_by: str
    """Notification method."""


class DriverRecovered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The holder came back within the grace."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str


class DriverRejected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver refused."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    response_ms: int
    reason: RejectReason
    note: str = ''


class EtaChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An arrival is expected at another time than was told last."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    eta: Eta
    why: str
    """driver_moved, status_changed or prep_time_changed."""
    tell_customer: bool = False
    """So much later than last told that the customer hears of it."""


class ManualReviewEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An admin took it up again."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    note: str = ''


class ManualReviewRequired(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """People must look at it; searching stopped."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    critical: bool
    attempt_count: int


class NoDriverFound(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Nobody could be asked; it waits."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    search_no: int
    why: UnassignedReason
    retry_at_ms: int


class OfferExpired(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver did not answer in time."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    auto_assigned: bool
    """Policy: silence assigns."""


class OfferWithdrawn(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The offer was taken back."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    why: WithdrawReason


class PickupCompleted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The goods are with the driver."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    proof_ref: str | None = None
    signature_ref: str | None = None
    """Where the signature is kept."""


class PickupStarted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """On the way to the store."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str


class PrepTimeChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The store's estimate changed."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    prep_s: int


class ProofRefused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The PIN that was said at the door is wrong."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    wrong: int
    """So many wrong ones so far."""


class ReservationFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver asked for was not to be had."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    why: DenyReason
    how: AssignHow


class ReservationRequested(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A driver is asked for."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
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
    driver_id: str
    rank: int
    """0: the best of the list."""
    how: AssignHow
    """accepted: an offer will follow; direct, manual: assigned when granted."""
    answer_by_ms: int


class UnassignedEscalated(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """It waited too long."""

    event_id: str
    """UUIDv5 of the aggregate and the version."""
    delivery_id: str
    version: int
    """1..n without a gap."""
    at_ms: int
    """When it was decided, UTC milliseconds; never runs backwards within an aggregate."""
    actor_type: ActorType
    actor_id: str
    causation_id: str
    """The command that caused it."""
    correlation_id: str
    level: int
    why: UnassignedReason
    waiting_ms: int
    radius_m: int
    """Searched from now on."""
    by_admin: bool = False


DeliveryEvent = ArrivedAtDropoff | ArrivedAtPickup | AssignmentReassigned | AssignmentStarted | DeliveryCancelled | DeliveryCompleted | DeliveryCreated | DeliveryEconomicsEstimated | DeliveryEconomicsSettled | DeliveryFailed | DeliveryReturned | DeliveryStarted | DriverAccepted | DriverAssigned | DriverCandidatesFound | DriverLost | DriverOfferSent | DriverRecovered | DriverRejected | EtaChanged | ManualReviewEnded | ManualReviewRequired | NoDriverFound | OfferExpired | OfferWithdrawn | PickupCompleted | PickupStarted | PrepTimeChanged | ProofRefused | ReservationFailed | ReservationRequested | UnassignedEscalated


AUDIT_WORDS: dict[type[DeliveryEvent], str] = {
    ArrivedAtDropoff: "arrived_at_dropoff",
    ArrivedAtPickup: "arrived_at_pickup",
    AssignmentReassigned: "assignment_reassigned",
    AssignmentStarted: "assignment_started",
    DeliveryCancelled: "delivery_cancelled",
    DeliveryCompleted: "delivery_completed",
    DeliveryCreated: "created",
    DeliveryEconomicsEstimated: "economics_estimated",
    DeliveryEconomicsSettled: "economics_settled",
    DeliveryFailed: "delivery_failed",
    DeliveryReturned: "delivery_returned",
    DeliveryStarted: "delivery_started",
    DriverAccepted: "driver_accepted",
    DriverAssigned: "driver_assigned",
    DriverCandidatesFound: "driver_candidates_found",
    DriverLost: "driver_lost",
    DriverOfferSent: "driver_offer_sent",
    DriverRecovered: "driver_recovered",
    DriverRejected: "driver_rejected",
    EtaChanged: "eta_changed",
    ManualReviewEnded: "manual_review_ended",
    ManualReviewRequired: "manual_review_required",
    NoDriverFound: "no_driver_found",
    OfferExpired: "offer_expired",
    OfferWithdrawn: "offer_withdrawn",
    PickupCompleted: "pickup_completed",
    PickupStarted: "pickup_started",
    PrepTimeChanged: "prep_time_changed",
    ProofRefused: "proof_refused",
    ReservationFailed: "reservation_failed",
    ReservationRequested: "reservation_requested",
    UnassignedEscalated: "unassigned_escalated",
}
