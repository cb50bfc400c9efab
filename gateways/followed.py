"""What is in force, kept at hand: followed in the background, and said to be away until it was read once."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from confluent_kafka import KafkaException

from dispatch.inputs.follower import Follower
from dispatch.log import logs
from gateways.problems import unreachable

T = TypeVar("T")
_AGAIN_S = 1.0
logger = logs.get("gateways.followed")


class Followed(Generic[T]):
    """Keeps something true to its topics, between `start` and `stop`."""

    def __init__(self, name: str, known: T, make: Callable[[T], Follower[Any]]) -> None:
        self._name, self._known, self._make = name, known, make
        self._read = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"{name} in force", daemon=True)

    @property
    def known(self) -> bool:
        """Whether it was read."""
        return self._read.is_set()

    @property
    def now(self) -> T:
        """As it is known now. Raises Problem 503 when it was not read yet: nothing is guessed."""
        if not self.known:
            raise unreachable(f"The topic of the {self._name}")
        return self._known

    def start(self) -> None:
        """Does not wait for Kafka."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the following."""
        self._stopping.set()
        self._thread.join(5)

    def _follow(self) -> None:
        follower = self._make(self._known)
        while not self._stopping.is_set():
            try:
                follower.start()
            except KafkaException as error:
                logger.warning("topic_not_read", what=self._name, reason=error.args[0].str())
                self._stopping.wait(_AGAIN_S)
                continue
            self._read.set()
            self._stopping.wait()
            follower.stop()
