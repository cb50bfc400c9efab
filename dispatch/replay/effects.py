"""What the events of many decisions amount to, in figures that people decide by: before and after."""

from collections.abc import Iterable
from typing import Any

from dispatch.contract.records import delivery_events as events

_COUNTED: dict[type, str] = {
    events.DriverCandidatesFound: "searches",
    events.NoDriverFound: "searches that find nobody",
    events.ReservationRequested: "drivers asked for",
    events.DriverOfferSent: "offers sent",
    events.OfferExpired: "offers that expire",
    events.DriverAssigned: "assignments",
    events.AssignmentReassigned: "reassignments",
    events.UnassignedEscalated: "escalations",
    events.ManualReviewRequired: "manual reviews",
    events.DeliveryCancelled: "cancellations",
}
REFUSED = "commands refused"
BY_SILENCE = "assignments by silence"
PROMISED, INCENTIVES, COMPENSATION = "drivers' pay promised", "of it incentives", "compensation to former drivers"
EXPECTED, SETTLED = "net expected", "net settled"
WAIT = "seconds until the next search, mean"
MONEY = (PROMISED, INCENTIVES, COMPENSATION, EXPECTED, SETTLED)
ORDER = (
    REFUSED, *_COUNTED.values(), BY_SILENCE, WAIT, *MONEY,
)  # fmt: skip


class Effects:
    """Counts and sums; money by currency."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], float] = {}
        self._waits = 0

    def add(self, outcome: str, made: Iterable[Any], wall_ms: int) -> None:
        """One decision's."""
        if outcome == "refused":
            self._plus(REFUSED, 1)
        currency = ""
        for event in made:
            if (name := _COUNTED.get(type(event))) is not None:
                self._plus(name, 1)
            match event:
                case events.DriverAssigned(terms=terms, how=how):
                    currency = terms.currency
                    self._plus(PROMISED, terms.earning_minor, currency)
                    self._plus(INCENTIVES, terms.incentive_minor, currency)
                    self._plus(BY_SILENCE, how == "auto")
                case events.NoDriverFound(retry_at_ms=retry_at_ms):
                    self._waits += 1
                    self._plus(WAIT, (retry_at_ms - wall_ms) / 1000)
                case events.AssignmentReassigned(compensation_minor=minor):
                    self._plus(COMPENSATION, minor)
                case events.DeliveryEconomicsEstimated(economics=money):
                    self._plus(EXPECTED, money.net_minor, money.currency)
                case events.DeliveryEconomicsSettled(economics=money):
                    self._plus(SETTLED, money.net_minor, money.currency)

    def figures(self) -> dict[str, float]:
        """By name, in a fixed order; money in whole units with its currency in the name."""
        found: dict[str, float] = {}
        for name in ORDER:
            for (known, currency), value in sorted(self._sums.items()):
                if known != name:
                    continue
                if name == WAIT:
                    found[name] = round(value / max(1, self._waits), 1)
                elif name in MONEY:
                    found[f"{name}, {currency}" if currency else name] = round(value / 100, 2)
                else:
                    found[name] = round(value)
        return found

    def _plus(self, name: str, value: float, currency: str = "") -> None:
        key = (name, currency)
        self._sums[key] = self._sums.get(key, 0) + value
