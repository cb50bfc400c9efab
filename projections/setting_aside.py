"""Dead letters of the projector: acknowledged by Kafka before the offset behind the record is written."""

import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, Message, Producer

from dispatch.contract import codec, topics
from dispatch.contract.records.system import DeadLetter
from dispatch.log import logs
from dispatch.log.application import Record
from dispatch.log.connecting import kafka_client
from projections.runtime import Poison

_KEPT_BYTES = 262_144
_ANSWER_S = 10.0
logger = logs.get("projections.setting_aside")


class SettingAside:
    """Tells each poisonous record once, as long as its batch is tried. A projector killed meanwhile tells it again."""

    def __init__(self, brokers: str, namespace: str) -> None:
        self._namespace = namespace
        self._producer = Producer({**kafka_client(brokers, "projector"), "enable.idempotence": True})
        self._told: set[Record] = set()

    def told(self, poison: Sequence[Poison]) -> bool:
        """Whether Kafka has a letter for each."""
        new = [one for one in poison if one.record not in self._told]
        failed: list[str] = []

        def noted(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error.str())

        for one in new:
            letter = letter_of(one, personal=one.record.topic == self._namespace + topics.CONTACTS.name)
            self._producer.produce(
                self._namespace + topics.DEAD_LETTERS.name,
                codec.encode(letter),
                letter.source_topic.encode(),
                on_delivery=noted,
            )
        if new and (self._producer.flush(_ANSWER_S) or failed):
            return False
        for one in new:
            self._told.add(one.record)
            logger.error("poison", topic=one.record.topic, partition=one.record.partition,
                         offset=one.record.offset, reason=one.reason)  # fmt: skip
        return True

    def done(self) -> None:
        """The batch is written: nothing of it comes again."""
        self._told.clear()


def letter_of(poison: Poison, *, personal: bool) -> DeadLetter:
    """The record as it was; of personal data only where it stands, for dead letters are kept when a contact is not."""
    record = poison.record
    value = None if personal else record.value
    return DeadLetter(
        source_topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=value[:_KEPT_BYTES] if value is not None else None,
        value_bytes=len(record.value or b""),
        error="Poison",
        reason=poison.reason[:1000],
        place=poison.place[:200],
        at_ms=time.time_ns() // 1_000_000,
        worker="projector",
    )
