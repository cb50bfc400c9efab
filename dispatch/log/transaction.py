"""The producer's side of a transaction: what is tried again, what aborts, what is unknown, what is the end."""

from collections.abc import Container, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Delivered

from dispatch.log.application import Message
from dispatch.log.clients import KAFKA, Clients
from dispatch.log.errors import Aborted, Fenced, HostError, OutcomeUnknown

_INIT_S = 6.0
_FLUSH_S = 10.0
_COMMIT_S = 10.0
_ABORT_S = 3.0
"""An abort that is not answered by then is left to a fresh producer, which ends it in a moment."""
_OFFSETS_S = 5.0
_RETRIES = 5
_ANOTHERS = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


class TransactionalProducer:
    """One transactional producer. `begin`, `send`, `finish`; or `abort`."""

    def __init__(self, settings: dict[str, Any], clients: Clients = KAFKA) -> None:
        self._producer = clients.producer(settings)
        self._failed: KafkaError | None = None
        self._acknowledged = True
        """All that was sent in this transaction, as of the last `flush`."""
        self.reached: dict[tuple[str, int], int] = {}
        """By partition the end of what `send` noted in this transaction, after `flush`."""

    def initialise(self) -> None:
        """Ends what whoever had this identity before left open. Raises Fenced; Aborted when it is to be tried again."""
        try:
            self._producer.init_transactions(_INIT_S)
        except KafkaException as error:
            raise _reaction(error, "init_transactions") from error

    def partitions_of(self, topics: Sequence[str]) -> list[tuple[str, int]]:
        """Every partition of the topics. Raises Aborted when the brokers do not say."""
        try:
            known = self._producer.list_topics(timeout=_INIT_S).topics
            return [(topic, number) for topic in topics for number in known[topic].partitions]
        except KafkaException as error:
            raise _reaction(error, "list_topics") from error
        except KeyError as error:
            raise Aborted(f"topic {error} is not there") from error

    def begin(self) -> None:
        """Opens the transaction."""
        self._failed = None
        self._acknowledged = True
        self.reached = {}
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise _reaction(error, "begin_transaction") from error

    def send(self, messages: Sequence[Message], *, noted: Container[str] = ()) -> None:
        """Queues messages; of topics noted `reached` says where. Raises Aborted when the client's queue stays full."""
        self._acknowledged = self._acknowledged and not messages
        produce = self._producer.produce
        for topic, key, value, partition in messages:
            told = self._noted if topic in noted else self._told
            for _ in range(_RETRIES):
                try:
                    if partition is None:
                        produce(topic, value, key, on_delivery=told)
                    else:
                        produce(topic, value, key, partition, on_delivery=told)
                    break
                except BufferError:
                    self._producer.poll(1.0)
                except KafkaException as error:
                    raise _reaction(error, f"produce to {topic}") from error
            else:
                raise Aborted("the producer's queue stayed full")

    def flush(self) -> None:
        """Waits for the brokers. Without it every small transaction waits in send_offsets for the linger and more."""
        try:
            left = self._producer.flush(_FLUSH_S)
        except SystemError as error:  # a delivery report that the client could not hand over, seen when fenced
            raise Aborted(f"flush: {error}") from error
        if self._failed is not None:
            raise Aborted(f"not delivered: {self._failed.str()}")
        if left:
            raise Aborted(f"{left} messages not delivered within {_FLUSH_S:g} s")
        self._acknowledged = True

    def send_offsets(self, offsets: list[TopicPartition], group_metadata: Any) -> None:
        """Puts the consumed offsets into the transaction; the group's metadata fences a zombie.

        Unanswered (a coordinator that was killed and came back can leave the client waiting for good), the producer is
        worth nothing any more: OutcomeUnknown.
        """
        try:
            self._producer.send_offsets_to_transaction(offsets, group_metadata, _OFFSETS_S)
        except KafkaException as error:
            raise _reaction(error, "send_offsets", answered=False) from error

    def commit(self) -> None:
        """Commits. Raises OutcomeUnknown when the coordinator did not answer."""
        try:
            self._producer.commit_transaction(_COMMIT_S)
        except KafkaException as error:
            raise _reaction(error, "commit", answered=False) from error

    def abort(self) -> None:
        """Ends the transaction without effect. Raises OutcomeUnknown when even that is not answered.

        And when something that was sent was never acknowledged: it may come after the end, to a broker that does not
        ask the coordinator, and nobody would end what it opens (KIP-890). Only a fresh producer's higher epoch ends
        such a transaction for good, for what comes late under the lower one is refused.
        """
        if self._is_unsettled():
            raise OutcomeUnknown("not aborted: what was never acknowledged may come yet")
        try:
            self._producer.abort_transaction(_ABORT_S)
        except KafkaException as error:
            if error.args[0].fatal():
                raise Fenced(f"abort_transaction: {error.args[0].str()}") from error
            raise OutcomeUnknown(f"abort not answered: {error.args[0].str()}") from error

    def _is_unsettled(self) -> bool:
        """Whether something may be on its way. Not when the identity is another's: that has a higher epoch already."""
        if self._failed is None:
            return not self._acknowledged
        return not self._failed.fatal() and self._failed.code() not in _ANOTHERS

    def _told(self, error: KafkaError | None, _message: Delivered) -> None:
        if error is not None:
            self._failed = error

    def _noted(self, error: KafkaError | None, message: Delivered) -> None:
        self._told(error, message)
        if error is None:
            place = (message.topic() or "", message.partition() or 0)
            self.reached[place] = max(self.reached.get(place, 0), (message.offset() or 0) + 1)


def _reaction(error: KafkaException, what: str, *, answered: bool = True) -> HostError:
    """What to do about a client error: librdkafka says fatal, abortable or neither.

    Neither, where an answer was to come that settles the transaction: what became of it is unknown.
    """
    cause: KafkaError = error.args[0]
    if cause.fatal() or cause.code() in (KafkaError._FATAL, KafkaError._FENCED, KafkaError.FENCED_INSTANCE_ID):
        return Fenced(f"{what}: {cause.str()}")
    if not answered and not cause.txn_requires_abort():
        return OutcomeUnknown(f"{what} not answered: {cause.str()}")
    return Aborted(f"{what}: {cause.str()}")
