"""What is seen of a run while it goes on: folded from the delivery events alone, as any consumer could."""

from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from dispatch.contract.records import delivery_events as events

_LAST = 8
_STATUS: dict[type, str] = {
    events.DeliveryCreated: "created",
    events.AssignmentStarted: "searching",
    events.DriverOfferSent: "offered",
    events.DriverAssigned: "assigned",
    events.PickupStarted: "enroute_to_pickup",
    events.ArrivedAtPickup: "arrived_at_pickup",
    events.PickupCompleted: "picked_up",
    events.DeliveryStarted: "enroute_to_dropoff",
    events.ArrivedAtDropoff: "arrived_at_dropoff",
    events.DeliveryCompleted: "delivered",
    events.DeliveryCancelled: "cancelled",
    events.DeliveryReturned: "returned",
    events.DeliveryFailed: "failed",
    events.NoDriverFound: "searching",
    events.DriverRejected: "searching",
    events.OfferWithdrawn: "searching",
    events.ReservationFailed: "searching",
    events.AssignmentReassigned: "searching",
}
_OFFERS: dict[type, str] = {
    events.DriverOfferSent: "sent",
    events.DriverAccepted: "accepted",
    events.DriverRejected: "refused",
    events.OfferExpired: "expired",
    events.OfferWithdrawn: "withdrawn",
}
ENDED = ("delivered", "cancelled", "returned", "failed")


class Tally:
    """Everything that the view shows, folded event by event."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.needs_people: set[str] = set()
        self.offers: Counter[str] = Counter()
        self.reassigned = 0
        self.escalated: Counter[int] = Counter()
        self.events = 0
        self.ready_to_offer_ms: list[int] = []
        self._ready_at: dict[str, int] = {}
        self._last: deque[tuple[int, str, str, str]] = deque(maxlen=_LAST)

    def take(self, event: Any) -> None:
        """Folds one event."""
        self.events += 1
        name, kind = event.delivery_id, type(event)
        if status := _STATUS.get(kind):
            self.status[name] = status
        if offer := _OFFERS.get(kind):
            self.offers[offer] += 1
        match event:
            case events.AssignmentStarted():
                self._ready_at[name] = event.at_ms
            case events.DriverOfferSent() if name in self._ready_at:
                self.ready_to_offer_ms.append(event.at_ms - self._ready_at.pop(name))
            case events.AssignmentReassigned():
                self.reassigned += 1
            case events.UnassignedEscalated():
                self.escalated[event.level] += 1
                self.needs_people.add(name)
            case events.ManualReviewRequired():
                self.needs_people.add(name)
            case events.DriverAssigned():
                self.needs_people.discard(name)
        self._last.append((event.at_ms, name[:8], kind.__name__, getattr(event, "driver_id", "")))

    def settled(self) -> int:
        """Deliveries that ended, or that people look at."""
        return sum(1 for name, status in self.status.items() if status in ENDED or name in self.needs_people)

    def percentile_ms(self, share: float) -> int:
        """Of ready -> offer."""
        ordered = sorted(self.ready_to_offer_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0

    def render(self, seconds: float, sent: int, wanted: int) -> RenderableType:
        """The screen."""
        counts = Counter(self.status.values())
        by_status = Table("status", "deliveries", box=None)
        for status in dict.fromkeys(_STATUS.values()):
            if counts[status]:
                by_status.add_row(status, str(counts[status]))
        offers = Table("offers", "", box=None)
        for word in _OFFERS.values():
            offers.add_row(word, str(self.offers[word]))
        offers.add_row("reassigned", str(self.reassigned))
        offers.add_row("escalated", str(sum(self.escalated.values())))
        figures = Table("figure", "", box=None)
        figures.add_row("orders sent", f"{sent} of {wanted}")
        figures.add_row("ended or with people", str(self.settled()))
        figures.add_row("events", f"{self.events} ({self.events / max(seconds, 1):.0f}/s)")
        figures.add_row("ready to offer p50", f"{self.percentile_ms(0.5)} ms")
        figures.add_row("ready to offer p99", f"{self.percentile_ms(0.99)} ms")
        last = Table(box=None, show_header=False)
        for at_ms, name, kind, driver_id in self._last:
            moment = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
            last.add_row(moment, name, kind, driver_id)
        return Group(Columns([figures, by_status, offers], padding=(0, 4)), Panel(last, title="last events"))
