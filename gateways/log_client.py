"""A gateway's side of Kafka: commands out, replies to this slot in. What drivers are told is read by `sockets.feed`."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import Reply
from dispatch.log import logs
from dispatch.log.connecting import kafka_client
from dispatch.log.reading import watermarks
from gateways.problems import unreachable
from gateways.tail import tail

_PUT_S = 5.0
logger = logs.get("gateways.log_client")


class Posted:
    """A record on its way. `taken`: Kafka has it; read from any thread."""

    __slots__ = ("_answered", "_client", "_settled", "taken")

    def __init__(self, client: "LogClient") -> None:
        self._client = client
        self._settled: asyncio.Future[None] | None = None
        self._answered = self.taken = False

    def delivered(self, error: KafkaError | None, _message: Message) -> None:
        """Kafka's answer, on the client's thread."""
        self.taken = error is None
        self._answered = True
        self._client.heard(error)
        settled = self._settled
        if settled is not None:
            settled.get_loop().call_soon_threadsafe(_settle, settled)

    async def taken_within(self, limit_s: float) -> bool:
        """Waits for Kafka's answer; whether it has taken the record."""
        settled = self._settled = asyncio.get_running_loop().create_future()
        if not self._answered:  # before the line above it woke nobody
            await asyncio.wait({settled}, timeout=limit_s)
        return self.taken


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class LogClient:
    """One producer, and a thread that reads replies. Futures wake on the event loop, once a batch."""

    def __init__(self, brokers: str, namespace: str, slot: int) -> None:
        self._brokers, self._namespace, self._slot = brokers, namespace, slot
        self._waiting: dict[tuple[str, str], asyncio.Future[Reply]] = {}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._states = {"commands": "up", "replies": "starting"}
        self._loop: asyncio.AbstractEventLoop
        self._producer = Producer(
            {
                **kafka_client(brokers, f"gateway-{slot}"),
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 1,
                "partitioner": "murmur2_random",
                "message.timeout.ms": 10_000,
            }
        )

    def parts(self) -> dict[str, str]:
        """For /ready."""
        return dict(self._states)

    def start(self) -> None:
        """Begins reading. Called on the event loop."""
        self._loop = asyncio.get_running_loop()
        reader = threading.Thread(target=self._read, name="replies", daemon=True)
        self._threads.append(reader)
        reader.start()
        poller = threading.Thread(target=self._poll, name="deliveries", daemon=True)
        self._threads.append(poller)
        poller.start()

    def stop(self) -> None:
        """Ends the threads; what was sent is flushed."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)
        self._producer.flush(5)

    def send(self, topic: topics.Topic, key: str, record: msgspec.Struct) -> "Posted":
        """Queues a record, which Kafka may never take: for signs of life. Raises Problem 503 when the queue is full."""
        posted = Posted(self)
        try:
            self._producer.produce(
                self._namespace + topic.name, codec.encode(record), key.encode(), on_delivery=posted.delivered
            )
        except (BufferError, KafkaException) as error:
            raise unreachable("Kafka") from error
        return posted

    async def put(self, topic: topics.Topic, key: str, record: msgspec.Struct, timeout_s: float = _PUT_S) -> None:
        """Sends a record and waits until Kafka has it. Raises Problem 503: it may not have it, or have it later."""
        posted = self.send(topic, key, record)
        if not await posted.taken_within(timeout_s):
            raise unreachable("Kafka")

    async def ask(self, topic: topics.Topic, key: str, command: Any, timeout_s: float) -> Reply | None:
        """Sends a command and waits for its decision; None: not decided in time, but Kafka has it.

        Raises Problem 503 when Kafka has not taken it in time: it may take it later, or never, so nothing is promised.
        """
        posted: list[Posted] = []
        reply = await self.wait(
            command.command_id, "decided", timeout_s, lambda: posted.append(self.send(topic, key, command))
        )
        if reply is None and not posted[0].taken:
            raise unreachable("Kafka")
        return reply

    async def wait(
        self, command_id: str, stage: str, timeout_s: float, begin: Callable[[], None] = lambda: None
    ) -> Reply | None:
        """Waits for a reply of one stage."""
        future = self._waiting.get((command_id, stage))
        if future is None:
            future = self._waiting[command_id, stage] = self._loop.create_future()
        try:
            begin()
            return await asyncio.wait_for(asyncio.shield(future), timeout_s)
        except TimeoutError:
            return None
        finally:
            self._waiting.pop((command_id, stage), None)

    @property
    def slot(self) -> int:
        """The partition of replies that is this gateway's."""
        return self._slot

    def expect(self, command_id: str, stage: str) -> None:
        """Says before a command is sent that a later stage will be waited for."""
        self._waiting[command_id, stage] = self._loop.create_future()

    def forget(self, command_id: str, stage: str) -> None:
        """Says that it is not waited for any more."""
        self._waiting.pop((command_id, stage), None)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)

    def heard(self, error: KafkaError | None) -> None:
        """Whether Kafka takes what is sent, for /ready."""
        self._states["commands"] = "up" if error is None else error.str()
        if error is not None:
            logger.error("kafka_error", reason=error.str())

    def _read(self) -> None:
        tail(self._brokers, self._stopping, self._assign_end, self._hand_over, told=self._tell_replies)

    def _tell_replies(self, state: str) -> None:
        self._states["replies"] = state

    def _assign_end(self, consumer: Consumer) -> None:
        """From the present end on: nobody waits for what came before."""
        name = self._namespace + topics.REPLIES.name
        consumer.list_topics(name, timeout=5)  # fails soon when Kafka is away
        place = TopicPartition(name, self._slot)
        place.offset = watermarks(consumer, place)[1]
        consumer.assign([place])
        self._tell_replies("up")

    def _hand_over(self, messages: list[Message]) -> None:
        records = []
        for message in messages:
            error = message.error()
            if error is not None:
                self._states["replies"] = error.str()
                continue
            self._states["replies"] = "up"
            try:
                record = codec.decode(message.value())
            except ContractError as wrong:
                logger.error("poison", topic=message.topic(), partition=message.partition(), offset=message.offset(),
                             reason=str(wrong))  # fmt: skip
                continue
            records.append(record)
        if records:
            self._loop.call_soon_threadsafe(self._take, records)

    def _take(self, records: list[Any]) -> None:
        for record in records:
            if isinstance(record, Reply):
                future = self._waiting.get((record.command_id, record.stage))
                if future is not None and not future.done():
                    future.set_result(record)
