"""What is known of a delivery: one record, its phase a tagged union. Kept small: 100,000 of them live in a worker."""

import msgspec

from dispatch.contract.records.shared import (
    AssignHow,
    EtaShape,
    LossReason,
    Order,
    Route,
    Step,
    UnassignedReason,
    Vehicle,
)
from dispatch.core.economics import Usage
from dispatch.core.pay import WHOLE, Earning

STEPS: tuple[Step, ...] = (
    "enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered",
)  # fmt: skip
PICKED_UP = STEPS.index("picked_up") + 1


class _Phase(msgspec.Struct, frozen=True, tag_field="is", array_like=True, gc=False):
    """A phase of a delivery."""


class Unknown(_Phase, frozen=True, tag="unknown"):
    """Nothing was heard of it."""


class Placed(_Phase, frozen=True, tag="placed"):
    """Known, not ready."""


class Searching(_Phase, frozen=True, tag="searching"):
    """Ready, nobody asked. `retry_at_ms` 0: the same decision goes on to ask somebody."""

    retry_at_ms: int = 0
    why: UnassignedReason = "unknown"


class Reserving(_Phase, frozen=True, tag="reserving"):
    """A driver was asked for and has not answered."""

    offer_id: str
    driver_id: str
    how: AssignHow
    answer_by_ms: int
    distance_m: int
    travel_s: int
    vehicle: Vehicle


class Offered(_Phase, frozen=True, tag="offered"):
    """A driver is reserved and looks at the offer."""

    offer_id: str
    driver_id: str
    fence: int
    sent_at_ms: int
    expires_at_ms: int
    distance_m: int
    travel_s: int
    vehicle: Vehicle
    earning: Earning | None = None
    """As the offer showed it."""


class Held(_Phase, frozen=True, tag="held"):
    """A driver holds it. `progress` counts STEPS done; from PICKED_UP on the goods are in the driver's hands."""

    offer_id: str
    driver_id: str
    fence: int
    how: AssignHow
    assigned_at_ms: int
    progress: int = 0
    grace_until_ms: int = 0
    lost: LossReason = "UNKNOWN"
    earning: Earning | None = None
    pickup_eta_ms: int = 0
    """The middle of what was told last; so the next."""
    delivery_eta_ms: int = 0


class Returning(_Phase, frozen=True, tag="returning"):
    """It failed with the goods taken; they go back to the store."""

    offer_id: str
    driver_id: str
    earning: Earning | None = None


class Review(_Phase, frozen=True, tag="review"):
    """Nobody holds it and searching stopped; an admin must act."""


class Closed(_Phase, frozen=True, tag="closed"):
    """It ended. The marker stays until `forget_at_ms`."""

    status: str
    forget_at_ms: int


Phase = Unknown | Placed | Searching | Reserving | Offered | Held | Returning | Review | Closed


class Listed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A candidate not asked yet."""

    driver_id: str
    distance_m: int
    travel_s: int
    vehicle: Vehicle


class Ladder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """After how long without a holder each level of escalation comes, ms."""

    level_1_ms: int
    level_2_ms: int
    level_3_ms: int

    def after_ms(self, level: int) -> int:
        """Waiting time of a level 1..3."""
        return (self.level_1_ms, self.level_2_ms, self.level_3_ms)[level - 1]


class Variant(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The features as they were when the order became ready; they hold for the delivery's life."""

    driver_offers: bool
    reassignment: bool
    escalation: bool
    zone_balancing: bool = False
    eta_tracking: bool = False


class Delivery(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The state of a delivery."""

    id: str
    version: int = 0
    phase: Phase = Unknown()
    correlation_id: str = ""
    order: Order | None = None
    order_digest: str = ""
    prep_s: int = 0
    remember_ms: int = 0
    ready_at_ms: int = 0
    waiting_since_ms: int = 0
    variant: Variant | None = None
    ladder: Ladder | None = None
    level: int = 0
    base_radius_m: int = 0
    radius_m: int = 0
    search_no: int = 0
    retries: int = 0
    found_at_ms: int = 0
    shortlist: tuple[Listed, ...] = ()
    former: tuple[str, ...] = ()
    refusals: int = 0
    attempt_count: int = 0
    needs_review: bool = False
    reply_to: int = -1
    ready_command: str = ""
    ended_offer: tuple[str, str] = ("", "")
    """The last offer that ended, and what an answer that comes late is told."""
    route: Route | None = None
    """From the store to the customer, as a routing engine gave it at the last search."""
    eta_shape: EtaShape | None = None
    """How arrivals spread round what is reckoned, as learned when the last search was made."""
    multiplier_percent: int = WHOLE
    usage: Usage = Usage()
    wrong_pins: int = 0
    """So many wrong ones were said at the door."""
    tell_driver: bool = False
    """The driver has changed so often that the customer hears who comes next."""
    told_eta_ms: int = 0
    """The arrival at the door as the customer was told it last; 0: never."""


def initial(delivery_id: str) -> Delivery:
    """A delivery of which nothing is known."""
    return Delivery(id=delivery_id)


def version(state: Delivery) -> int:
    """The number of the last event."""
    return state.version


def status(state: Delivery) -> str:
    """The public word for the phase; empty before anything happened."""
    match state.phase:
        case Unknown():
            return ""
        case Placed():
            return "created"
        case Searching() | Reserving() | Review():
            return "searching"
        case Offered():
            return "offered"
        case Held(progress=progress):
            return STEPS[progress - 1] if progress else "assigned"
        case Returning():
            return "failed"
        case Closed(status=ended):
            return ended
