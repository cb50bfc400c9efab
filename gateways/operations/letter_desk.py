"""Dead letters in Kafka: what one holds, putting its record where it came from again, and saying what was done with it.

Whoever does something with a letter shares one transactional id. Kafka lets only the last one who came write, so that a
letter is retried or dropped once, whoever asks at the same moment and through whichever gateway: what was done is read
from the log after the id was taken over, and the record and the word about it are written in one transaction.
"""

import threading
import time
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.limits import check
from dispatch.contract.records.shared import DeadLetterAct
from dispatch.contract.records.system import DeadLetter, DeadLetterHandled
from dispatch.log.application import Record
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.reading import read_all, record_of
from gateways.problems import Problem, unreachable

RETRYABLE = (
    topics.ORDERS_INBOUND.name, topics.DELIVERY_COMMANDS.name, topics.DRIVER_COMMANDS.name,
    topics.DRIVER_LOCATIONS.name,
)  # fmt: skip
"""Where a record may come twice: its reader knows a repeat. Events, states and rules were said once and stay so."""
SHOWN = (
    topics.DELIVERY_COMMANDS.name,
    topics.DRIVER_COMMANDS.name,
    topics.DELIVERY_EVENTS.name,
    topics.DRIVER_EVENTS.name,
)
"""Whose records hold no personal data, and may be looked at."""
WITHHELD = frozenset(("note", "pin_mark", "contact_digest", "proof_ref", "signature_ref"))
_WAIT_S = 10.0
_TRIES = 3
_FENCED = ("_FENCED", "INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants done with a letter."""

    letter_id: str
    act: DeadLetterAct
    request_id: str
    """A repeat has the same, and the same answer."""
    actor_id: str
    reason: str


class LetterDesk:
    """Reads and handles dead letters. Every method waits for Kafka: call it from a thread of its own."""

    def __init__(self, brokers: str, namespace: str) -> None:
        self._brokers, self._namespace = brokers, namespace
        self._one_at_a_time = threading.Lock()

    def letter(self, letter_id: str) -> DeadLetter | None:
        """The letter, while its topic keeps it. Raises Problem 503."""
        partition, _, offset = letter_id.partition("-")
        record = self._record_at(self._namespace + topics.DEAD_LETTERS.name, int(partition), int(offset))
        letter = codec.decode(record.value) if record is not None else None
        return letter if isinstance(letter, DeadLetter) else None

    def why_not(self, letter: DeadLetter | None) -> str | None:
        """Why its record cannot be put where it came from again; None: it can. Raises Problem 503."""
        return self._original(letter)[1]

    def handle(self, wish: Wish) -> DeadLetterHandled:
        """Does it, or tells what this request did before. Raises Problem: 404, 409, 503."""
        letter = self.letter(wish.letter_id)
        if letter is None:
            raise Problem(404, "unknown_dead_letter", "No dead letter of this id is kept.")
        with self._one_at_a_time:
            for left in reversed(range(_TRIES)):
                try:
                    return self._handled(wish, letter)
                except KafkaException as error:
                    cause = error.args[0]
                    if not left or not (cause.name() in _FENCED or cause.fatal()):
                        raise unreachable("Kafka") from error
        raise unreachable("Kafka")

    def _handled(self, wish: Wish, letter: DeadLetter) -> DeadLetterHandled:
        producer = Producer(
            {
                **kafka_client(self._brokers, "letter-desk"),
                "transactional.id": f"{self._namespace}dead-letters",
                "transaction.timeout.ms": 10_000,
                "log_level": 0,
            }
        )
        producer.init_transactions(_WAIT_S)
        done = self._done(wish.letter_id)
        if done is not None:
            if done.request_id == wish.request_id:
                return done
            raise Problem(409, "already_handled", f"This letter was {done.act} by {done.actor_id}: {done.reason}")
        saying = DeadLetterHandled(
            letter_id=wish.letter_id, act=wish.act, request_id=wish.request_id, at_ms=time.time_ns() // 1_000_000,
            actor_id=wish.actor_id, reason=wish.reason, source_topic=letter.source_topic,
            source_partition=letter.partition, source_offset=letter.offset,
        )  # fmt: skip
        check(saying)
        original: bytes | None = None
        if wish.act == "retried":
            original, wrong = self._original(letter)
            if original is None:
                raise Problem(409, "not_retryable", wrong or "The record is not kept.")
        producer.begin_transaction()
        if original is not None:
            producer.produce(letter.source_topic, original, letter.key, partition=letter.partition,
                             headers=[("retry-of", wish.letter_id.encode())])  # fmt: skip
        handled = self._namespace + topics.DEAD_LETTERS_HANDLED.name
        producer.produce(handled, codec.encode(saying), wish.letter_id.encode())
        producer.commit_transaction(_WAIT_S)
        return saying

    def _done(self, letter_id: str) -> DeadLetterHandled | None:
        """What was done with it before."""
        for record in read_all(self._brokers, [self._namespace + topics.DEAD_LETTERS_HANDLED.name]):
            if record.key == letter_id.encode():
                done = codec.decode(record.value)
                if isinstance(done, DeadLetterHandled):
                    return done
        return None

    def _original(self, letter: DeadLetter | None) -> tuple[bytes | None, str | None]:
        """The record's bytes as they were, or why they cannot be written again."""
        if letter is None:
            return None, "The letter is not kept any more."
        name = letter.source_topic.removeprefix(self._namespace)
        if name not in RETRYABLE or not letter.source_topic.startswith(self._namespace):
            return None, f"Records of {name} are not written twice."
        if letter.offset < 0:
            return None, "It never was a record: a timer made it."
        if letter.value is not None and len(letter.value) == letter.value_bytes:
            return letter.value, None
        record = self._record_at(letter.source_topic, letter.partition, letter.offset)
        if record is None or record.value is None or record.key != letter.key:
            return None, f"{name} does not keep the record any more."
        return record.value, None

    def _record_at(self, topic: str, partition: int, offset: int) -> Record | None:
        """The record at a place, if it is there and was committed. Raises Problem 503."""
        consumer = Consumer(
            {
                **kafka_client(self._brokers, "letter-desk"),
                "group.id": UNCOMMITTED,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            }
        )
        try:
            known = consumer.list_topics(topic, timeout=_WAIT_S).topics[topic].partitions
            if partition not in known:
                return None
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_WAIT_S)
            if not low <= offset < high:
                return None
            consumer.assign([TopicPartition(topic, partition, offset)])
            until = time.monotonic() + _WAIT_S
            while time.monotonic() < until:
                message = consumer.poll(0.5)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    return record_of(message) if message.offset() == offset else None
                if error.code() in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET):
                    return None
            raise unreachable("Kafka")
        except KafkaException as error:
            raise unreachable("Kafka") from error
        finally:
            consumer.close()


def content_of(name: str, letter: DeadLetter) -> dict[str, Any] | None:
    """A record's kind and fields, where they may be shown and can be read; `name` is the topic without namespace."""
    if name not in SHOWN or letter.value is None or len(letter.value) != letter.value_bytes:
        return None
    try:
        record = codec.decode(letter.value)
    except ContractError:
        return None  # the letter's reason says what is wrong with it
    return {"record": codec.subject(type(record)), "fields": _shown(msgspec.to_builtins(record))}


def _shown(value: Any) -> Any:
    """Without what people wrote freely, and what stands for somebody: in their place is None."""
    if isinstance(value, dict):
        return {name: None if name in WITHHELD else _shown(each) for name, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value
