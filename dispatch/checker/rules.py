"""The rules, each by its own bookkeeping over events, commands and decisions as they stand in the log."""

from dataclasses import dataclass, field
from typing import Any

from dispatch.checker.report import Report, Violation
from dispatch.contract.records import delivery_events as dv
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.system import Decision

_TERMINAL = (dv.DeliveryCompleted, dv.DeliveryReturned, dv.DeliveryCancelled)
_LETS_GO = (dv.DriverRejected, dv.OfferWithdrawn, dv.AssignmentReassigned, dv.ReservationFailed)


@dataclass(slots=True)
class _Delivery:
    version: int = 0
    ended: str = ""
    asked: str = ""
    holder: tuple[str, str] | None = None
    escalated: bool = False
    review: bool = False
    ready: bool = False


@dataclass(slots=True)
class _Driver:
    version: int = 0
    fence: int = 0
    capacity: int = 0
    holds: dict[str, tuple[str, bool]] = field(default_factory=dict)


class Checker:
    """Takes records in the order of each topic's partition; `finish` gives the report."""

    def __init__(self) -> None:
        self._deliveries: dict[str, _Delivery] = {}
        self._drivers: dict[str, _Driver] = {}
        self._decided: dict[str, str] = {}
        self._commands: dict[str, str] = {}
        self._causes: dict[str, str] = {}
        self._requested: dict[str, str] = {}
        self._answered: set[str] = set()
        self._lettered: set[tuple[str, int, int]] = set()
        self._report = Report()
        self._counted: dict[str, int] = {"delivery events": 0, "driver events": 0, "decisions": 0, "commands": 0}

    def delivery_event(self, event: Any, place: str) -> None:
        """One event of a delivery."""
        self._counted["delivery events"] += 1
        known = self._deliveries.setdefault(event.delivery_id, _Delivery())
        self._version(known, event, place, event.delivery_id)
        self._causes.setdefault(event.causation_id, place)
        if known.ended:
            self._broken(6, place, f"{type(event).__name__} after {known.ended} of {event.delivery_id}")
        match event:
            case dv.AssignmentStarted(escalation=escalation):
                known.ready = escalation  # with the flag off nobody promised that it is escalated
            case dv.ReservationRequested():
                if known.asked or known.holder:
                    self._broken(2, place, f"{event.delivery_id} asks for {event.driver_id} while it has a driver")
                known.asked = event.offer_id
                self._requested[event.offer_id] = place
            case dv.DriverAssigned():
                if known.holder is not None:
                    self._broken(2, place, f"{event.delivery_id} is held by {known.holder[1]} and {event.driver_id}")
                known.asked, known.holder = "", (event.offer_id, event.driver_id)
                known.escalated = known.review = False
            case dv.OfferExpired(auto_assigned=False):
                known.asked = ""
            case dv.UnassignedEscalated():
                known.escalated = True
            case dv.ManualReviewRequired():
                known.review = True
            case dv.ManualReviewEnded():
                known.review = False
        if isinstance(event, _LETS_GO):
            known.asked, known.holder = "", None
        if isinstance(event, _TERMINAL) or (isinstance(event, dv.DeliveryFailed) and not event.returning):
            known.ended, known.asked, known.holder = type(event).__name__, "", None

    def driver_event(self, event: Any, place: str) -> None:
        """One event of a driver."""
        self._counted["driver events"] += 1
        known = self._drivers.setdefault(event.driver_id, _Driver())
        self._version(known, event, place, event.driver_id)
        self._causes.setdefault(event.causation_id, place)
        match event:
            case dr.DriverSignedOn():
                known.capacity = max(event.capacity, len(known.holds))
            case dr.DriverReserved():
                if event.fence <= known.fence:
                    self._broken(4, place, f"{event.driver_id}: fence {event.fence} after {known.fence}")
                known.fence = event.fence
                known.holds[event.offer_id] = (event.delivery_id, False)
                self._answered.add(event.offer_id)
                if len(known.holds) > known.capacity:
                    held = len(known.holds)
                    self._broken(1, place, f"{event.driver_id} holds {held}, capacity {known.capacity}")
            case dr.DriverReservationDenied():
                self._answered.add(event.offer_id)
            case dr.DriverReservationConfirmed():
                if event.offer_id not in known.holds:
                    self._broken(3, place, f"{event.driver_id} confirms {event.offer_id}, which is not reserved")
                known.holds[event.offer_id] = (event.delivery_id, True)
            case dr.DriverReservationReleased():
                if known.holds.pop(event.offer_id, None) is None:
                    self._broken(10, place, f"{event.driver_id} releases {event.offer_id}, which is not held")

    def decision(self, decision: Decision, place: str, is_timer: bool) -> None:
        """One decision: a command has one, and a timer has effect in one.

        A repeat that comes so late that the aggregate remembers the command no more is decided again, as a duplicate
        without events; that harms nobody.
        """
        self._counted["decisions"] += 1
        late_repeat = decision.outcome == "duplicate" and not decision.events
        if decision.command_id in self._decided:
            if not is_timer and not late_repeat:
                self._broken(
                    7,
                    place,
                    f"command {decision.command_id} was decided before at {self._decided[decision.command_id]}",
                )
            elif decision.events:
                self._broken(11, place, f"timer {decision.command_id} had effect before")
        if not is_timer or decision.events:
            self._decided[decision.command_id] = place

    def command(self, command_id: str, place: str) -> None:
        """One record of a command topic."""
        self._counted["commands"] += 1
        self._commands.setdefault(command_id, place)

    def dead_letter(self, source: tuple[str, int, int]) -> None:
        """A record that was set aside."""
        self._lettered.add(source)

    def is_dead_letter(self, source: tuple[str, int, int]) -> bool:
        """Whether a record was set aside."""
        return source in self._lettered

    def unreadable(self, source: tuple[str, int, int]) -> None:
        """A record that cannot be read: it must be a dead letter."""
        if source not in self._lettered:
            self._broken(13, f"{source[0]}/{source[1]}/{source[2]}", "cannot be read and is no dead letter")

    def finish(self, *, quiescent: bool) -> Report:
        """What only the whole log shows. Quiescent: nothing is under way; every order has ended or is escalated."""
        for command_id, place in self._causes.items():
            if command_id not in self._decided:
                self._broken(12, place, f"its cause {command_id} was never decided")
        if quiescent:
            for command_id, place in self._commands.items():
                if command_id not in self._decided:
                    self._broken(13, place, f"command {command_id} was not decided")
            self._agreement()
        self._counted["deliveries"] = len(self._deliveries)
        self._counted["drivers"] = len(self._drivers)
        self._report.counts = self._counted
        return self._report

    def _agreement(self) -> None:
        held = {offer: (name, driver_id) for driver_id, driver in self._drivers.items()
                for offer, (name, confirmed) in driver.holds.items() if confirmed}  # fmt: skip
        for name, delivery in self._deliveries.items():
            if delivery.holder and held.get(delivery.holder[0]) != (name, delivery.holder[1]):
                self._broken(3, name, f"believes that {delivery.holder[1]} holds it, who does not")
            if delivery.ready and not (delivery.ended or delivery.escalated or delivery.review):
                self._broken(9, name, "neither ended nor escalated")
        for driver_id, driver in self._drivers.items():
            for offer, (name, confirmed) in driver.holds.items():
                delivery = self._deliveries.get(name, _Delivery())
                current = (delivery.holder and delivery.holder[0]) if confirmed else delivery.asked
                if current != offer:
                    self._broken(10, driver_id, f"still holds {offer} of {name}, which let go")
        for offer, place in self._requested.items():
            if offer not in self._answered:
                self._broken(10, place, f"reservation {offer} was neither granted nor refused")

    def _version(self, known: _Delivery | _Driver, event: Any, place: str, name: str) -> None:
        if event.version != known.version + 1:
            self._broken(5, place, f"{name}: version {event.version} after {known.version}")
        known.version = event.version

    def _broken(self, rule: int, place: str, sentence: str) -> None:
        self._report.violations.append(Violation(rule, place, sentence))
