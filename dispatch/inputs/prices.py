"""Prices as a decision sees them: the last of each zone, from the compacted topic `prices`, and the order's quote."""

import threading
from collections.abc import Iterable
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import ZonePrice
from dispatch.core.quotes import Quote, ZonePriceFact
from dispatch.inputs.quotes import QuoteSeal

logger = structlog.get_logger("dispatch.inputs.prices")


class PriceBoard:
    """What is known now. Read by deciders, changed by `apply` from one thread: a reader sees the old or the new."""

    def __init__(self) -> None:
        self.prices: dict[str, ZonePrice] = {}

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Takes one record. Raises ContractError and changes nothing."""
        if value is None:
            self.prices.pop((key or b"").decode(errors="replace"), None)
            return
        record = codec.decode_checked(value)
        if not isinstance(record, ZonePrice):
            raise ContractError(f"a {type(record).__name__} is no price")
        self.prices[record.zone] = record

    def of(self, zone: str) -> ZonePriceFact | None:
        """The zone's last price, however old: the decision judges its age."""
        seen = self.prices.get(zone)
        if seen is None:
            return None
        return ZonePriceFact(zone=zone, multiplier_percent=seen.multiplier_percent, at_ms=seen.at_ms)


class OrderPrices:
    """The facts about money of a decision that makes an order known."""

    def __init__(self, board: PriceBoard | None = None, seal: QuoteSeal | None = None) -> None:
        self._board = board or PriceBoard()
        self._seal = seal

    def facts(self, state: Any, command: Any, zone: str) -> tuple[ZonePriceFact | None, Quote | None]:
        """The zone's price, and the quote that the order names if it was given here; of other decisions nothing."""
        order = getattr(command, "order", None)
        if order is None or getattr(state, "order", None) is not None:
            return None, None
        quote = self._seal.opened(order.quote_id) if self._seal is not None and order.quote_id else None
        return self._board.of(zone), quote


class PriceFollower:
    """Keeps a PriceBoard true to the topic: read whole by `start`, followed by a thread until `stop`."""

    def __init__(self, brokers: str, namespace: str, board: PriceBoard) -> None:
        self._board = board
        self._unread = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="prices", daemon=True)
        self._topic = namespace + topics.PRICES.name
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "prices-are-never-committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 200,
                "reconnect.backoff.max.ms": 1_000,
            }
        )

    def start(self) -> PriceBoard:
        """Reads what is there, then follows. Raises confluent_kafka.KafkaException when Kafka is not reachable.

        Without the topic (a stack set up by an older release) there are no prices, and every multiplier is 1.0.
        """
        self._unread = self._topic in self._consumer.list_topics(timeout=30).topics
        if self._unread:
            self._consumer.assign([TopicPartition(self._topic, 0, 0)])
        while self._unread:
            self._take(self._consumer.consume(500, 0.2))
        self._thread.start()
        return self._board

    def stop(self) -> None:
        """Ends the thread and closes the consumer."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._take(self._consumer.consume(500, 0.5))

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    self._unread = False
                else:
                    logger.warning("prices_unreachable", reason=error.str())
                continue
            try:
                self._board.apply(message.key(), message.value())
            except ContractError as wrong:
                logger.error("prices_refused", topic=message.topic(), offset=message.offset(), reason=str(wrong))
