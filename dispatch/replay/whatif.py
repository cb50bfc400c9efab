"""What if: the recorded orders and drivers live through the simulation, under the policy that was and under another.

Orders, sign-ons, breaks and places come from the record at their moments. A driver who is asked for a delivery answers
as they did, if they were asked for it then; if not, the record is left: they answer as one of their own answers, and
carry as the delivery was carried, or as is usual. Both policies are lived through, so that what the simulation itself
does otherwise than the world stands in both.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated
from dispatch.core.policy import Policy
from dispatch.replay.cast import Cast
from dispatch.replay.effects import Effects
from dispatch.simulation.plan import Plan
from dispatch.simulation.running import START_MS, City

_MS_US = 1_000
_TAIL = 2
"""Times the longer last escalation's delay: so long both go on after the record, with what is then under way."""
TRUTH = (
    "An estimate: people are as on record where they were asked the same, and as usual where not. Zones, prices, "
    "scores, learned arrivals, routing and interventions by hand are not in it. Compare the two simulated columns."
)


class Left(msgspec.Struct, kw_only=True):
    """How far a run went from the record."""

    answers: int = 0
    answers_off: int = 0
    carries: int = 0
    carries_off: int = 0
    first_off_ms: int = 0
    """When it left the record first, in the record's time; 0: never."""


class WhatIf(msgspec.Struct, kw_only=True):
    """The whole of it: each figure as recorded, as it was simulated, as it would be."""

    from_ms: int
    orders: int
    drivers: int
    by_hand: int
    figures: dict[str, list[float]]
    was: Left
    would: Left
    problems: list[str]
    truth: str = TRUTH


def what_if(cast: Cast, was: Policy, would: Policy) -> WhatIf:
    """Lives through both."""
    tail_ms = round(max(was.escalation.level_3_s, would.escalation.level_3_s) * 1000 * _TAIL)
    ours, left, wrong = _lived(cast, was, tail_ms)
    theirs, off, more = _lived(cast, would, tail_ms)
    columns = [_figures(cast.events), _figures(ours), _figures(theirs)]
    names = dict.fromkeys(name for column in columns for name in column)
    return WhatIf(
        from_ms=cast.from_ms,
        orders=len(cast.orders),
        drivers=len({*cast.present, *(said.command.driver_id for said in cast.drivers)}),
        by_hand=cast.by_hand,
        figures={name: [column.get(name, 0) for column in columns] for name in names},
        was=left,
        would=off,
        problems=wrong + more,
    )


def _lived(cast: Cast, policy: Policy, tail_ms: int) -> tuple[list[Any], Left, list[str]]:
    """The events of the deliveries, and what went wrong in the simulation itself."""
    lasts_ms = max(1_000, cast.last_ms - cast.from_ms)
    plan = Plan(
        seed=1, orders=(), drivers=(), admins=(), faults=(), habits=frozenset(), workers=1, partitions=1,
        batch_limit=2_000, speed=1.0, policy=policy, flags=cast.flags, safety_ms=lasts_ms + tail_ms,
        liveness_ms=1_000,
    )  # fmt: skip
    city = City(plan)
    people = _People(city, cast)
    outcome = city.run()
    events = [codec.decode(record.value) for record in outcome.log if record.topic == topics.DELIVERY_EVENTS.name]
    wrong = [one for one in outcome.problems if not one.startswith("not over")]
    return events, people.left, wrong


class _People:
    """Everybody of the cast, in the simulation's time."""

    def __init__(self, city: City, cast: Cast) -> None:
        self._city, self._cast, self._town = city, cast, city.town
        self.left = Left()
        self._shift_ms = START_MS - cast.from_ms
        self._held: set[str] = set()
        self._town.hear(topics.OFFERS, self._hear)
        for name, sign_on in cast.present.items():
            self._at(cast.from_ms, self._send, topics.DRIVER_COMMANDS, name, sign_on)
        for said in cast.drivers:
            self._at(said.at_ms, self._of_driver, said.command)
        for said in cast.sellers:
            self._at(said.at_ms, self._send, topics.DELIVERY_COMMANDS, said.command.delivery_id, said.command)
        for place in cast.places:
            self._at(place.at_ms - 1, self._moved, (place.driver_id, place.lat, place.lng))
        self._known = set(cast.present)

    def _at(self, at_ms: int, call: Any, *arguments: Any) -> None:
        self._town.loop.after(max(0, at_ms - self._cast.from_ms) * _MS_US + 1, call, *arguments)

    def _moved(self, place: tuple[str, float, float]) -> None:
        self._city.index._memory.move([place])

    def _of_driver(self, command: Any) -> None:
        """Who was not there at the beginning signs on with the first that is heard of them."""
        name = command.driver_id
        if isinstance(command, vc.SignOn):
            self._known.add(name)
        elif name not in self._known:
            return
        self._send(topics.DRIVER_COMMANDS, name, command)

    def _send(self, topic: Any, key: str, command: Any) -> None:
        self._city.broker.send(topic.name, key.encode(), codec.encode(self._now(command)), self._town.now_ms)

    def _now(self, command: Any) -> Any:
        """Of the simulation's time, and with nobody waiting for an answer."""
        changes: dict[str, Any] = {"reply_to": -1}
        for name in command.__struct_fields__:
            value = getattr(command, name)
            if name.endswith("at_ms") and isinstance(value, int):
                changes[name] = value + self._shift_ms
        order = getattr(command, "order", None)
        if order is not None:
            times = {
                name: value + self._shift_ms
                for name in ("placed_at_ms", "promised_from_ms", "promised_to_ms")
                if (value := getattr(order, name)) is not None
            }
            changes["order"] = replace(order, **times)
        return replace(command, **changes)

    def _hear(self, record: Any) -> None:
        match record:
            case OfferCreated():
                self._offered(record)
            case DeliveryAssigned():
                self._assigned(record)
            case AssignmentEnded(offer_id=offer_id):
                self._held.discard(offer_id)

    def _offered(self, offer: OfferCreated) -> None:
        answer, on_record = self._cast.answer(offer.delivery_id, offer.driver_id)
        self.left.answers += 1
        if not on_record:
            self.left.answers_off += 1
            self._off()
        if answer.word == "silence":
            return
        about: dict[str, Any] = {
            "delivery_id": offer.delivery_id,
            "offer_id": offer.offer_id,
            "driver_id": offer.driver_id,
        }
        if answer.word == "accept":
            made: Any = dc.AcceptOffer(**self._head(offer), **about)
        else:
            made = dc.RejectOffer(**self._head(offer), **about, reason=getattr(answer.command, "reason", "other"))
        self._town.loop.after(answer.after_ms * _MS_US, self._tell, made)

    def _assigned(self, assigned: DeliveryAssigned) -> None:
        told, on_record = self._cast.carried(assigned.delivery_id, assigned.driver_id)
        self.left.carries += 1
        if not on_record:
            self.left.carries_off += 1
            self._off()
        self._held.add(assigned.offer_id)
        for step, after_ms in told.items():
            if step:
                self._town.loop.after(after_ms * _MS_US, self._step, assigned, step)

    def _step(self, assigned: DeliveryAssigned, step: Any) -> None:
        if assigned.offer_id in self._held:
            about: dict[str, Any] = {"delivery_id": assigned.delivery_id, "offer_id": assigned.offer_id}
            self._tell(dc.ReportProgress(**self._head(assigned), **about, driver_id=assigned.driver_id, step=step,
                                         proof_ref="simulated", signature_ref="simulated"))  # fmt: skip

    def _head(self, about: Any) -> dict[str, Any]:
        return {
            "command_id": self._town.command_id(about.driver_id), "at_ms": self._town.now_ms, "actor_type": "driver",
            "actor_id": about.driver_id, "correlation_id": about.delivery_id,
        }  # fmt: skip

    def _tell(self, command: Any) -> None:
        topic = topics.DELIVERY_COMMANDS.name
        self._city.broker.send(topic, command.delivery_id.encode(), codec.encode(command), self._town.now_ms)

    def _off(self) -> None:
        if not self.left.first_off_ms:
            self.left.first_off_ms = self._town.now_ms - self._shift_ms


def _figures(events: list[Any]) -> dict[str, float]:
    """What people decide by."""
    effects, waits = Effects(), list[float]()
    done = {"orders ready": 0, "delivered": 0}
    for event in events:
        effects.add("accepted", (event,), event.at_ms)
        done["orders ready"] += isinstance(event, de.AssignmentStarted)
        done["delivered"] += isinstance(event, de.DeliveryCompleted)
        if isinstance(event, de.DriverAssigned):
            waits.append(event.search_ms / 1000)
    waits.sort()
    found: dict[str, float] = dict(done)
    if waits:
        found["seconds to an assignment, half within"] = round(waits[len(waits) // 2], 1)
        found["seconds to an assignment, 95% within"] = round(waits[min(len(waits) - 1, len(waits) * 95 // 100)], 1)
    return found | effects.figures()
