"""Who took part in a stretch of the log: orders and what was said of them, drivers, their answers, how they carried.

For `whatif`: what people did is taken from the record where the record has it, and drawn from their habits where not.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.core.delivery.states import STEPS
from dispatch.core.driver.states import availability
from dispatch.core.policy import Flags
from dispatch.replay.walking import Step

FROM_SELLERS = (dc.PlaceOrder, dc.MarkReady, dc.ChangePrepTime, dc.CancelDelivery)
BY_HAND = (dc.AssignDriver, dc.ReassignDelivery, dc.EscalateDelivery)
OF_DRIVERS = (
    vc.SignOn, vc.StartShift, vc.ResumeWork, vc.EndShift, vc.TakeBreak, vc.ExtendBreak, vc.PauseDriver,
    vc.UnpauseDriver, vc.SeenAlive,
)  # fmt: skip
_BUCKETS = 10_000


class Said(NamedTuple):
    """A command from outside, and when."""

    at_ms: int
    command: Any


class Answer(NamedTuple):
    """What a driver did with an offer: accept, reject or silence, after so long."""

    word: str
    after_ms: int
    command: Any = None


class Place(NamedTuple):
    """Where a driver was seen."""

    at_ms: int
    driver_id: str
    lat: float
    lng: float


@dataclass(slots=True)
class Cast:
    """All of a stretch."""

    from_ms: int
    orders: set[str] = field(default_factory=set)
    sellers: list[Said] = field(default_factory=list)
    drivers: list[Said] = field(default_factory=list)
    present: dict[str, vc.SignOn] = field(default_factory=dict)
    """Drivers who were working at the beginning, with how they had signed on."""
    places: list[Place] = field(default_factory=list)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    by_driver: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    steps: dict[tuple[str, str], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Delivery and driver: after how many ms since the assignment each step was told."""
    events: list[Any] = field(default_factory=list)
    """Of the deliveries that are looked at, as the log has them."""
    by_hand: int = 0
    """Interventions by admins, which are left out."""
    flags: Flags = field(default_factory=Flags)
    policy_version: int = 0
    policy_zone: str = ""
    last_ms: int = 0

    def answer(self, delivery_id: str, driver_id: str) -> tuple[Answer, bool]:
        """What this driver does with an offer of this delivery, and whether that is on record."""
        if (known := self.answers.get((delivery_id, driver_id))) is not None:
            return known, True
        every = self.by_driver.get(driver_id) or [one for answers in self.by_driver.values() for one in answers]
        if not every:
            return Answer("accept", 5_000), False
        return every[_drawn(f"answer {delivery_id} {driver_id}") % len(every)]._replace(command=None), False

    def carried(self, delivery_id: str, driver_id: str) -> tuple[dict[str, int], bool]:
        """After how long each step is told, and whether that is on record."""
        if known := self.steps.get((delivery_id, driver_id)):
            return known, True
        others = [told for (name, _), told in self.steps.items() if name == delivery_id and STEPS[-1] in told]
        if others:
            return others[-1], False
        typical: dict[str, int] = {}
        for step in STEPS:
            seen = [told[step] for told in self.steps.values() if step in told]
            if seen:
                typical[step] = round(median(seen))
        return typical or {str(step): 60_000 * (place + 1) for place, step in enumerate(STEPS)}, False


def cast(steps: Iterable[Step], from_ms: int, most: int = 0) -> Cast:
    """From the decisions of a log: who was there before the moment, and took part from then on. 0: its beginning."""
    found, people, first_ms = Cast(from_ms), _People(), 0
    for step in steps:
        one, now_ms = step.one, step.one.decision.now_ms
        first_ms, found.last_ms = min(first_ms or now_ms, now_ms), max(found.last_ms, now_ms)
        if one.decision.aggregate == "driver":
            people.take(found, step)
            continue
        name, command = one.decision.aggregate_id, one.command
        if isinstance(command, FROM_SELLERS) and now_ms >= from_ms:
            begins = getattr(step.before, "version", 0) == 0 and (not most or len(found.orders) < most)
            if begins and one.decision.outcome == "accepted":
                found.orders.add(name)
                found.flags = one.facts.flags
                found.policy_version, found.policy_zone = one.decision.policy_version, one.decision.policy_zone
            if name in found.orders:
                found.sellers.append(Said(now_ms, command))
        if name in found.orders:
            found.by_hand += isinstance(command, BY_HAND)
            found.events += step.events
            _learn(found, step)
    found.from_ms = from_ms or first_ms
    return found


class _People:
    """Who is working, as the log goes on."""

    def take(self, found: Cast, step: Step) -> None:
        """A driver's decision."""
        one, name = step.one, step.one.decision.aggregate_id
        if not isinstance(one.command, OF_DRIVERS):
            return
        if one.decision.now_ms >= found.from_ms:
            found.drivers.append(Said(one.decision.now_ms, one.command))
            return
        if isinstance(one.command, vc.SignOn):
            found.present[name] = one.command
        elif one.command.actor_type == "driver" and name in found.present:
            state = step.before
            resting = isinstance(one.command, vc.EndShift | vc.TakeBreak)
            if resting or (availability(state) == "OFFLINE" and not isinstance(one.command, vc.SeenAlive)):
                found.present.pop(name)


def _learn(found: Cast, step: Step) -> None:
    """How drivers answer and carry."""
    one, name = step.one, step.one.decision.aggregate_id
    if one.facts.search is not None:
        found.places += [
            Place(one.decision.now_ms, seen.driver_id, seen.lat, seen.lng) for seen in one.facts.search.drivers
        ]
    for event in step.events:
        match event:
            case de.DriverAccepted(driver_id=driver_id, response_ms=after_ms):
                _answered(found, name, driver_id, Answer("accept", after_ms))
            case de.DriverRejected(driver_id=driver_id, response_ms=after_ms):
                _answered(found, name, driver_id, Answer("reject", after_ms, one.command))
            case de.OfferExpired(driver_id=driver_id):
                _answered(found, name, driver_id, Answer("silence", 0))
            case de.DriverAssigned(driver_id=driver_id, at_ms=at_ms):
                found.steps[name, driver_id] = {"": at_ms}
    command = one.command
    if isinstance(command, dc.ReportProgress) and one.decision.outcome == "accepted":
        told = found.steps.get((name, command.driver_id))
        if told is not None:
            told[command.step] = one.decision.now_ms - told[""]


def _answered(found: Cast, name: str, driver_id: str, answer: Answer) -> None:
    found.answers[name, driver_id] = answer
    found.by_driver[driver_id].append(answer)


def _drawn(what: str) -> int:
    """The same for the same, always."""
    return int.from_bytes(hashlib.sha256(what.encode()).digest()[:4], "big") % _BUCKETS
