"""Sellers and admins: orders placed, ready, changed, cancelled, said twice and otherwise; and people who intervene."""

from random import Random
from typing import Any

from dispatch.contract import identity, topics
from dispatch.contract.personal import split
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.inbound import (
    InboundOrderCancelled,
    InboundOrderPlaced,
    InboundOrderReady,
    InboundPrepTimeChanged,
)
from dispatch.simulation.town import Town

PLACE = (48.0, 7.85)
SELLER = "s1"


def delivery_of(number: int) -> str:
    """The delivery of an order."""
    return identity.delivery_id(SELLER, f"o{number}")


class Seller:
    """One order, from its first word to its last."""

    def __init__(self, town: Town, number: int) -> None:
        self._town, self._number = town, number
        self._chance = Random(f"{town.plan.seed} order {number}")
        self._who, self._order_id = f"seller o{number}", f"o{number}"
        town.loop.after(self._chance.randrange(town.plan.safety_ms // 2) * 1000, self._begin)

    def _begin(self) -> None:
        town, chance = self._town, self._chance
        self._words: dict[str, Any] = {
            "seller_id": SELLER, "seller_order_id": self._order_id, "store_name": "Anker",
            "pickup_lat": PLACE[0] + chance.uniform(-0.02, 0.02), "pickup_lng": PLACE[1] + chance.uniform(-0.02, 0.02),
            "dropoff_lat": PLACE[0] + chance.uniform(-0.03, 0.03),
            "dropoff_lng": PLACE[1] + chance.uniform(-0.03, 0.03),
            "order_value_minor": chance.randrange(500, 6_000), "delivery_fee_minor": 299, "currency": "EUR",
            "placed_at_ms": town.now_ms, "prep_s": chance.randrange(0, 600),
        }  # fmt: skip
        if town.does("early", chance, 0.6):
            self._say(InboundOrderPlaced, **self._words)
            town.loop.after(town.pause_us(chance, 5, 200), self._ready)
            if chance.random() < 0.3:
                town.loop.after(town.pause_us(chance, 1, 200), self._later)
        else:
            self._ready()
        if town.does("cancels", chance, 0.4):
            town.loop.after(town.pause_us(chance, 1, 400), self._cancel)

    def _ready(self) -> None:
        self._say(InboundOrderReady, **self._words)
        if self._town.does("conflicts", self._chance, 0.3):
            self._say(InboundOrderReady, **{**self._words, "delivery_fee_minor": 399})
        if self._town.does("duplicates", self._chance, 0.3):
            self._town.loop.after(self._town.pause_us(self._chance, 1, 300), self._again)

    def _again(self) -> None:
        self._say(InboundOrderReady, **self._words)

    def _later(self) -> None:
        prep_s = self._chance.randrange(1_200)
        self._say(InboundPrepTimeChanged, seller_id=SELLER, seller_order_id=self._order_id, prep_s=prep_s)

    def _cancel(self) -> None:
        self._say(InboundOrderCancelled, seller_id=SELLER, seller_order_id=self._order_id, reason="changed their mind")

    def _say(self, kind: Any, **words: Any) -> None:
        """Through one door or the other."""
        town, chance = self._town, self._chance
        record = kind(message_id=town.command_id(self._who), **words)
        if chance.random() < 0.6:
            town.send(self._who, chance, topics.ORDERS_INBOUND, self._order_id, record)
            return
        delivery_id = delivery_of(self._number)
        head = {
            "command_id": record.message_id, "delivery_id": delivery_id, "at_ms": town.now_ms,
            "actor_type": "order_service", "actor_id": SELLER, "correlation_id": delivery_id, "reply_to": 0,
        }  # fmt: skip
        match record:
            case InboundOrderPlaced():
                command: Any = dc.PlaceOrder(**head, order=split(record)[1])
            case InboundOrderReady():
                command = dc.MarkReady(**head, order=split(record)[1])
            case InboundPrepTimeChanged(prep_s=prep_s):
                command = dc.ChangePrepTime(**head, prep_s=prep_s)
            case _:
                command = dc.CancelDelivery(**head, reason="changed their mind")
        town.send(self._who, chance, topics.DELIVERY_COMMANDS, delivery_id, command)


class Admin:
    """One intervention, and what undoes it when all is calm."""

    def __init__(self, town: Town, number: int) -> None:
        self._town, self._chance = town, Random(f"{town.plan.seed} admin {number}")
        self._who = f"admin {number}"
        self._paused = ""
        town.loop.after(self._chance.randrange(town.plan.safety_ms) * 1000, self._act)
        town.on_calm.append(self._undo)

    def _act(self) -> None:
        chance = self._chance
        delivery_id, driver_id = delivery_of(chance.randrange(4)), f"d{chance.randrange(4)}"
        match chance.randrange(8):
            case 0 | 1:
                self._tell(dc.ReassignDelivery, delivery_id, reason="admin_forced", note="by hand")
            case 2 | 3:
                self._tell(dc.AssignDriver, delivery_id, driver_id=driver_id, note="by hand")
            case 4:
                self._tell(dc.CancelDelivery, delivery_id, reason="asked by phone")
            case 5:
                self._tell(dc.EscalateDelivery, delivery_id)
            case 6:
                self._tell(dc.SearchAgain, delivery_id)
            case _:
                self._paused = driver_id
                self._to_driver(vc.PauseDriver, reason="talk", held=chance.choice(("keep", "reassign")))

    def _undo(self) -> None:
        if self._paused:
            self._to_driver(vc.UnpauseDriver, reason="talked")

    def _head(self, about: str) -> dict[str, Any]:
        return {
            "command_id": self._town.command_id(self._who), "at_ms": self._town.now_ms, "actor_type": "admin",
            "actor_id": "eva", "correlation_id": about, "reply_to": 0,
        }  # fmt: skip

    def _tell(self, kind: Any, delivery_id: str, **words: Any) -> None:
        command = kind(delivery_id=delivery_id, **self._head(delivery_id), **words)
        self._town.send(self._who, self._chance, topics.DELIVERY_COMMANDS, delivery_id, command)

    def _to_driver(self, kind: Any, **words: Any) -> None:
        command = kind(driver_id=self._paused, **self._head(self._paused), **words)
        self._town.send(self._who, self._chance, topics.DRIVER_COMMANDS, self._paused, command)
