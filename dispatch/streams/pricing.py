"""Publishes each zone's dynamic price on `prices`, from the pressure told on `zone.health`.

A thread of the streams process with a consumer of its own. At the start it reads the prices in force and goes on
smoothing from there. Two of them at once agree soon, for they see the same counts; the last word holds.
"""

import threading

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Consumed

from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import ZoneHealth, ZonePrice
from dispatch.inputs.rules import Rules
from dispatch.log import logs
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.lag import LAGS
from dispatch.log.reading import watermarks
from dispatch.streams.price_book import PriceBook

_AGAIN_AFTER_S = 2.0
logger = logs.get("dispatch.streams.pricing")


class PriceFeed:
    """One thread: `start`, `stop`."""

    def __init__(self, settings: Settings, rules: Rules) -> None:
        self._settings, self._rules = settings, rules
        self._prices = settings.namespace + topics.PRICES.name
        self._health = settings.namespace + topics.ZONE_HEALTH.name
        self._book = PriceBook()
        self._behind = False
        self._percent: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prices", daemon=True)
        self._producer = Producer(
            {**kafka_client(settings.kafka, "pricing"), "enable.idempotence": True, "linger.ms": 5,
             "partitioner": "murmur2_random"}
        )  # fmt: skip

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, and sends what is queued."""
        self._stop.set()
        self._thread.join()
        self._producer.flush(5)

    def _run(self) -> None:
        """Whatever fails, all is read anew a moment later: nothing is kept that is not in the topic."""
        while not self._stop.is_set():
            self._book = PriceBook()
            consumer = self._consumer()
            try:
                self._open(consumer)
                while not self._stop.is_set():
                    self._turn(consumer)
            except (KafkaException, BufferError) as error:
                logger.warning("kafka_error", reason=str(error))
                self._stop.wait(_AGAIN_AFTER_S)
            finally:
                LAGS.forget(consumer)
                consumer.close()

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                **kafka_client(self._settings.kafka, "pricing"),
                "group.id": UNCOMMITTED,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 250,
                "reconnect.backoff.max.ms": 1_000,
            }
        )

    def _open(self, consumer: Consumer) -> None:
        """The prices whole; of the health what comes from now on."""
        place = TopicPartition(self._prices, 0)
        place.offset, high = watermarks(consumer, place)
        self._behind = place.offset < high
        health = TopicPartition(self._health, 0)
        health.offset = watermarks(consumer, health)[1]
        consumer.assign([place, health])
        consumer.pause([health])
        self._resume(consumer)

    def _resume(self, consumer: Consumer) -> None:
        if not self._behind:
            consumer.resume([TopicPartition(self._health, 0)])

    def _turn(self, consumer: Consumer) -> None:
        LAGS.note("pricing", consumer)
        for message in consumer.consume(500, 0.25):
            if (error := message.error()) is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    if self._behind and message.topic() == self._prices:
                        self._behind = False
                        self._resume(consumer)
                elif error.fatal():
                    raise KafkaException(error)
            else:
                self._note(message)
        self._producer.poll(0)

    def _note(self, message: Consumed) -> None:
        try:
            record = codec.decode_checked(message.value()) if message.value() is not None else None
        except ContractError as wrong:
            logger.error("poison", topic=message.topic(), partition=message.partition(), offset=message.offset(),
                         reason=wrong.reason)  # fmt: skip
            return
        if isinstance(record, ZonePrice) and self._behind:
            self._book.recall(record)
            self._percent[record.zone] = record.multiplier_percent
        elif isinstance(record, ZoneHealth):
            price = self._book.take(record, self._rules.policy_for(record.zone))
            if price is not None:
                self._publish(price)

    def _publish(self, price: ZonePrice) -> None:
        self._producer.produce(self._prices, codec.encode(price), price.zone.encode())
        if self._percent.get(price.zone, 100) != price.multiplier_percent:
            logger.info("price_changed", zone=price.zone, percent=price.multiplier_percent,
                        pressure=round(price.smoothed_pressure, 2))  # fmt: skip
        self._percent[price.zone] = price.multiplier_percent
