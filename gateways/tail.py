"""Reading the log from where one begins, in a thread: what a gateway does for replies, for sockets and for streams."""

import threading
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, Message

from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.lag import LAGS

_AGAIN_S = 0.5
_AT_ONCE = 500
_POLL_S = 0.2
WAIT_MS = 100
"""So long a committed record may wait behind a fetch that found nothing."""


def tail(
    brokers: str, stopping: threading.Event, begin: Callable[[Consumer], None],
    hand_over: Callable[[list[Message]], None], *, told: Callable[[str], None],
    between: Callable[[Consumer], None] = lambda _consumer: None, **client: bool | int,
) -> None:  # fmt: skip
    """Reads committed records until stopping, and never commits, for whoever begins anew begins elsewhere.

    `begin` assigns the consumer its places, and is asked again while Kafka or a topic is away; `told` hears why.
    `between` may change the places. `client`: more of librdkafka's settings, with `_` for their dots. How far it is
    behind shows under the thread's name.
    """
    consumer = Consumer(
        {
            **kafka_client(brokers, threading.current_thread().name),
            "group.id": UNCOMMITTED,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "latest",
            "fetch.wait.max.ms": WAIT_MS,
            "reconnect.backoff.max.ms": 1_000,
            **{name.replace("_", "."): value for name, value in client.items()},
        }
    )
    try:
        while not stopping.is_set():
            try:
                begin(consumer)
                break
            except (KafkaException, KeyError) as error:  # KeyError: a topic is not there yet
                told(f"Kafka: {error}")
                stopping.wait(_AGAIN_S)
        while not stopping.is_set():
            LAGS.note(threading.current_thread().name, consumer)
            between(consumer)
            first = consumer.poll(_POLL_S)
            if first is not None:
                hand_over([first, *consumer.consume(_AT_ONCE, 0)])
    finally:
        LAGS.forget(consumer)
        consumer.close()
