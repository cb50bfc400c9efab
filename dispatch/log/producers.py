"""Two transactional producers that take turns: a coordinator refuses the next transaction of a producer until it has
marked the end of the last one in every partition, and the client asks again only after 20 ms. While one's markers are
written, the other works. Readers see their transactions in the order of the log all the same, and so does the group.
"""

from collections.abc import Container, Sequence
from typing import Any

from confluent_kafka import TopicPartition

from dispatch.log.application import Message
from dispatch.log.clients import KAFKA, Clients
from dispatch.log.errors import Aborted
from dispatch.log.transaction import TransactionalProducer

_SWEPT = b"swept"


class Producers:
    """Seen from outside one producer; errors as `TransactionalProducer` raises them. `reopen` before all else."""

    def __init__(self, settings: Sequence[dict[str, Any]], clients: Clients = KAFKA) -> None:
        self._settings, self._clients = settings, clients
        self._all: list[TransactionalProducer] = []
        self._left_open = [False] * len(settings)
        self._unswept: list[int] = []
        self._turn = 0

    @property
    def _now(self) -> TransactionalProducer:
        return self._all[self._turn]

    def reopen(self) -> None:
        """Fresh producers under the same identities, which end whatever their predecessors left open."""
        self._all = [TransactionalProducer(settings, self._clients) for settings in self._settings]
        for producer in self._all:
            producer.initialise()
        self._unswept = [number for number, is_open in enumerate(self._left_open) if is_open]

    def sweep(self, topics: Sequence[str], offsets: list[TopicPartition], group_metadata: Any) -> None:
        """Aborts a transaction in every partition of the topics, for each producer that left one open.

        A broker killed meanwhile may come back without having marked its end everywhere; the next commit of the same
        producer id would then commit what lies there (docs/decisions/0003). One whose commit was asked for is left
        alone: what it wrote may be committed.
        """
        while self._unswept:
            producer = self._all[self._unswept[0]]
            places = producer.partitions_of(topics)
            producer.begin()
            try:
                producer.send([Message(topic, _SWEPT, b"", number) for topic, number in places])
                producer.flush()
                if offsets:
                    producer.send_offsets(offsets, group_metadata)
            except Aborted:
                producer.abort()
                raise
            producer.abort()
            self._left_open[self._unswept.pop(0)] = False

    def begin(self) -> None:
        """Opens a transaction, on the producer whose turn it is."""
        self._turn = (self._turn + 1) % len(self._all)
        self._now.begin()
        self._left_open[self._turn] = True

    def send(self, messages: Sequence[Message], *, noted: Container[str] = ()) -> None:
        """Queues messages; of topics noted `reached` says where."""
        self._now.send(messages, noted=noted)

    @property
    def reached(self) -> dict[tuple[str, int], int]:
        """By partition the end of what was noted in this transaction, after `flush`."""
        return self._now.reached

    def flush(self) -> None:
        """Waits for the brokers."""
        self._now.flush()

    def send_offsets(self, offsets: list[TopicPartition], group_metadata: Any) -> None:
        """Puts the consumed offsets into the transaction."""
        self._now.send_offsets(offsets, group_metadata)

    def commit(self) -> None:
        """Commits. Refused, it was not made, and what is open is to be ended; unanswered, it may have been."""
        self._left_open[self._turn] = False
        try:
            self._now.commit()
        except Aborted:
            self._left_open[self._turn] = True
            raise

    def abort(self) -> None:
        """Ends the transaction without effect."""
        self._now.abort()
