"""Generated from schemas/* by dispatch.contract.generate. Do not edit."""


from typing import Literal

import msgspec


ActorType = Literal["UNKNOWN", "driver", "system", "admin", "customer", "order_service"]


DeliveryTimer = Literal["UNKNOWN", "reserve_timeout", "offer_expiry", "search_retry", "grace", "escalation", "forget"]


LossReason = Literal["UNKNOWN", "offline", "break_started", "shift_ended", "paused_keep", "paused_reassign"]


Vehicle = Literal["UNKNOWN", "any", "bicycle", "scooter", "motorbike", "car", "van"]


Proof = Literal["UNKNOWN", "none", "photo", "signature", "pin"]


class Order(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order as dispatch sees it: no name, phone or address, and the drop-off rounded to 0.001 degrees."""

    seller_id: str
    seller_order_id: str
    store_name: str
    """The pickup's public name."""
    pickup_lat: float
    pickup_lng: float
    dropoff_lat: float
    """Rounded to 0.001 degrees (about 100 m); the exact place is in the contacts topic."""
    dropoff_lng: float
    order_value_minor: int
    delivery_fee_minor: int
    currency: str
    prep_s: int = 300
    """Estimate of preparation from placed_at_ms, seconds. Not part of the order's identity."""
    placed_at_ms: int
    """When the order was placed upstream, UTC milliseconds. Not part of the order's identity."""
    vehicle: Vehicle = 'any'
    size: int = 1
    """Room the order takes, in units of a driver's bag."""
    age_check: bool = False
    cash: bool = False
    promised_from_ms: int | None = None
    promised_to_ms: int | None = None
    zone: str = 'none'
    contact_digest: str = ''
    """SHA-256 over the contact, salted with the delivery id: tells a repeat with another contact apart without holding it."""
    quote_id: str = ''
    """The quote that the order names; empty: none."""
    proof: Proof = 'none'
    """Without it the delivery is not taken for delivered."""
    pin_mark: str = ''
    """Of the PIN that the customer says at the door, made with a secret key: it tells a right one from a wrong one and gives none away. Empty: none."""


ReassignReason = Literal["UNKNOWN", "driver_offline", "driver_cancelled", "driver_distance_too_far", "admin_forced"]


RejectReason = Literal["UNKNOWN", "too_far", "no_time", "bad_area", "vehicle", "earning", "other"]


Step = Literal["UNKNOWN", "enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered"]


DenyReason = Literal["UNKNOWN", "not_available", "at_capacity", "unknown_driver", "already_held", "no_answer", "abandoned"]


class EtaBand(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """When something is expected: eight of ten times between p10 and p90."""

    p10_ms: int
    p50_ms: int
    p90_ms: int
    confidence: int
    """Chance in percent that it comes within the policy's good_s of the middle."""


class Eta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Both arrivals as expected, what they were reckoned from, and what plain distance and pace would have said."""

    pickup: EtaBand | None = None
    """null: it has been picked up."""
    delivery: EtaBand
    base_pickup_ms: int = 0
    """Travel, as the source gave it, and preparation, as the store's history has it; the band is learned round it."""
    base_delivery_ms: int = 0
    plain_pickup_ms: int = 0
    """By distance, pace and the store's own estimate alone."""
    plain_delivery_ms: int = 0
    source: str = 'formula'
    """What gave the travel time: osrm, osrm_cache or formula."""
    model_version: int = 0
    """0: nothing was learned yet."""


PricedBy = Literal["UNKNOWN", "off", "zone", "quote"]


QuoteOutcome = Literal["UNKNOWN", "none", "held", "expired", "unknown", "changed"]


class Economics(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Money of one delivery, in minor units of one currency: cost and revenue are the sums of their parts, net their difference."""

    currency: str
    driver_pay_minor: int
    """Of the driver who held it last, with the incentive."""
    compensation_minor: int
    """Of drivers who held it before and were paid for the way made."""
    routing_minor: int
    """Calls of a routing engine."""
    messages_minor: int
    storage_minor: int
    platform_minor: int
    """The delivery's share of what the platform costs."""
    cost_minor: int
    commission_minor: int
    delivery_fee_minor: int
    revenue_minor: int
    net_minor: int
    """Revenue less cost."""


SettledAs = Literal["UNKNOWN", "delivered", "failed", "returned", "cancelled"]


AssignHow = Literal["UNKNOWN", "accepted", "auto", "manual", "direct"]


class OfferTerms(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an offer shows."""

    store_name: str
    pickup_lat: float
    pickup_lng: float
    dropoff_lat: float
    """Rounded to 0.001 degrees."""
    dropoff_lng: float
    pickup_eta_ms: int
    delivery_eta_ms: int
    pickup_distance_m: int
    total_distance_m: int
    earning_minor: int
    """With the incentive."""
    incentive_minor: int
    currency: str
    base_minor: int = 0
    """The parts: base + distance + time + multiplier + incentive = earning."""
    distance_minor: int = 0
    time_minor: int = 0
    multiplier_minor: int = 0
    """What the dynamic price adds to base, distance and time."""
    multiplier_percent: int = 100
    """100 is 1.0."""
    incentive_refused: str = ''
    """Why an incentive of the zone does not apply; empty: it does, or there is none."""
    eta: Eta | None = None
    """Both arrivals with their bands; null: reckoned plainly."""


Availability = Literal["UNKNOWN", "AVAILABLE", "BUSY", "ON_BREAK", "SHIFT_ENDED", "OFFLINE", "PAUSED"]


CandidateSource = Literal["UNKNOWN", "valkey", "postgres", "memory", "none", "named"]


class Candidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A driver as considered for a delivery, with each part of the score."""

    driver_id: str
    distance_m: int
    travel_s: int
    orders: int
    """Deliveries held when looked up."""
    capacity: int
    rating: float
    """0..5; 0: none yet."""
    vehicle: Vehicle
    availability: Availability
    score: float
    """Sum of the parts, in minutes: the lowest is first."""
    travel_min: float
    """Part: expected minutes to the pickup."""
    rating_min: float
    """Part: minutes credited (negative) for the rating."""
    fairness_min: float
    """Part: minutes credited (negative) for waiting since the last assignment."""
    load_min: float
    """Part: minutes charged for each delivery already held."""
    source: CandidateSource
    excluded: str = ''
    """Why it could not be asked; empty: it could."""
    zone_min: float = 0.0
    """Part: minutes credited (negative) for a driver who prefers the zone."""
    driver_score_min: float = 0.0
    """Part: minutes credited (negative) or charged for the driver's score; then rating_min is 0."""
    acceptance_min: float = 0.0
    """Part: minutes charged for the chance that the driver does not accept."""
    exploration_min: float = 0.0
    """Part: minutes credited (negative) where a second-best goes first, to learn."""
    travel_source: str = ''
    """What gave the travel time; empty: the formula."""
    score_share: float = -1
    """The driver's score, 0..1; -1: none known."""
    accepts_share: float = -1
    """Share of offers accepted before, shrunk towards the mean; -1: none known."""
    accept_chance: float = -1
    """Chance that the driver accepts, by the model; -1: no model was asked."""
    idle_s: int = -1
    """Since the last assignment; -1: none known."""


class Route(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The way from the store to the customer."""

    distance_m: int
    """On the road."""
    travel_s: int
    """A car's."""
    source: str


class EtaShape(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was learned of this zone, hour and store: actual over reckoned time, at the levels 5, 10, 25, 50, 75, 90 and 95 percent."""

    pickup: tuple[float, ...]
    delivery: tuple[float, ...]
    prep: float
    """The store's actual preparation over its estimate, the middle of it."""
    observations: int = 0
    """Finished deliveries that the most particular of the cells asked has seen."""
    model_version: int = 0


UnassignedReason = Literal["UNKNOWN", "no_available_drivers", "all_drivers_busy", "distance_exceeded", "redis_timeout", "unknown"]


WithdrawReason = Literal["UNKNOWN", "order_cancelled", "admin_assigned", "admin_reassigned", "driver_unavailable"]


DriverTimer = Literal["UNKNOWN", "break_notice", "break_end", "offline_check"]


HeldWish = Literal["UNKNOWN", "keep", "reassign"]


ReleaseReason = Literal["UNKNOWN", "rejected", "expired", "withdrawn", "cancelled", "reassigned", "reserve_timeout", "completed", "failed", "returned", "admin", "denied"]


ZonePreference = Literal["UNKNOWN", "PREFERRED", "AVAILABLE", "UNAVAILABLE"]


DeadLetterAct = Literal["UNKNOWN", "retried", "dropped"]


AggregateType = Literal["UNKNOWN", "delivery", "driver"]


Outcome = Literal["UNKNOWN", "accepted", "duplicate", "refused", "dead_lettered"]


class DriverScorePart(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One part of a driver's score."""

    part: str
    """acceptance, completion, on_time, rating or cancellations."""
    good: float
    """How often it went well; for the rating, the stars' share of five times what it counts."""
    seen: float
    """Out of how many."""
    value: float
    """0..1: the share, shrunk towards the mean."""
    weight: float
    """0..1; all weights together are 1."""


Audience = Literal["UNKNOWN", "customer", "driver", "operations", "support"]


ReplyStage = Literal["UNKNOWN", "decided", "first_offer"]


ShadowVerdict = Literal["UNKNOWN", "agrees", "differs", "undecidable"]


WebhookAct = Literal["UNKNOWN", "created", "changed", "deleted", "secret_rotated", "enabled", "disabled"]


ZoneTrend = Literal["UNKNOWN", "rising", "steady", "falling"]
