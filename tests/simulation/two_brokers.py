"""The same words for a real broker and the simulated one, so that the same cases are held against both."""

import time
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from dispatch.log import topics
from dispatch.log.settings import HostSettings
from dispatch.simulation.broker import Broker
from dispatch.simulation.consumer import SimulatedConsumer
from dispatch.simulation.loop import SECOND_US, Loop, Task
from dispatch.simulation.producer import SimulatedProducer

PARTITIONS = 2


class Kafka(Protocol):
    """One of the two. `live` runs a case in it."""

    name: str
    topic: str

    def producer(self, name: str, timeout_ms: int = 5_000) -> Any: ...
    def consumer(self, slot: int) -> Any: ...
    def reader(self, *, committed: bool) -> Any: ...
    def rest(self, seconds: float) -> None: ...
    def live(self, case: Callable[[], None]) -> None: ...


def settings(brokers: str, prefix: str, slot: int = 0) -> HostSettings:
    return HostSettings(brokers, f"{prefix}group", slot)


class RealKafka:
    """The servers of the tests."""

    name = "real"

    def __init__(self, brokers: str, prefix: str) -> None:
        self._brokers, self._prefix = brokers, prefix
        self._open: list[Any] = []
        self.topic = f"{prefix}things"
        topics.create(brokers, [topics.TopicSpec(self.topic, PARTITIONS, {})])

    def producer(self, name: str, timeout_ms: int = 5_000) -> Any:
        made = settings(self._brokers, self._prefix).producers()[0]
        return Producer(made | {"transactional.id": f"{self._prefix}{name}", "transaction.timeout.ms": timeout_ms})

    def consumer(self, slot: int) -> Any:
        return self._kept(Consumer(settings(self._brokers, self._prefix, slot).consumer()))

    def reader(self, *, committed: bool) -> Any:
        made = settings(self._brokers, self._prefix)
        return self._kept(Consumer(made.reader() if committed else made.asker()))

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def live(self, case: Callable[[], None]) -> None:
        try:
            case()
        finally:
            for consumer in self._open:
                consumer.close()

    def _kept(self, consumer: Any) -> Any:
        self._open.append(consumer)
        return consumer


class SimulatedKafka:
    """The simulated broker, and one machine on which every client of the case lives."""

    name = "simulated"
    topic = "things"
    is_dead = is_cut = False

    def __init__(self, seed: int = 1) -> None:
        self.loop, self.chance = Loop(), Random(f"{seed} contract")
        self._broker = Broker(self.loop, Random(f"{seed} broker"), {self.topic: PARTITIONS})
        self._task: Task

    def producer(self, name: str, timeout_ms: int = 5_000) -> Any:
        made = settings("", "").producers()[0]
        return SimulatedProducer(
            self, self._broker, made | {"transactional.id": name, "transaction.timeout.ms": timeout_ms}
        )

    def consumer(self, slot: int) -> Any:
        return SimulatedConsumer(self, self._broker, settings("", "", slot).consumer())

    def reader(self, *, committed: bool) -> Any:
        made = settings("", "")
        return SimulatedConsumer(self, self._broker, made.reader() if committed else made.asker())

    def rest(self, seconds: float) -> None:
        self.sleep(round(seconds * SECOND_US))

    def live(self, case: Callable[[], None]) -> None:
        raised: list[BaseException] = []

        def run() -> None:
            try:
                case()
            except BaseException as error:  # noqa: BLE001 - handed over to the test, outside of the task
                raised.append(error)

        self._task = Task(self.loop, run)
        self._task.start()
        self.loop.run(600 * SECOND_US)
        assert self._task.is_over
        if raised:
            raise raised[0]

    # a Machine

    def sleep(self, wait_us: int) -> None:
        self._task.sleep(wait_us)

    def wait(self, wait_us: int) -> None:
        self._task.wait(wait_us)

    def wake(self, wait_us: int) -> None:
        self._task.wake(wait_us)

    def point(self, step: str) -> None:
        """Nothing goes wrong by itself."""

    def clock_ms(self) -> int:
        return self.loop.now_ms


def everything(kafka: Kafka, *, committed: bool = True) -> dict[int, list[bytes]]:
    """What a reader sees in each partition, up to its end, when every mark is written."""
    kafka.rest(0.5)
    reader = kafka.reader(committed=committed)
    reader.assign([TopicPartition(kafka.topic, number, 0) for number in range(PARTITIONS)])
    found: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    left = set(found)
    while left:
        for message in reader.consume(100, 0.2):
            if message.error() is None:
                found[message.partition()].append(message.value())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
    reader.close()
    return found


def refusal(call: Callable[..., object], *arguments: Any) -> KafkaError:
    """What the client says in place of doing it."""
    try:
        call(*arguments)
    except KafkaException as error:
        cause: KafkaError = error.args[0]
        return cause
    raise AssertionError("it was done")
