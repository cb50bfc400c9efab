"""Sends a file of orders through the Kafka door, each at its moment, `speed` times as fast as it was written."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as Delivered

from deploy.demo.order_file import TimedOrder
from dispatch.contract import codec, topics
from dispatch.log.connecting import kafka_client


class NotSent(Exception):
    """Kafka did not take an order; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Fed:
    """How many orders were sent, and how long it took."""

    sent: int
    seconds: float


def feed(
    orders: Iterable[TimedOrder],
    brokers: str,
    namespace: str = "",
    *,
    speed: float = 1.0,
    stop: threading.Event | None = None,
    told: Callable[[int], None] = lambda _sent: None,
) -> Fed:
    """Sends all orders, waiting for each one's moment. Raises NotSent when Kafka refuses one."""
    stop = stop or threading.Event()
    topic = namespace + topics.ORDERS_INBOUND.name
    failed: list[str] = []

    def delivered(error: KafkaError | None, message: Delivered) -> None:
        if error is not None:
            failed.append(f"{(message.key() or b'').decode()}: {error.str()}")

    producer = Producer(
        {
            **kafka_client(brokers, "demo-feed"),
            "enable.idempotence": True,
            "linger.ms": 2,
            "partitioner": "murmur2_random",
        }
    )
    started, sent = time.monotonic(), 0
    for timed in orders:
        _wait(started + timed.arrives_s / speed, producer, stop)
        if stop.is_set() or failed:
            break
        order = msgspec.structs.replace(
            timed.order, placed_at_ms=time.time_ns() // 1_000_000, prep_s=round(timed.order.prep_s / speed)
        )
        producer.produce(topic, codec.encode(order), key=order.seller_id.encode(), on_delivery=delivered)
        sent += 1
        told(sent)
    left = producer.flush(30)
    if failed or left:
        raise NotSent(failed[0] if failed else f"{left} orders were not acknowledged by Kafka within 30 s")
    return Fed(sent, time.monotonic() - started)


def _wait(until: float, producer: Producer, stop: threading.Event) -> None:
    """Serves delivery reports until the moment has come."""
    while not stop.is_set():
        left = until - time.monotonic()
        producer.poll(0)
        if left <= 0:
            return
        stop.wait(min(left, 0.2))
