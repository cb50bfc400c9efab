"""Prices as a decision sees them: the last of each zone, from the compacted topic `prices`, and the order's quote."""

from typing import Any

import structlog
from confluent_kafka import KafkaError, Message

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import ZonePrice
from dispatch.core.quotes import Quote, ZonePriceFact
from dispatch.inputs.follower import Follower
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


class PriceFollower(Follower[PriceBoard]):
    """Keeps a PriceBoard true to the topic.

    Without the topic (a stack set up by an older release) there are no prices, and every multiplier is 1.0.
    """

    def __init__(self, brokers: str, namespace: str, board: PriceBoard) -> None:
        client = {"auto.offset.reset": "earliest", "reconnect.backoff.max.ms": 1_000}
        super().__init__("prices", board, (topics.PRICES,), brokers=brokers, namespace=namespace, client=client)

    def _apply(self, message: Message) -> None:
        self._known.apply(message.key(), message.value())

    def _unreachable(self, error: KafkaError) -> None:
        logger.warning("prices_unreachable", reason=error.str())

    def _refused(self, message: Message, reason: str) -> None:
        logger.error("prices_refused", topic=message.topic(), offset=message.offset(), reason=reason)
