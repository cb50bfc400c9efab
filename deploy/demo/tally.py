"""What is known of a run while it goes on: folded from events, zone health and prices alone, as any consumer could."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Eta, OfferTerms
from dispatch.contract.records.system import ZoneHealth, ZonePrice, ZonePublished

LAST = 3
SOON_S = 300.0
"""An arrival so near to the one promised was promised well."""
STATUS: dict[type, str] = {
    events.DeliveryCreated: "created",
    events.AssignmentStarted: "searching",
    events.DriverOfferSent: "offered",
    events.DriverAssigned: "assigned",
    events.PickupStarted: "to the store",
    events.ArrivedAtPickup: "to the store",
    events.PickupCompleted: "to the customer",
    events.DeliveryStarted: "to the customer",
    events.ArrivedAtDropoff: "to the customer",
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
OFFERS: dict[type, str] = {
    events.DriverOfferSent: "sent",
    events.DriverAccepted: "accepted",
    events.DriverRejected: "refused",
    events.OfferExpired: "expired",
    events.OfferWithdrawn: "withdrawn",
}
ENDED = ("delivered", "cancelled", "returned", "failed")


@dataclass(slots=True)
class Money:
    """Of what is settled, minor units of one currency."""

    settled: int = 0
    driver_pay_minor: int = 0
    cost_minor: int = 0
    revenue_minor: int = 0
    net_minor: int = 0
    currency: str = ""


@dataclass(slots=True)
class Promise:
    """When a delivery was promised, as the driver took it."""

    at_ms: int
    band: tuple[int, int] | None


@dataclass(slots=True)
class Promises:
    """How the promises were kept."""

    ended: int = 0
    soon: int = 0
    with_band: int = 0
    in_band: int = 0


@dataclass(slots=True)
class Zone:
    """A zone as last heard of."""

    name: str = ""
    health: ZoneHealth | None = None
    price_percent: int = 100


@dataclass
class Tally:
    """Everything that the view shows, folded record by record. `speed`: the city lives so many times as fast."""

    speed: float = 1.0
    status: dict[str, str] = field(default_factory=dict)
    needs_people: set[str] = field(default_factory=set)
    offers: Counter[str] = field(default_factory=Counter)
    reassigned: int = 0
    eta_changes: int = 0
    escalated: Counter[int] = field(default_factory=Counter)
    event_count: int = 0
    ready_to_offer_ms: list[int] = field(default_factory=list)
    money: Money = field(default_factory=Money)
    promises: Promises = field(default_factory=Promises)
    zones: dict[str, Zone] = field(default_factory=dict)
    last: deque[tuple[int, str, str, str]] = field(default_factory=lambda: deque(maxlen=LAST))
    _ready_at: dict[str, int] = field(default_factory=dict)
    _promised: dict[str, Promise] = field(default_factory=dict)

    def take(self, record: Any) -> None:
        """Folds one record of `delivery.events`, `zones`, `zone.health` or `prices`; others are passed over."""
        match record:
            case ZonePublished():
                self._zone(record.zone_id).name = record.name
            case ZoneHealth():
                self._zone(record.zone).health = record
            case ZonePrice():
                self._zone(record.zone).price_percent = record.multiplier_percent
            case _ if hasattr(record, "delivery_id") and hasattr(record, "event_id"):
                self._event(record)

    def settled(self) -> int:
        """Deliveries that ended, or that people look at."""
        return sum(1 for name, status in self.status.items() if status in ENDED or name in self.needs_people)

    def percentile_ms(self, share: float) -> int:
        """Of ready -> offer."""
        ordered = sorted(self.ready_to_offer_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0

    def _zone(self, zone_id: str) -> Zone:
        return self.zones.setdefault(zone_id, Zone(zone_id))

    def _event(self, event: Any) -> None:
        self.event_count += 1
        name, kind = event.delivery_id, type(event)
        if status := STATUS.get(kind):
            self.status[name] = status
        if offer := OFFERS.get(kind):
            self.offers[offer] += 1
        match event:
            case events.AssignmentStarted():
                self._ready_at[name] = event.at_ms
            case events.DriverOfferSent() if name in self._ready_at:
                self.ready_to_offer_ms.append(max(0, event.sent_at_ms - self._ready_at.pop(name)))
            case events.AssignmentReassigned():
                self.reassigned += 1
                self._promised.pop(name, None)
            case events.UnassignedEscalated():
                self.escalated[event.level] += 1
                self.needs_people.add(name)
            case events.ManualReviewRequired():
                self.needs_people.add(name)
            case events.DriverAssigned():
                self.needs_people.discard(name)
                if isinstance(event.terms, OfferTerms):
                    self._promised[name] = _promise(event.terms)
            case events.EtaChanged():
                self.eta_changes += 1
            case events.DeliveryEconomicsSettled():
                self._settle(event)
            case events.DeliveryCompleted() if name in self._promised:
                self._kept(self._promised.pop(name), event.at_ms)
        self.last.append((event.at_ms, name[:8], kind.__name__, getattr(event, "driver_id", "")))

    def _settle(self, event: events.DeliveryEconomicsSettled) -> None:
        money, settled = self.money, event.economics
        money.settled += 1
        money.currency = settled.currency
        money.driver_pay_minor += settled.driver_pay_minor + settled.compensation_minor
        money.cost_minor += settled.cost_minor
        money.revenue_minor += settled.revenue_minor
        money.net_minor += settled.net_minor

    def _kept(self, promise: Promise, at_ms: int) -> None:
        kept = self.promises
        kept.ended += 1
        kept.soon += abs(at_ms - promise.at_ms) <= SOON_S * 1000 / self.speed
        if promise.band is not None:
            kept.with_band += 1
            kept.in_band += promise.band[0] <= at_ms <= promise.band[1]


def _promise(terms: OfferTerms) -> Promise:
    eta: Eta | None = terms.eta
    if eta is None:
        return Promise(terms.delivery_eta_ms, None)
    return Promise(eta.delivery.p50_ms, (eta.delivery.p10_ms, eta.delivery.p90_ms))
