"""Drivers with their apps: they sign on, answer or do not, carry, rest, vanish and come back, and some cheat."""

from random import Random
from typing import Any

from dispatch.contract import topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated
from dispatch.simulation.sellers import PLACE
from dispatch.simulation.town import Town

STEPS = ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered")
_REASONS = ("too_far", "no_time", "bad_area", "vehicle", "earning", "other")


class Driver:
    """One person. What the app hears waits while the network is lost."""

    def __init__(self, town: Town, number: int) -> None:
        self._town, self._id, self._who = town, f"d{number}", f"driver d{number}"
        self._chance = Random(f"{town.plan.seed} driver {number}")
        self._holds: dict[str, tuple[str, int]] = {}
        """By offer the delivery, and how many steps were told."""
        self._is_off = False
        self._missed: list[Any] = []
        town.hear(topics.OFFERS, self._hear)
        town.on_calm.append(self._comes_back)
        town.loop.after(self._chance.randrange(4_000_000), self._sign_on)

    def _sign_on(self) -> None:
        town, chance = self._town, self._chance
        reach = 0.12 if town.does("far", chance, 0.3) else 0.03
        self._tell(
            vc.SignOn,
            vehicle=chance.choice(("bicycle", "scooter", "car")),
            capacity=2 if town.does("crowd", chance, 0.4) else 1,
            rating=4.5,
            lat=PLACE[0] + chance.uniform(-reach, reach),
            lng=PLACE[1] + chance.uniform(-reach, reach),
        )
        self._beat()
        if town.does("loses_network", chance, 0.3):
            town.loop.after(town.pause_us(chance, 10, 900), self._vanish)
        if town.does("breaks", chance, 0.6):
            town.loop.after(town.pause_us(chance, 10, 600), self._rest)
        if town.does("goes_home", chance, 0.5):
            town.loop.after(town.pause_us(chance, 30, 900), self._go_home)

    # what the app hears

    def _hear(self, record: Any) -> None:
        if record.driver_id == self._id:
            self._town.loop.after(self._chance.randrange(1_000, 60_000), self._heard, record)
        elif isinstance(record, OfferCreated) and self._town.does("steals", self._chance, 0.2):
            self._answer(dc.AcceptOffer, record)

    def _heard(self, record: Any) -> None:
        if self._is_off:
            self._missed.append(record)
            return
        match record:
            case OfferCreated():
                self._offered(record)
            case DeliveryAssigned(offer_id=offer_id, delivery_id=delivery_id):
                self._holds[offer_id] = (delivery_id, 0)
                if self._town.does("loses_network", self._chance, 0.4):
                    self._town.loop.after(self._town.pause_us(self._chance, 2, 120), self._vanish)
                self._town.loop.after(self._town.pause_us(self._chance, 2, 90), self._go_on, offer_id)
            case AssignmentEnded(offer_id=offer_id):
                self._holds.pop(offer_id, None)

    def _offered(self, offer: OfferCreated) -> None:
        town, chance = self._town, self._chance
        wait_us = town.pause_us(chance, 1, 25)
        if town.does("ignores", chance, 0.5):
            return
        if town.does("refuses", chance, 0.5):
            town.loop.after(wait_us, self._refuse, offer)
            return
        if town.does("answers_late", chance, 0.5):
            wait_us = town.pause_us(chance, 26, 34)
        town.loop.after(wait_us, self._accept, offer)
        if town.does("answers_twice", chance, 0.3):
            town.loop.after(wait_us + chance.randrange(2_000_000), chance.choice((self._accept, self._refuse)), offer)

    def _accept(self, offer: OfferCreated) -> None:
        self._answer(dc.AcceptOffer, offer)

    def _refuse(self, offer: OfferCreated) -> None:
        self._answer(dc.RejectOffer, offer, reason=self._chance.choice(_REASONS))

    # carrying

    def _go_on(self, offer_id: str) -> None:
        """The next step, a mishap, or the end."""
        town, chance = self._town, self._chance
        if offer_id not in self._holds or self._is_off or town.is_calm:
            return
        delivery_id, told = self._holds[offer_id]
        if told >= len(STEPS):
            return
        if town.does("gives_up", chance, 0.2):
            self._about(dc.GiveUpDelivery, delivery_id, offer_id)
        elif town.does("fails", chance, 0.15):
            self._about(dc.FailDelivery, delivery_id, offer_id, reason="nobody at home")
            town.loop.after(town.pause_us(chance, 10, 200), self._about, dc.ReturnDelivery, delivery_id, offer_id)
        else:
            self._about(dc.ReportProgress, delivery_id, offer_id, step=STEPS[told])
            self._holds[offer_id] = (delivery_id, told + 1)
            if told + 1 == len(STEPS) and town.does("completes_twice", chance, 0.5):
                self._about(dc.ReportProgress, delivery_id, offer_id, step=STEPS[told])
        town.loop.after(town.pause_us(chance, 2, 90), self._go_on, offer_id)

    def _finish(self) -> None:
        """In calm: whatever is in hand is brought to its end, as often as it takes."""
        for offer_id, (delivery_id, told) in list(self._holds.items()):
            self._about(dc.ReportProgress, delivery_id, offer_id, step="picked_up")
            self._about(dc.ReportProgress, delivery_id, offer_id, step="delivered")
            if told > len(STEPS):
                self._about(dc.ReturnDelivery, delivery_id, offer_id)
            self._holds[offer_id] = (delivery_id, len(STEPS) + 1)
        self._town.loop.after(self._town.pause_us(self._chance, 20, 40), self._finish)

    # being there

    def _beat(self) -> None:
        every_s = self._town.plan.policy.availability.offline_after_s * self._town.plan.speed
        if not self._is_off:
            self._tell(vc.SeenAlive, seen_at_ms=self._town.now_ms)
        self._town.loop.after(self._town.pause_us(self._chance, every_s * 0.6, every_s * 0.9), self._beat)

    def _vanish(self) -> None:
        if self._town.is_calm:
            return
        self._is_off = True
        self._town.story.tell(self._who, "loses the network")
        self._town.loop.after(self._town.pause_us(self._chance, 100, 1_200), self._reappear)

    def _reappear(self) -> None:
        if self._is_off:
            self._is_off = False
            self._town.story.tell(self._who, "is back")
            self._tell(vc.SeenAlive, seen_at_ms=self._town.now_ms)
            missed, self._missed = self._missed, []
            for record in missed:
                self._heard(record)
            for offer_id in self._holds:
                self._town.loop.after(self._town.pause_us(self._chance, 2, 60), self._go_on, offer_id)

    def _rest(self) -> None:
        minutes = self._chance.randrange(4, 20)
        self._tell(vc.TakeBreak, duration_ms=round(minutes * 60_000 / self._town.plan.speed), reason="lunch")
        self._town.loop.after(self._town.pause_us(self._chance, 30, 900), self._resume)

    def _resume(self) -> None:
        self._tell(vc.ResumeWork)

    def _go_home(self) -> None:
        self._tell(vc.EndShift, after_delivery=self._chance.random() < 0.5)

    def _comes_back(self) -> None:
        self._reappear()
        self._tell(vc.StartShift)
        self._town.loop.after(self._town.pause_us(self._chance, 5, 20), self._finish)

    # words

    def _head(self, about: str) -> dict[str, Any]:
        reply_to = 0 if self._chance.random() < 0.3 else -1
        return {
            "command_id": self._town.command_id(self._who), "at_ms": self._town.now_ms, "actor_type": "driver",
            "actor_id": self._id, "correlation_id": about, "reply_to": reply_to,
        }  # fmt: skip

    def _tell(self, kind: Any, **words: Any) -> None:
        command = kind(driver_id=self._id, **self._head(self._id), **words)
        self._town.send(self._who, self._chance, topics.DRIVER_COMMANDS, self._id, command)

    def _about(self, kind: Any, delivery_id: str, offer_id: str, **words: Any) -> None:
        head = self._head(delivery_id)
        command = kind(delivery_id=delivery_id, offer_id=offer_id, driver_id=self._id, **head, **words)
        self._town.send(self._who, self._chance, topics.DELIVERY_COMMANDS, delivery_id, command)

    def _answer(self, kind: Any, offer: OfferCreated, **words: Any) -> None:
        self._about(kind, offer.delivery_id, offer.offer_id, **words)
