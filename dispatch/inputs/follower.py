"""Following small compacted topics of one partition: read whole first, then kept true by a thread."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from dispatch.contract.errors import ContractError
from dispatch.contract.topics import Topic
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.lag import LAGS

_AT_ONCE = 500
"""Messages asked for at a time; `consume` waits for so many or until its time is over."""
WAIT_MS = 100
"""So long a record may wait behind a fetch that found nothing."""
Known = TypeVar("Known")


class Follower(ABC, Generic[Known]):
    """Keeps what is known true to the topics: read whole by `start`, followed by a thread until `stop`.

    A record that cannot be used is told and passed over; what was known stays. `start` may be called again after it
    raised, `stop` whether it was called or not.
    """

    wrong: ClassVar[tuple[type[Exception], ...]] = (ContractError, msgspec.DecodeError)
    """What `_apply` raises for a record that cannot be used. Anything else ends the thread."""

    def __init__(
        self,
        name: str,
        known: Known,
        followed: Sequence[Topic],
        *,
        brokers: str,
        namespace: str,
        client: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._known = known
        self._topics = {namespace + topic.name: topic for topic in followed}
        self._behind: set[str] = set()
        """Topics of which `start` has not seen the end yet."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=name, daemon=True)
        self._consumer = Consumer(
            {
                **kafka_client(brokers, name),
                "group.id": UNCOMMITTED,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": WAIT_MS,
                **client,
            }
        )

    def start(self) -> Known:
        """Reads what is there, then follows. Raises confluent_kafka.KafkaException when Kafka is not reachable."""
        places, self._behind = self._begin()
        self._consumer.assign(places)
        while self._behind:
            self._take(self._consumer.consume(_AT_ONCE, 0.2))
        self._caught_up()
        self._thread.start()
        return self._known

    def stop(self) -> None:
        """Ends the thread and closes the consumer."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        LAGS.forget(self._consumer)
        self._consumer.close()

    def _begin(self) -> tuple[list[TopicPartition], set[str]]:
        """Where to begin, and the topics whose end is waited for. A topic that is not there is not followed."""
        there = self._there()
        return [TopicPartition(name, 0, 0) for name in sorted(there)], there

    def _there(self) -> set[str]:
        known = self._consumer.list_topics(timeout=30).topics
        return {name for name in self._topics if name in known}

    def _follow(self) -> None:
        while not self._stopping.is_set():
            LAGS.note(self._thread.name, self._consumer)
            self._take(self._consumer.consume(_AT_ONCE, 0.5))

    def _take(self, messages: Iterable[Message]) -> None:
        for message in records(messages, self._behind, self._unreachable):
            try:
                self._apply(message)
            except self.wrong as wrong:
                self._refused(message, str(wrong))

    @abstractmethod
    def _apply(self, message: Message) -> None:
        """Takes one record, or raises one of `wrong` and changes nothing."""

    @abstractmethod
    def _unreachable(self, error: KafkaError) -> None:
        """Logs an error of the client, which goes on by itself."""

    @abstractmethod
    def _refused(self, message: Message, reason: str) -> None:
        """Logs a record that cannot be used."""

    def _caught_up(self) -> None:
        """Called once all is read, before the thread begins."""


def start_all(*followers: Follower[Any]) -> None:
    """Starts them at once: each waits for the ends of its topics. Raises what one of them raised."""
    with ThreadPoolExecutor(len(followers), "followers") as pool:
        for started in [pool.submit(follower.start) for follower in followers]:
            started.result()


def records(
    messages: Iterable[Message], behind: set[str], unreachable: Callable[[KafkaError], None]
) -> Iterator[Message]:
    """The records among what was consumed. A topic that ends leaves `behind`; other errors go to `unreachable`."""
    for message in messages:
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            behind.discard(message.topic() or "")
        else:
            unreachable(error)
