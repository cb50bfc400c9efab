"""What was learned of arrivals, followed from the compacted topic `eta.model`; written by the process `eta`.

A record that cannot be read changes nothing; what was known stays. Until the first, the policy's spread is believed.
"""

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.shared import EtaShape
from dispatch.contract.records.system import ModelPublished
from dispatch.core.eta_model import EtaModel, scopes_of
from dispatch.core.policy import Policy
from dispatch.core.travel import hour_of
from dispatch.inputs.follower import Follower, records
from dispatch.log import logs
from dispatch.log.reading import watermarks

MODEL = "eta"
_WRONG = (ContractError, ValueError)
"""What a record that cannot be used makes `Arrivals.apply` raise."""
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

    def middle(self, kind: str, zone: str, store: str, at_ms: int, policy: Policy) -> float:
        """The middle of one kind alone, at this hour, for this zone and store."""
        return self.model.middle(kind, scopes_of(zone, hour_of(at_ms, policy.travel), store), policy.eta)

    def apply(self, key: bytes | None, value: bytes | None) -> Cells | None:
        """Takes one record. Raises ContractError or ValueError and changes nothing."""
        if value is None:
            self.model.forget((key or b"").decode(errors="replace"))
            return None
        record = codec.decode_checked(value)
        if not isinstance(record, ModelPublished) or record.model != MODEL:
            raise ContractError(f"a {type(record).__name__} is no cell of arrivals")
        document: Cells = codec.document(record.document, Cells)
        if document.scope != POSITIONS:
            self.model.load(document.scope, document.cells)
        self.model.version = max(self.model.version, record.version)
        return document


class ArrivalsFollower(Follower[Arrivals]):
    """Keeps an Arrivals true to the topic."""

    wrong = _WRONG

    def __init__(self, brokers: str, namespace: str, arrivals: Arrivals) -> None:
        super().__init__("arrivals", arrivals, (topics.ETA_MODEL,), brokers=brokers, namespace=namespace)

    def _begin(self) -> tuple[list[TopicPartition], set[str]]:
        """Raises confluent_kafka.KafkaException, too, when the topic is not there."""
        places = [TopicPartition(name, 0, 0) for name in self._topics]
        return places, {place.topic for place in places if watermarks(self._consumer, place)[1]}

    def _apply(self, message: Message) -> None:
        self._known.apply(message.key(), message.value())

    def _unreachable(self, error: KafkaError) -> None:
        _tell_unreachable(error)

    def _refused(self, message: Message, reason: str) -> None:
        _tell_refused(message, reason)


def take_until_end(consumer: Consumer, arrivals: Arrivals, end: int) -> list[Cells]:
    """Applies what is there, up to where the consumer says the end is: the last record may be followed by a mark."""
    taken: list[Cells] = []
    behind = {place.topic for place in consumer.assignment()} if end else set()
    while behind:
        for message in records(consumer.consume(500, 0.2), behind, _tell_unreachable):
            try:
                if (cells := arrivals.apply(message.key(), message.value())) is not None:
                    taken.append(cells)
            except _WRONG as wrong:
                _tell_refused(message, str(wrong))
    return taken


def _tell_unreachable(error: KafkaError) -> None:
    logger.warning("arrivals_unreachable", reason=error.str())


def _tell_refused(message: Message, reason: str) -> None:
    logger.error("arrivals_refused", offset=message.offset(), reason=reason)
