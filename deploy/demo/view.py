"""What is seen of a run while it goes on: folded from the delivery events alone, as any consumer could."""

from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from dispatch.contract.records import delivery_events as events

_LAST = 6
_DRIVER = 24
_LONGEST_NAME = max(len(name) for name, kind in vars(events).items() if isinstance(kind, type))
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
        driver = getattr(event, "driver_id", "")
        short = driver if len(driver) <= _DRIVER else f"{driver[: _DRIVER - 1]}…"
        self._last.append((event.at_ms, name[:8], kind.__name__, short))

    def settled(self) -> int:
        """Deliveries that ended, or that people look at."""
        return sum(1 for name, status in self.status.items() if status in ENDED or name in self.needs_people)

    def percentile_ms(self, share: float) -> int:
        """Of ready -> offer."""
        ordered = sorted(self.ready_to_offer_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0

    def render(self, seconds: float, sent: int, wanted: int) -> RenderableType:
        """The screen: 80 columns and 24 rows are enough, and its height stays as it is."""
        sides = Table.grid(padding=(0, 8))
        sides.add_row(self._figures(seconds, sent, wanted), self._by_status())
        last = Table(box=None, show_header=False)
        for width in (12, 8, _LONGEST_NAME, _DRIVER):
            last.add_column(no_wrap=True, min_width=width)
        rows = [
            (datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3], *more)
            for at_ms, *more in self._last
        ]
        for row in rows + [("", "", "", "")] * (_LAST - len(rows)):
            last.add_row(*row)
        return Group(sides, Panel(last, title="last events (UTC)", title_align="left"))

    def _figures(self, seconds: float, sent: int, wanted: int) -> Table:
        table = _table("so far", "")
        table.add_row(f"orders sent, of {wanted:,}", f"{sent:,}")
        table.add_row("ended or with people", f"{self.settled():,}")
        table.add_row("events", f"{self.events:,}")
        table.add_row("events a second", f"{self.events / max(seconds, 1):,.0f}")
        table.add_row("ready to offer p50, ms", f"{self.percentile_ms(0.5):,}")
        table.add_row("ready to offer p99, ms", f"{self.percentile_ms(0.99):,}")
        for word in _OFFERS.values():
            table.add_row(f"offers {word}", f"{self.offers[word]:,}")
        table.add_row("reassigned", f"{self.reassigned:,}")
        table.add_row("escalated", f"{self.escalated.total():,}")
        return table

    def _by_status(self) -> Table:
        counts = Counter(self.status.values())
        table = _table("status", "deliveries")
        for status in dict.fromkeys(_STATUS.values()):
            table.add_row(status, f"{counts[status]:,}", style="" if counts[status] else "dim")
        return table


def _table(words: str, figures: str) -> Table:
    """Words to the left, figures to the right."""
    table = Table(box=None, pad_edge=False)
    table.add_column(words, no_wrap=True, min_width=22)
    table.add_column(figures, no_wrap=True, min_width=9, justify="right")
    return table
