"""A town for the bench: places drawn from a seed, orders as they come in by Kafka, what drivers report."""

import random
import time
import uuid
from typing import Any

from confluent_kafka import Producer

from dispatch.contract import codec, identity, topics
from dispatch.contract.personal import split
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.inbound import InboundOrderReady

STEPS = ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered")
_CENTRE, _HALF = (48.0, 7.85), 0.04
"""Degrees: about 9 by 6 km, so that the drivers are in reach of most orders."""


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


class Town:
    """Writes orders and what drivers do to Kafka."""

    def __init__(self, kafka: str, seed: int = 1, namespace: str = "") -> None:
        self._namespace = namespace
        self._random = random.Random(seed)
        self._run = uuid.uuid4().hex[:8]
        self.seller_id = f"bench-{self._run}"
        self._number = 0
        self._producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 1,
                                   "queue.buffering.max.messages": 1_000_000})  # fmt: skip

    def send(self, topic: topics.Topic, key: str, record: Any) -> None:
        """Queues a record."""
        self._producer.produce(self._namespace + topic.name, codec.encode(record), key.encode())
        self._producer.poll(0)

    def flush(self) -> None:
        """Waits until all is taken."""
        if self._producer.flush(60):
            raise RuntimeError("Kafka did not take the load within 60 s")

    def sign_on(self, count: int) -> list[str]:
        """Drivers begin, all over town."""
        names = [f"bench-{self._run}-{number}" for number in range(count)]
        for name in names:
            lat, lng = self._place()
            command = vc.SignOn(**_header("driver", name), driver_id=name, vehicle="car", lat=lat, lng=lng, rating=4.5)
            self.send(topics.DRIVER_COMMANDS, name, command)
        self.flush()
        return names

    def duty(self, kind: type[Any], name: str) -> None:
        """A driver begins or ends a shift."""
        self.send(topics.DRIVER_COMMANDS, name, kind(**_header("driver", name), driver_id=name))

    def alive(self, name: str) -> None:
        """A driver gives a sign of life."""
        alive = vc.SeenAlive(**_header("driver", name), driver_id=name, seen_at_ms=now_ms())
        self.send(topics.DRIVER_COMMANDS, name, alive)

    def order_ready(self) -> str:
        """One order becomes ready, told as upstream services tell it; its delivery's id."""
        order = self._order()
        self.send(topics.ORDERS_INBOUND, order.seller_id + order.seller_order_id, order)
        return identity.delivery_id(order.seller_id, order.seller_order_id)

    def order_ready_as_command(self) -> str:
        """One order becomes ready, told as the gateway tells it; its delivery's id."""
        delivery_id, order, _ = split(self._order())
        command = dc.MarkReady(**_header("order_service", order.seller_id), delivery_id=delivery_id, order=order)
        self.send(topics.DELIVERY_COMMANDS, delivery_id, command)
        return delivery_id

    def _order(self) -> InboundOrderReady:
        self._number += 1
        seller, number = self.seller_id, str(self._number)
        (pickup_lat, pickup_lng), (dropoff_lat, dropoff_lng) = self._place(), self._place()
        return InboundOrderReady(
            message_id=number, seller_id=seller, seller_order_id=number, store_name="Anker", pickup_lat=pickup_lat,
            pickup_lng=pickup_lng, dropoff_lat=dropoff_lat, dropoff_lng=dropoff_lng, order_value_minor=2_000,
            delivery_fee_minor=299, currency="EUR", placed_at_ms=now_ms(), customer_name="A. Customer",
            customer_phone="+49 761 1234567", dropoff_address="Somewhere 1",
        )  # fmt: skip

    def accepted(self, held: dict[str, str]) -> None:
        """The driver takes an offer, by Kafka."""
        self.send(topics.DELIVERY_COMMANDS, held["delivery_id"],
                  dc.AcceptOffer(**_header("driver", held["driver_id"]), **held, reply_to=0))  # fmt: skip

    def carried_out(self, held: dict[str, str]) -> None:
        """The driver reports every step to the hand-over."""
        for step in STEPS:
            command = dc.ReportProgress(**_header("driver", held["driver_id"]), **held, step=step, reply_to=0)
            self.send(topics.DELIVERY_COMMANDS, held["delivery_id"], command)

    def _place(self) -> tuple[float, float]:
        draw = self._random.uniform
        return _CENTRE[0] + draw(-_HALF, _HALF), _CENTRE[1] + draw(-_HALF, _HALF)


def _header(actor: str, actor_id: str) -> dict[str, Any]:
    return {
        "command_id": str(uuid.uuid4()),
        "at_ms": now_ms(),
        "actor_type": actor,
        "actor_id": actor_id,
        "correlation_id": "bench",
    }
