"""What was learned of arrivals, followed from the compacted topic `eta.model`; written by the process `eta`.

A record that cannot be read changes nothing; what was known stays. Until the first, the policy's spread is believed.
"""

import threading
from collections.abc import Iterable
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.shared import EtaShape
from dispatch.contract.records.system import ModelPublished
from dispatch.core.eta_model import EtaModel
from dispatch.core.policy import Policy
from dispatch.core.travel import hour_of
from dispatch.log import logs
from dispatch.log.reading import watermarks

MODEL = "eta"
logger = logs.get("dispatch.inputs.arrivals")


class Cells(msgspec.Struct, frozen=True):
    """The document of a record of `eta.model`: a scope's cells, or where the learner was."""

    scope: str
    cells: dict[str, dict[str, float]] = {}
    positions: dict[str, int] = {}
    """Partition of delivery.events -> the next offset to learn from. Only in the record of the scope `positions`."""
    begin: dict[str, int] = {}
    """Partition -> where the oldest delivery under way begins."""


POSITIONS = "positions"


class Arrivals:
    """What is known now: read by deciders, changed by `apply` from one thread."""

    def __init__(self, model: EtaModel | None = None) -> None:
        self.model = model or EtaModel()

    def shape(self, stage: str, zone: str, store: str, at_ms: int, policy: Policy) -> EtaShape:
        """How arrivals spread at this hour, for this zone and store."""
        return self.model.shape(stage, zone, hour_of(at_ms, policy.travel), store, policy.eta)

    def apply(self, key: bytes | None, value: bytes | None) -> Cells | None:
        """Takes one record. Raises ContractError, msgspec.ValidationError or ValueError and changes nothing."""
        if value is None:
            self.model.forget((key or b"").decode(errors="replace"))
            return None
        record = codec.decode_checked(value)
        if not isinstance(record, ModelPublished) or record.model != MODEL:
            raise ContractError(f"a {type(record).__name__} is no cell of arrivals")
        document = msgspec.json.decode(record.document, type=Cells)
        if document.scope != POSITIONS:
            self.model.load(document.scope, document.cells)
        self.model.version = max(self.model.version, record.version)
        return document


class ArrivalsFollower:
    """Keeps an Arrivals true to the topic: read whole by `start`, followed by a thread until `stop`."""

    def __init__(self, brokers: str, namespace: str, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="arrivals", daemon=True)
        self._topic = namespace + topics.ETA_MODEL.name
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "arrivals-are-never-committed",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 500,
            }
        )

    def start(self) -> Arrivals:
        """Reads what is there, then follows. Raises confluent_kafka.KafkaException when Kafka is not reachable."""
        place = TopicPartition(self._topic, 0, 0)
        end = watermarks(self._consumer, place)[1]
        self._consumer.assign([place])
        take_until_end(self._consumer, self._arrivals, end)
        self._thread.start()
        return self._arrivals

    def stop(self) -> None:
        """Ends the thread and closes the consumer."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def _position(self) -> int:
        found: Any = self._consumer.position([TopicPartition(self._topic, 0)])
        return int(found[0].offset)

    def _follow(self) -> None:
        while not self._stopping.is_set():
            take(self._consumer.consume(500, 0.5), self._arrivals)


def take_until_end(consumer: Consumer, arrivals: Arrivals, end: int) -> list[Cells]:
    """Applies what is there, up to where the consumer says the end is: the last record may be followed by a mark."""
    taken: list[Cells] = []
    while end:
        messages = consumer.consume(500, 0.2)
        taken += take(messages, arrivals)
        if any(_at_end(message) for message in messages):
            break
    return taken


def _at_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def take(messages: Iterable[Message], arrivals: Arrivals) -> list[Cells]:
    """Applies records; those that cannot be read are told and passed over."""
    taken = []
    for message in messages:
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            continue
        if error is not None:
            logger.warning("arrivals_unreachable", reason=error.str())
            continue
        try:
            if (cells := arrivals.apply(message.key(), message.value())) is not None:
                taken.append(cells)
        except (ContractError, msgspec.DecodeError, ValueError) as error:
            logger.error("arrivals_refused", offset=message.offset(), reason=str(error))
    return taken
