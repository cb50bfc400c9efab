"""How each delivery stands, from its events alone: what must come to an end when all is calm."""

from typing import Any

from dispatch.contract import topics
from dispatch.contract.records import delivery_events as dv
from dispatch.simulation.town import Town, said

_ENDS = (dv.DeliveryCompleted, dv.DeliveryReturned, dv.DeliveryCancelled)
_LETS_GO = (dv.DriverRejected, dv.OfferWithdrawn, dv.AssignmentReassigned, dv.ReservationFailed)


class _Delivery:
    __slots__ = ("escalates", "is_ready", "is_seen", "phase")

    def __init__(self) -> None:
        self.phase = "known"
        self.is_ready = self.is_seen = False
        self.escalates = True


class Progress:
    """All deliveries."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._deliveries: dict[str, _Delivery] = {}
        town.hear(topics.DELIVERY_EVENTS, self._take)
        town.hear(topics.DRIVER_EVENTS, self._tell)

    def open(self) -> list[str]:
        """Deliveries that neither ended nor wait where people look after them."""
        return [
            name for name, known in self._deliveries.items()
            if known.is_ready and known.phase != "ended"
            and not (known.phase == "searching" and (known.is_seen or not known.escalates))
        ]  # fmt: skip

    def _tell(self, event: Any) -> None:
        self._town.story.tell("log", lambda: f"{event.version:>3} {said(event)}")

    def _take(self, event: Any) -> None:
        self._tell(event)
        known = self._deliveries.setdefault(event.delivery_id, _Delivery())
        match event:
            case dv.AssignmentStarted(escalation=escalation):
                known.phase, known.is_ready, known.escalates = "searching", True, escalation
            case dv.ReservationRequested():
                known.phase = "asked"
            case dv.DriverAssigned():
                known.phase, known.is_seen = "held", False
            case dv.UnassignedEscalated() | dv.ManualReviewRequired():
                known.is_seen = True
            case dv.ManualReviewEnded():  # whoever waits anew is escalated anew
                known.is_seen = False
            case dv.OfferExpired(auto_assigned=False):
                known.phase = "searching"
        if isinstance(event, _LETS_GO):
            known.phase = "searching"
        if isinstance(event, _ENDS) or (isinstance(event, dv.DeliveryFailed) and not event.returning):
            known.phase = "ended"
