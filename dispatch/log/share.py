"""A consumer's share of its group's partitions, and how long it has had none.

After its broker was away a client of librdkafka can wait for good to join its group again, while all else that it asks
is answered (docs/decisions/0037). Only another client gets a share then, so the process ends for another to begin.
"""

import time
from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from dispatch.log import logs
from dispatch.log.errors import Fenced

LIMIT_S = 30.0
"""Twice so long. A share-out takes seconds; with a member that hangs, up to its max.poll.interval.ms, and there a new
client fares no worse."""
_ASKED_S = 2.0
Rebalanced = Callable[[Consumer, list[TopicPartition]], None]
logger = logs.get("dispatch.log.share")


def _unheard(_consumer: Consumer, _partitions: list[TopicPartition]) -> None:
    """Nobody wants to know."""


class Share:
    """Of one consumer. `asker` is asked whether brokers answer: the consumer itself, or one beside it."""

    def __init__(
        self,
        consumer: Consumer,
        asker: Consumer | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._consumer, self._asker = consumer, asker or consumer
        self._monotonic, self._limit_s = monotonic, limit_s
        self._topics: list[str] = []
        self._without_since_s: float | None = None
        """None: the group has said what is its share, be it nothing."""
        self._answered = False
        """Brokers did, since the group last said something."""

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Rebalanced = _unheard,
        on_revoke: Rebalanced = _unheard,
        on_lost: Rebalanced | None = None,
    ) -> None:
        """As the consumer's own. Without `on_lost`, what is lost is told to `on_revoke`."""

        def given(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            self._without_since_s = None
            on_assign(consumer, partitions)

        def taken_to(told: Rebalanced) -> Rebalanced:
            def taken(consumer: Consumer, partitions: list[TopicPartition]) -> None:
                self._answered, self._without_since_s = False, self._monotonic()
                told(consumer, partitions)

            return taken

        self._topics, self._without_since_s = list(topics), self._monotonic()
        self._consumer.subscribe(
            self._topics, on_assign=given, on_revoke=taken_to(on_revoke), on_lost=taken_to(on_lost or on_revoke)
        )

    def check(self) -> None:
        """To be called between polls. Raises Fenced when brokers answer and the group has said nothing for too long.

        They have to answer twice: while they were away nobody polled, and the group is not to blame for that time.
        """
        since_s = self._without_since_s
        if since_s is None or self._monotonic() - since_s < self._limit_s:
            return
        try:
            self._asker.list_topics(self._topics[0], timeout=_ASKED_S)
        except KafkaException as error:
            logger.warning("kafka_unreachable", reason=error.args[0].str())
            self._answered, self._without_since_s = False, self._monotonic()
            return
        if self._answered:
            took_s = 2 * self._limit_s
            raise Fenced(f"brokers answer, but the group has given no share for {took_s:g} s; another client is needed")
        self._answered, self._without_since_s = True, self._monotonic()
