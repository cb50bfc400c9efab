"""A transactional producer as confluent_kafka's: messages travel when flushed, each partition's on its own way."""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from dispatch.simulation.broker import Broker
from dispatch.simulation.consumer import Got, topics_of
from dispatch.simulation.errors import AskAgain, error, fail
from dispatch.simulation.group import Membership
from dispatch.simulation.loop import MS_US
from dispatch.simulation.machine import REFUSED, Machine, asked, latency_us
from dispatch.simulation.partition import Partition
from dispatch.simulation.transactions import Identity

_LATE_US = 50 * MS_US
"""Mostly after the end of the transaction that it belongs to."""
Told = Callable[[KafkaError | None, Any], None]


class _Queued(NamedTuple):
    key: bytes | None
    value: bytes | None
    stamp_ms: int
    told: Told | None


class SimulatedProducer:
    """One `Producer`. Its states are librdkafka's: ready, in a transaction, to be aborted, beyond repair."""

    def __init__(self, machine: Machine, broker: Broker, settings: dict[str, Any]) -> None:
        self._machine, self._broker = machine, broker
        self._name: str = settings["transactional.id"]
        self._timeout_us = int(settings["transaction.timeout.ms"]) * MS_US
        self._identity: Identity | None = None
        self._epoch = -1
        self._queues: dict[tuple[str, int], list[_Queued]] = {}
        self._in_transaction = False
        self._is_in_log = False
        self._on_the_way = self._number = 0
        self._abortable: KafkaError | None = None
        self._fatal: KafkaError | None = None
        self._reports: list[tuple[Told, KafkaError | None, Got | None]] = []

    def init_transactions(self, timeout: float) -> None:
        """Takes the identity over."""
        transactions = self._broker.transactions
        identity = asked(
            self._machine, self._broker, "init", timeout,
            lambda: transactions.begin_identity(self._name, self._timeout_us),
        )  # fmt: skip
        self._identity, self._epoch = identity, identity.epoch

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> Any:
        """What topics there are."""
        return asked(self._machine, self._broker, "list_topics", timeout, lambda: topics_of(self._broker, topic))

    def begin_transaction(self) -> None:
        """Nothing is asked of the brokers for it."""
        self._refuse_if_fatal()
        if self._identity is None or self._in_transaction:
            fail(KafkaError._STATE, "not ready for a transaction")
        wrong = self._machine.point("begin")
        if wrong is not None and wrong[0] == REFUSED:
            fail(KafkaError._INCONSISTENT, "begin: refused", retriable=True)
        self._in_transaction, self._is_in_log, self._abortable = True, False, None
        self._number += 1

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        on_delivery: Told | None = None,
    ) -> None:
        """Queues a message."""
        self._refuse_if_fatal()
        if not self._in_transaction:
            fail(KafkaError._STATE, "no transaction is open")
        place = (topic, partition if partition >= 0 else self._broker.partition_of(topic, key or b"").number)
        self._queues.setdefault(place, []).append(_Queued(key, value, self._machine.clock_ms(), on_delivery))

    def poll(self, timeout: float = -1) -> int:
        """Tells what was delivered."""
        self._machine.sleep(round(max(0.0, timeout) * 1_000_000))
        return self._tell()

    def flush(self, timeout: float = -1) -> int:
        """Waits until all is delivered or refused; how much is neither."""
        machine, loop = self._machine, self._machine.loop
        until_us = loop.now_us + round(timeout * 1_000_000)
        wrong = machine.point("flush")
        if wrong is not None and wrong[0] == REFUSED:
            self._lose_one()
        self.send_queued()
        while self._on_the_way and loop.now_us < until_us:
            machine.wait(until_us - loop.now_us)
        self._tell()
        return self._on_the_way

    def send_queued(self, share: float = 1.0) -> None:
        """What the client's own thread does. Who dies may have sent a part, each partition from the front."""
        queues, self._queues = self._queues, {}
        chance = self._machine.chance
        waves: tuple[list[tuple[Partition, list[_Queued]]], ...] = ([], [], [])
        for place, queue in queues.items():
            sent = queue if share >= 1 else queue[: chance.randrange(len(queue) + 1)]
            if sent:
                self._on_the_way += len(sent)
                waves[int(chance.random() * len(waves))].append((self._broker.partition(*place), sent))
        for wave in waves:
            if wave:
                self._machine.loop.after(2 * latency_us(self._machine), self._arrive_all, wave, self._number)

    def _arrive_all(self, wave: list[tuple[Partition, list[_Queued]]], number: int) -> None:
        """What was purged meanwhile, for its transaction is aborted, does not arrive."""
        if number != self._number or not self._in_transaction:
            return
        for partition, sent in wave:
            self._arrive(partition, sent)
        self._machine.wake(latency_us(self._machine))

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: Membership, timeout: float = -1
    ) -> None:
        """Offsets as part of the transaction. Without any nobody is asked, as by librdkafka, nor fenced."""
        self._refuse_if_broken()
        if not positions:
            return
        broker = self._broker
        offsets = {(part.topic, part.partition): part.offset for part in positions}

        def answer() -> None:
            group = broker.group(group_metadata.group)
            broker.transactions.add_offsets(self._name, self._epoch, group, offsets, group_metadata)

        self._ask("offsets", timeout, answer)
        self._is_in_log = True

    def commit_transaction(self, timeout: float = -1) -> None:
        """Flushes, and asks for the end."""
        self._refuse_if_broken()
        self.flush(timeout)
        self._refuse_if_broken()
        self._end("commit", timeout, commit=True)

    def abort_transaction(self, timeout: float = -1) -> None:
        """Purges what is queued or on its way, and asks for the end."""
        self._refuse_if_fatal()
        self._queues, self._reports = {}, []
        self._on_the_way, self._number = 0, self._number + 1
        self._end("abort", timeout, commit=False)

    def _end(self, step: str, timeout: float, *, commit: bool) -> None:
        if not self._in_transaction:
            fail(KafkaError._STATE, "no transaction is open")
        transactions = self._broker.transactions
        if self._is_in_log:
            self._ask(step, timeout, lambda: transactions.end(self._name, self._epoch, commit=commit))
        else:
            self._machine.point(step)
        self._in_transaction, self._abortable = False, None

    def _ask(self, step: str, timeout: float, answer: Callable[[], None]) -> None:
        try:
            asked(self._machine, self._broker, step, timeout, answer)
        except KafkaException as raised:
            cause = raised.args[0]
            if cause.fatal():
                self._fatal = cause
            elif cause.txn_requires_abort():
                self._abortable = cause
            raise

    def _arrive(self, partition: Partition, sent: list[_Queued]) -> None:
        """A partition's messages are at its leader, or come again a little later."""
        transactions, machine = self._broker.transactions, self._machine
        if machine.is_dead and self._broker.is_away:
            return
        if self._broker.is_away or (machine.is_cut and not machine.is_dead):
            machine.loop.after(100 * MS_US, self._arrive_all, [(partition, sent)], self._number)
            return
        wrong: KafkaError | None = None
        first = -1
        try:
            transactions.add(self._name, self._epoch, partition)
            self._is_in_log = True
            for message in sent:
                offset = transactions.append(
                    self._name, self._epoch, partition, message.key, message.value, message.stamp_ms
                )
                first = offset if first < 0 else first
        except AskAgain:
            machine.loop.after(20 * MS_US, self._arrive_all, [(partition, sent)], self._number)
            return
        except KafkaException as raised:
            wrong = raised.args[0]
            self._fatal = wrong
        self._on_the_way -= len(sent)
        for number, message in enumerate(sent):
            if message.told is not None:
                got = Got(partition.topic, partition.number, first + number, message.key, message.value, 0)
                self._reports.append((message.told, wrong, got))

    def _lose_one(self) -> None:
        """A message that is not delivered in its time: the transaction must be aborted.

        It may be on its way all the same, and come after the end to a broker that does not ask whether there was one.
        """
        wrong = error(KafkaError._MSG_TIMED_OUT, "not delivered in time", abort=True)
        for place, queue in self._queues.items():
            lost, partition = queue.pop(), self._broker.partition(*place)
            if lost.told is not None:
                self._reports.append((lost.told, wrong, None))
            self._abortable = wrong
            with contextlib.suppress(AskAgain, KafkaException):
                transactions = self._broker.transactions
                transactions.add(self._name, self._epoch, partition)
                self._is_in_log = True
                self._machine.loop.after(_LATE_US, transactions.append_late, self._name, self._epoch, partition,
                                         lost.key, lost.value, lost.stamp_ms)  # fmt: skip
            return

    def _tell(self) -> int:
        reports, self._reports = self._reports, []
        for told, wrong, got in reports:
            told(wrong, got)
        return len(reports)

    def _refuse_if_fatal(self) -> None:
        if self._machine.is_dead:
            fail(KafkaError._DESTROY, "the process is dead")
        if self._fatal is not None:
            raise KafkaException(self._fatal)

    def _refuse_if_broken(self) -> None:
        self._refuse_if_fatal()
        if self._abortable is not None:
            raise KafkaException(self._abortable)
