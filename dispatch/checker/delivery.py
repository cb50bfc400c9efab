"""A delivery as the checker knows it: the little that the rules need, and which events may meet which phase."""

from dataclasses import dataclass
from typing import Any

from dispatch.checker.report import NOWHERE, Place
from dispatch.checker.timers import Timer
from dispatch.contract.records import delivery_events as dv

UNKNOWN, CREATED, SEARCHING, RESERVING, OFFERED = "", "created", "searching", "reserving", "offered"
HOLDING, RETURNING, REVIEW, ENDED = "held", "returning", "review", "ended"
STEPS = (dv.PickupStarted, dv.ArrivedAtPickup, dv.PickupCompleted, dv.DeliveryStarted, dv.ArrivedAtDropoff)
STATUS = ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff")
PICKED_UP = STEPS.index(dv.PickupCompleted) + 1
LEVELS = 3
NEVER_GRANTED = ("not_available", "at_capacity", "unknown_driver", "already_held")
"""Why a reservation failed, where the driver said no: nothing is to be released."""

_WAITING = frozenset({SEARCHING, RESERVING, OFFERED})
_OPEN = _WAITING | {CREATED, HOLDING, RETURNING, REVIEW}
FITS: dict[type[Any], frozenset[str]] = {
    dv.DeliveryCreated: frozenset({UNKNOWN}),
    dv.AssignmentStarted: frozenset({CREATED}),
    dv.PrepTimeChanged: _OPEN - {RETURNING},
    dv.DriverCandidatesFound: frozenset({SEARCHING}),
    dv.NoDriverFound: frozenset({SEARCHING}),
    dv.ReservationRequested: frozenset({SEARCHING}),
    dv.ReservationFailed: frozenset({RESERVING}),
    dv.DriverOfferSent: frozenset({RESERVING}),
    dv.DriverAccepted: frozenset({OFFERED}),
    dv.DriverRejected: frozenset({OFFERED}),
    dv.OfferExpired: frozenset({OFFERED}),
    dv.OfferWithdrawn: frozenset({OFFERED}),
    dv.DriverAssigned: frozenset({RESERVING, OFFERED}),
    dv.DeliveryEconomicsEstimated: frozenset({HOLDING}),
    dv.DeliveryEconomicsSettled: _OPEN,
    dv.EtaChanged: frozenset({HOLDING}),
    dv.DriverLost: frozenset({HOLDING}),
    dv.DriverRecovered: frozenset({HOLDING}),
    dv.AssignmentReassigned: frozenset({HOLDING}),
    **dict.fromkeys(STEPS, frozenset({HOLDING})),
    dv.ProofRefused: frozenset({HOLDING}),
    dv.DeliveryCompleted: frozenset({HOLDING}),
    dv.DeliveryFailed: frozenset({HOLDING, RETURNING}),
    dv.DeliveryReturned: frozenset({RETURNING}),
    dv.DeliveryCancelled: frozenset({CREATED, SEARCHING, HOLDING, REVIEW}),
    dv.UnassignedEscalated: _WAITING,
    dv.ManualReviewRequired: frozenset({SEARCHING, HOLDING, RETURNING}),
    dv.ManualReviewEnded: frozenset({REVIEW}),
}
"""Which phases an event may meet. What is open is withdrawn before the delivery is cancelled."""


@dataclass(slots=True)
class Delivery:
    """What is known of one delivery. Times are UTC ms, and 0: none."""

    place: Place = NOWHERE
    version: int = 0
    now_ms: int = 0
    cause: str = ""
    phase: str = UNKNOWN
    status: str = ""
    """The public word."""
    offer: str = ""
    driver: str = ""
    """Reserved, asked or holding: of `offer`."""
    how: str = ""
    fence: int = 0
    accepted: bool = False
    """The open offer was accepted, or silence assigned it: the assignment must follow."""
    progress: int = 0
    answer_ms: int = 0
    expires_ms: int = 0
    grace_ms: int = 0
    retry_ms: int = 0
    search_no: int = 0
    waiting_ms: int = 0
    """Since when it waits for a driver."""
    level: int = 0
    ladder: tuple[int, int, int] = (0, 0, 0)
    former: frozenset[str] = frozenset()
    attempts: int = 0
    ready: bool = False
    offers: bool = False
    escalation: bool = False
    reassignment: bool = False
    escalated: bool = False
    review: bool = False
    settled: bool = False
    awaited: str = ""
    remember_ms: int = 0
    forget_ms: int = 0

    @property
    def holder(self) -> str:
        """The driver who has it in hand; empty: nobody."""
        return self.driver if self.phase in (HOLDING, RETURNING) else ""

    def searches(self) -> None:
        """Nobody is asked or holds it any more."""
        self.phase, self.status = SEARCHING, "searching"
        self.offer = self.driver = ""
        self.retry_ms = self.grace_ms = self.progress = 0
        self.accepted = False

    def waits(self, since_ms: int) -> None:
        """The waiting for a driver begins anew."""
        self.phase, self.status = SEARCHING, "searching"
        self.waiting_ms, self.level, self.escalated = since_ms, 0, False

    def ends(self, status: str, at_ms: int) -> None:
        """For good."""
        self.phase, self.status = ENDED, status
        self.offer = self.driver = ""
        self.forget_ms = at_ms + self.remember_ms
        self.former = frozenset()

    def timers(self) -> list[Timer]:
        """All that are open."""
        match self.phase:
            case "searching":
                own = Timer("search_retry", self.retry_ms, str(self.search_no))
            case "reserving":
                own = Timer("reserve_timeout", self.answer_ms, self.offer)
            case "offered":
                own = Timer("offer_expiry", self.expires_ms, self.offer)
            case "held":
                return [Timer("grace", self.grace_ms, self.offer)] if self.grace_ms else []
            case "ended":
                return [Timer("forget", self.forget_ms)]
            case _:
                return []
        open_ = [own] if own.at_ms else []
        if self.escalation and self.level < LEVELS:
            level = self.level + 1
            open_.append(Timer("escalation", self.waiting_ms + self.ladder[level - 1], str(level)))
        return open_


def ends(event: Any) -> bool:
    """Whether the event ends its delivery."""
    return isinstance(event, dv.DeliveryCompleted | dv.DeliveryReturned | dv.DeliveryCancelled) or (
        isinstance(event, dv.DeliveryFailed) and not event.returning
    )
