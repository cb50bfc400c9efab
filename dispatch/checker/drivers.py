"""Drivers as the checker knows them: who holds them, whether they work, and the rules that their events can break."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dispatch.checker import timers
from dispatch.checker.matching import Messages
from dispatch.checker.report import NOWHERE, Findings, Place
from dispatch.checker.timers import Timer
from dispatch.contract import identity
from dispatch.contract.records import driver_events as dr


@dataclass(slots=True)
class Driver:
    """What is known of one driver. Times are UTC ms, and 0: none."""

    place: Place = NOWHERE
    version: int = 0
    now_ms: int = 0
    cause: str = ""
    word_before: str = "OFFLINE"
    """The availability before the present decision."""
    known: bool = False
    fence: int = 0
    capacity: int = 1
    holds: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Delivery by offer, and whether it is confirmed."""
    duty: str = "working"
    paused: bool = False
    offline: bool = True
    plain: bool = False
    stops: bool = False
    """A break or the end of the shift was asked for, and waits for the delivery in hand."""
    break_until_ms: int = 0
    notice_ms: int = 0
    offline_ms: int = 0

    @property
    def word(self) -> str:
        """The availability in public."""
        rests = self.paused or self.duty != "working"
        if (self.plain and rests) or (self.offline and not self.paused):
            return "OFFLINE"
        if self.paused:
            return "PAUSED"
        if rests:
            return "ON_BREAK" if self.duty == "break" else "SHIFT_ENDED"
        return "BUSY" if any(confirmed for _, confirmed in self.holds.values()) else "AVAILABLE"

    @property
    def takes_offers(self) -> bool:
        """Whether they may be reserved, if there is room."""
        return self.known and self.word in ("AVAILABLE", "BUSY") and not self.stops

    def timers(self) -> list[Timer]:
        """All that are open."""
        open_: list[Timer] = []
        if self.plain and (self.paused or self.duty != "working"):
            return open_
        if self.duty == "break":
            open_.append(Timer("break_end", self.break_until_ms))
            if self.notice_ms:
                open_.append(Timer("break_notice", self.notice_ms))
        if self.known and not self.offline and self.duty != "ended":
            open_.append(Timer("offline_check", self.offline_ms))
        return open_


class Drivers:
    """Takes the events of all drivers, each driver's in order."""

    def __init__(self, findings: Findings, messages: Messages) -> None:
        self.known: dict[str, Driver] = {}
        self.granted: dict[str, int] = {}
        """The fence by offer, of every grant ever; a denied one: 0."""
        self._findings, self._messages = findings, messages

    def take(self, event: Any, place: Place) -> None:
        """One event."""
        name = event.driver_id
        known = self.known.get(name)
        if known is None:
            known = self.known[name] = Driver()
        known.place = place
        if event.version != known.version + 1:
            self._findings.add(5, place, f"{name}: version {event.version} after {known.version}")
        if event.at_ms < known.now_ms:
            early_ms = known.now_ms - event.at_ms
            self._findings.add(12, place, f"{name}: {type(event).__name__} is {early_ms} ms before the last")
        if event.causation_id != known.cause:
            known.word_before = known.word
            if event.actor_id == timers.ACTOR:
                timers.fired(known, name, event, place, self._findings)
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, known, event, place)
        known.version, known.now_ms, known.cause = event.version, event.at_ms, event.causation_id

    def _signed_on(self, known: Driver, event: dr.DriverSignedOn, _place: Place) -> None:
        known.known, known.capacity, known.offline_ms = True, event.capacity, event.offline_at_ms

    def _reserved(self, known: Driver, event: dr.DriverReserved, place: Place) -> None:
        name = event.driver_id
        if event.fence <= known.fence:
            self._findings.add(4, place, f"{name}: fence {event.fence} after {known.fence}")
        if not known.takes_offers:
            self._findings.add(19, place, f"{name} is reserved and {'is ' + known.word if known.known else 'unknown'}")
        if event.offer_id in known.holds:
            self._findings.add(10, place, f"{name} is reserved for {event.offer_id} twice")
        known.fence = event.fence
        known.holds[event.offer_id] = (event.delivery_id, False)
        if len(known.holds) > known.capacity:
            self._findings.add(1, place, f"{name} holds {len(known.holds)}, capacity {known.capacity}")
        self.granted[event.offer_id] = event.fence
        self._answer(event, "granted", place)

    def _denied(self, known: Driver, event: dr.DriverReservationDenied, place: Place) -> None:
        free = known.takes_offers and len(known.holds) < known.capacity and event.offer_id not in known.holds
        if free:
            held = len(known.holds)
            self._findings.add(
                10, place, f"{event.driver_id} says {event.why}, works and holds {held}, capacity {known.capacity}"
            )
        if event.offer_id not in known.holds:
            self.granted[event.offer_id] = 0
        self._answer(event, "denied", place)

    def _confirmed(self, known: Driver, event: dr.DriverReservationConfirmed, place: Place) -> None:
        if event.offer_id not in known.holds:
            self._findings.add(3, place, f"{event.driver_id} confirms {event.offer_id}, which is not reserved")
        elif self.granted.get(event.offer_id) != event.fence:
            self._findings.add(4, place, f"{event.driver_id} confirms {event.offer_id} with fence {event.fence}")
        known.holds[event.offer_id] = (event.delivery_id, True)

    def _released(self, known: Driver, event: dr.DriverReservationReleased, place: Place) -> None:
        if known.holds.pop(event.offer_id, None) is None:
            self._findings.add(10, place, f"{event.driver_id} releases {event.offer_id}, which is not held")

    def _changed(self, known: Driver, event: dr.DriverAvailabilityChanged, place: Place) -> None:
        name, said, was_offline, duty = event.driver_id, event.from_availability, known.offline, known.duty
        if said not in (known.word, known.word_before):
            self._findings.add(20, place, f"{name} is said to have been {said}, and was {known.word}")
        if event.duty != "break":
            known.break_until_ms = known.notice_ms = 0
        elif duty != "break":
            known.break_until_ms, known.notice_ms = event.until_ms or 0, event.notice_at_ms or 0
        known.duty, known.paused, known.offline, known.plain = event.duty, event.paused, event.offline, event.plain
        known.stops = event.pending_end or event.pending_break_ms > 0
        if event.to_availability != known.word:
            self._findings.add(20, place, f"{name} is said to be {event.to_availability}, and is {known.word}")
        if event.offline and not was_offline:
            self._lost(known, event, "offline", place)
        if was_offline and not event.offline:
            self._lost(known, event, "back", place)
        if duty == "working" and event.duty != "working":
            self._lost(known, event, "break_started" if event.duty == "break" else "shift_ended", place)

    def _paused(self, known: Driver, event: dr.DriverPauseRecorded, place: Place) -> None:
        self._lost(known, event, "paused_reassign" if event.held == "reassign" else "paused_keep", place)

    def _break_asked(self, known: Driver, event: dr.DriverBreakRequested, place: Place) -> None:
        known.stops = True
        self._lost(known, event, "break_started", place)

    def _end_asked(self, known: Driver, event: dr.DriverShiftEndRequested, place: Place) -> None:
        known.stops = True
        if not event.after_delivery:
            self._lost(known, event, "shift_ended", place)

    def _extended(self, known: Driver, event: dr.DriverBreakExtended, _place: Place) -> None:
        known.break_until_ms, known.notice_ms = event.until_ms, event.notice_at_ms or 0

    def _noticed(self, known: Driver, _event: dr.DriverBreakNoticed, _place: Place) -> None:
        known.notice_ms = 0

    def _seen(self, known: Driver, event: dr.DriverSeen, _place: Place) -> None:
        known.offline_ms = event.offline_at_ms

    def _answer(self, event: Any, word: str, place: Place) -> None:
        pair = (event.driver_id, event.delivery_id)
        self._messages.expect(pair, identity.command_id(event.event_id, word), place)

    def _lost(self, known: Driver, event: Any, why: str, place: Place) -> None:
        """Every delivery that reserved or holds the driver must hear of it."""
        for offer, (delivery, _) in known.holds.items():
            command_id = identity.command_id(event.event_id, f"{why} {offer}")
            self._messages.expect((event.driver_id, delivery), command_id, place)


_HANDLERS: dict[type[Any], Callable[[Drivers, Driver, Any, Place], None]] = {
    dr.DriverSignedOn: Drivers._signed_on,
    dr.DriverReserved: Drivers._reserved,
    dr.DriverReservationDenied: Drivers._denied,
    dr.DriverReservationConfirmed: Drivers._confirmed,
    dr.DriverReservationReleased: Drivers._released,
    dr.DriverAvailabilityChanged: Drivers._changed,
    dr.DriverPauseRecorded: Drivers._paused,
    dr.DriverBreakRequested: Drivers._break_asked,
    dr.DriverShiftEndRequested: Drivers._end_asked,
    dr.DriverBreakExtended: Drivers._extended,
    dr.DriverBreakNoticed: Drivers._noticed,
    dr.DriverSeen: Drivers._seen,
}
