"""The loop on a real broker: what the log says after something went wrong."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from account import Accounts, application, rates, value
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from deploy.local import Addresses
from dispatch.log import topics
from dispatch.log.application import Message
from dispatch.log.envelope import Envelope, dump
from dispatch.log.errors import Aborted, Fenced, Misconfigured, OutcomeUnknown
from dispatch.log.journal import FileOfJournal, Journal, Taken
from dispatch.log.producers import Producers
from dispatch.log.reading import read_all
from dispatch.log.restore import restore
from dispatch.log.settings import HostSettings
from dispatch.log.store import PartitionStore
from dispatch.log.transaction import TransactionalProducer
from dispatch.log.worker import Worker
from dispatch.metrics.host import TRANSACTIONS

pytestmark = pytest.mark.servers
PARTITIONS = 2


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Bank:
    """One namespace with its topics, and workers in threads."""

    def __init__(self, brokers: str, namespace: str) -> None:
        self.brokers, self.namespace = brokers, namespace
        names = ("commands", "state", "events", "letters")
        topics.create(brokers, [topics.TopicSpec(namespace + name, PARTITIONS, {}) for name in names])
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 1})
        self._running: list[tuple[threading.Thread, threading.Event]] = []
        self._sent = 0

    def send(self, account: str, op: str = "add", n: int = 1, *, stamp_ms: int = 0, raw: bytes | None = None) -> None:
        self._sent += 1
        body = value(account, str(self._sent), op, n) if raw is None else raw
        self._producer.produce(self.namespace + "commands", body, account.encode(), timestamp=stamp_ms)

    def flush(self) -> None:
        assert self._producer.flush(20) == 0

    def settings(self, slot: int = 0, journal: Path | None = None) -> HostSettings:
        return HostSettings(self.brokers, self.namespace + "bank", slot, journal=journal)

    def opens(self, slot: int = 0, lookup: Any = rates, journal: Path | None = None) -> Worker:
        worker, stop = Worker(self.settings(slot, journal), application(self.namespace, lookup)), threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
        thread.start()
        self._running.append((thread, stop))
        return worker

    def closes(self) -> None:
        for _, stop in self._running:
            stop.set()
        for thread, _ in self._running:
            thread.join(30)
        self._running = []

    def read(self, topic: str) -> list[Any]:
        return [json.loads(record.value or b"null") for record in read_all(self.brokers, [self.namespace + topic])]

    def wait(self, topic: str, count: int, limit_s: float = 20) -> list[Any]:
        return until(lambda: self.read(topic), lambda found: len(found) >= count, limit_s)


def until(read: Callable[[], Any], enough: Callable[[Any], bool], limit_s: float) -> Any:
    end = time.monotonic() + limit_s
    while not enough(found := read()):
        assert time.monotonic() < end, f"not seen within {limit_s:g} s: {found}"
        time.sleep(0.05)
    return found


@pytest.fixture
def bank(servers: Addresses, namespace: str) -> Iterator[Bank]:
    opened = Bank(servers.kafka, namespace)
    yield opened
    opened.closes()


def balances(events: list[Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in events:
        found.setdefault(event["account"], []).append(event["balance"])
    return found


def each_counted_once(bank: Bank, accounts: int, times: int) -> None:
    events = bank.wait("events", accounts * times)
    assert balances(events) == {f"a{number}": list(range(1, times + 1)) for number in range(accounts)}


def deposits(bank: Bank, accounts: int, times: int) -> None:
    for _ in range(times):
        for number in range(accounts):
            bank.send(f"a{number}")
    bank.flush()


def failing(times: int, error: Exception, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, which raises the first few times before it does anything."""
    left = [times]

    def fails(*arguments: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return call(*arguments, **named)

    return fails


@pytest.mark.parametrize("step", ["initialise", "begin", "send", "flush", "send_offsets"])
def test_no_command_is_skipped_or_doubled_when_a_step_of_the_transaction_fails(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    call = getattr(TransactionalProducer, step)
    monkeypatch.setattr(TransactionalProducer, step, failing(2, Aborted("said the test"), call))
    deposits(bank, 4, 5)
    bank.opens()
    each_counted_once(bank, 4, 5)


def test_no_command_is_skipped_when_the_facts_are_not_to_be_had(bank: Bank) -> None:
    bank.opens(lookup=failing(2, ConnectionError("nobody answers"), rates))
    for _ in range(3):
        bank.send("a", "deposit")
    bank.flush()
    assert balances(bank.wait("events", 3)) == {"a": [1, 3, 7]}


def test_a_commit_that_was_made_but_not_answered_is_not_made_again(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, left = TransactionalProducer.commit, [2]

    def unanswered(self: TransactionalProducer) -> None:
        commit(self)
        if left[0]:
            left[0] -= 1
            raise OutcomeUnknown("the answer was lost")

    monkeypatch.setattr(TransactionalProducer, "commit", unanswered)
    deposits(bank, 4, 3)
    bank.opens()
    each_counted_once(bank, 4, 3)
    deposits(bank, 4, 2)
    each_counted_once(bank, 4, 5)
    assert left == [0]


def test_a_commit_that_was_not_made_and_not_answered_is_made(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = failing(2, OutcomeUnknown("the request was lost"), TransactionalProducer.commit)
    monkeypatch.setattr(TransactionalProducer, "commit", lost)
    deposits(bank, 4, 3)
    bank.opens()
    each_counted_once(bank, 4, 3)


def test_poison_is_set_aside_with_its_place_and_the_next_record_is_handled(bank: Bank) -> None:
    for raw in (b"{", b"\xff", value("another", "x")):
        bank.send("a", raw=raw)
    bank.send("a", "raise")
    bank.send("a", "grow", 4_100_000)
    bank.send("a", stamp_ms=now_ms() + 60_000)
    bank.send("a")
    bank.flush()
    bank.opens()
    assert balances(bank.wait("events", 1)) == {"a": [1]}
    assert sorted(letter["offset"] for letter in bank.read("letters")) == [0, 1, 2, 3, 4, 5]


def test_a_poison_timer_is_dead_lettered_once_whatever_starts_again(bank: Bank) -> None:
    bank.opens()
    bank.send("a", "arm_poison", now_ms())
    bank.flush()
    assert [letter["reason"] for letter in bank.wait("letters", 1)] == ["a timer asked to raise"]
    for round_ in range(2):
        bank.closes()
        bank.opens()
        bank.send("a")
        bank.flush()
        bank.wait("events", 2 + round_)
        time.sleep(0.5)
    assert len(bank.read("letters")) == 1


def test_a_timer_that_kills_the_process_is_set_aside_after_three_deaths_and_the_others_fire(
    bank: Bank, tmp_path: Path
) -> None:
    at_ms = now_ms() + 500
    for account in ("a", "b"):
        bank.send(account, "arm", at_ms)
    bank.send("c", "arm_deadly", at_ms)
    bank.flush()
    command = [sys.executable, str(Path(__file__).with_name("bank_worker.py")), bank.brokers, bank.namespace]
    for death in range(3):
        process = subprocess.Popen([*command, str(tmp_path / "journal")])
        assert process.wait(40) == 9, death
    bank.opens(journal=tmp_path / "journal")
    letters = bank.wait("letters", 1)
    fired = until(lambda: [event["account"] for event in bank.read("events") if event["op"] == "fired"],
                  lambda accounts: len(accounts) >= 2, 20)  # fmt: skip
    assert sorted(fired) == ["a", "b"]
    bank.closes()
    bank.opens()
    bank.send("c")
    bank.flush()
    assert balances(bank.wait("events", 6))["c"] == [0, 1]
    assert [letter["reason"] for letter in letters] == ["the process died at this timer three times"]
    assert len(bank.read("letters")) == 1


@pytest.mark.parametrize("in_hand", [5, 300])
def test_after_a_death_what_was_in_hand_is_taken_apart_and_soon(bank: Bank, tmp_path: Path, in_hand: int) -> None:
    """What was in hand is the first of each partition, and the client gives all that it has of one before the other."""
    deposits(bank, accounts=40, times=50)
    file = tmp_path / "journal" / "slot-0.json"
    journal = Journal(FileOfJournal(file))
    journal.take(
        Taken(bank.namespace + "commands", number, offset) for number in range(PARTITIONS) for offset in range(in_hand)
    )
    journal.close()
    before = TRANSACTIONS._value.get()
    bank.opens(journal=file)
    bank.wait("events", 40 * 50)
    each_counted_once(bank, accounts=40, times=50)
    assert 5 * PARTITIONS <= TRANSACTIONS._value.get() - before < 200, "one by one, or a fiftieth at a time"
    until(lambda: Journal(FileOfJournal(file)).suspicious, lambda suspicious: not suspicious, 10)  # after the commit


def test_a_restore_waits_for_what_another_has_open(bank: Bank) -> None:
    accounts = Accounts(bank.namespace)
    other = Producer({"bootstrap.servers": bank.brokers, "transactional.id": f"{bank.namespace}other"})
    other.init_transactions(20)
    other.begin_transaction()
    kept = dump(Envelope(1, 0, (), (), accounts.dump(accounts.initial("a")._replace(balance=5))))
    other.produce(accounts.state_topic, kept, b"a", 0)
    assert other.flush(10) == 0
    store, done = PartitionStore(accounts, 0), threading.Event()
    thread = threading.Thread(target=lambda: (restore(bank.settings(), [store]), done.set()))
    thread.start()
    assert not done.wait(1.0)
    other.commit_transaction(10)
    assert done.wait(10)
    thread.join(10)
    assert store.get("a").state.balance == 5


def test_a_worker_that_starts_again_knows_states_commands_and_timers_and_what_was_forgotten(bank: Bank) -> None:
    bank.opens()
    bank.send("a", n=7)
    bank.send("b", n=7)
    bank.send("b", "close")
    bank.send("c", "arm", now_ms() + 1_500)
    repeated = value("a", "the same")
    bank.send("a", raw=repeated)
    bank.flush()
    bank.wait("events", 5)
    bank.closes()
    bank.opens()
    bank.send("a", raw=repeated)
    bank.send("b")
    bank.flush()
    events = bank.wait("events", 8)
    assert sum(event["op"] == "repeat" for event in events) == 1
    assert [event["balance"] for event in events if event.get("account") == "b"] == [7, 7, 1]
    assert [event["op"] for event in events if event.get("account") == "c"] == ["arm", "fired"]


def test_what_came_in_time_wins_over_the_timer_even_when_its_transaction_is_tried_again(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = bank.opens()
    until(lambda: len(worker._owned), lambda owned: owned == PARTITIONS, 20)
    at_ms = now_ms() + 5_000
    bank.send("a", "arm", at_ms)
    bank.flush()
    bank.wait("events", 1)
    bank.closes()
    time.sleep(max(0, at_ms + 200 - now_ms()) / 1000)
    bank.send("a", "disarm", stamp_ms=at_ms - 10)
    bank.send("a", stamp_ms=at_ms + 10)
    bank.flush()
    flush = failing(3, Aborted("said the test"), TransactionalProducer.flush)
    monkeypatch.setattr(TransactionalProducer, "flush", flush)
    bank.opens()
    assert [event["op"] for event in bank.wait("events", 3)] == ["arm", "disarm", "add"]
    time.sleep(0.5)
    assert len(bank.read("events")) == 3


def test_a_second_worker_takes_its_share_and_gives_it_back(bank: Bank) -> None:
    first = bank.opens(0)
    deposits(bank, 8, 3)
    each_counted_once(bank, 8, 3)
    second = bank.opens(1)
    until(lambda: (len(first._owned), len(second._owned)), lambda owned: owned == (1, 1), 20)
    deposits(bank, 8, 3)
    each_counted_once(bank, 8, 6)


def stands_still(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_who_was_thrown_out_before_it_joined_again_decides_nothing_on_what_it_remembers(bank: Bank) -> None:
    """Frozen between losing its partition and joining again, for longer than the session; then it gets it back."""
    first = bank.opens(0)
    until(lambda: len(first._owned), lambda owned: owned == 2, 40)
    command = [sys.executable, str(Path(__file__).with_name("frozen_worker.py")), bank.brokers, bank.namespace]
    frozen = subprocess.Popen(command)
    try:
        until(lambda: len(first._owned), lambda owned: owned == 1, 40)
        deposits(bank, 8, 3)
        bank.wait("events", 8 * 3, 40)
        third = bank.opens(2)
        until(lambda: stands_still(frozen.pid), bool, 40)
        until(lambda: len(third._owned), lambda owned: owned == 1, 40)
        deposits(bank, 8, 3)
        bank.wait("events", 8 * 6, 40)
        frozen.send_signal(signal.SIGCONT)
        until(lambda: len(third._owned), lambda owned: owned == 0, 40)
        deposits(bank, 8, 3)
        each_counted_once(bank, 8, 9)
    finally:
        frozen.kill()
        frozen.wait(20)


def test_a_topic_that_is_there_with_other_partitions_is_refused_with_the_way_out(bank: Bank) -> None:
    spec = topics.TopicSpec(bank.namespace + "commands", PARTITIONS, {})
    assert topics.create(bank.brokers, [spec]) == 0
    with pytest.raises(Misconfigured, match="has 2 partitions and 3 are wanted"):
        topics.create(bank.brokers, [topics.TopicSpec(spec.name, 3, {})])


def test_an_error_of_the_client_is_named_by_what_to_do(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    producer = TransactionalProducer(bank.settings().producers()[0])
    with pytest.raises(Aborted, match="begin_transaction"):
        producer.begin()
    timed_out = KafkaException(KafkaError(KafkaError._TIMED_OUT))

    class Silent:
        def commit_transaction(self, _limit_s: float) -> None:
            raise timed_out

    monkeypatch.setattr(producer, "_producer", Silent())
    with pytest.raises(OutcomeUnknown, match="commit not answered"):
        producer.commit()


def test_what_was_left_open_is_ended_in_every_partition_and_what_may_be_committed_is_left_alone(bank: Bank) -> None:
    """A killed broker may not have marked the end, and the next commit would commit it (docs/decisions/0003)."""
    producers = Producers(bank.settings().producers())
    outputs = [bank.namespace + name for name in ("events", "state", "letters")]
    for asks_for_commit in (True, False):
        producers.reopen()
        producers.begin()
        producers.send([Message(outputs[0], b"ana", b"{}", 0)])
        if asks_for_commit:
            producers.commit()
        producers.reopen()
        producers.sweep(outputs, [], None)
        written = read_all(bank.brokers, outputs, committed=False)
        swept = {(record.topic, record.partition) for record in written if record.key == b"swept"}
        everywhere = {(topic, number) for topic in outputs for number in range(PARTITIONS)}
        assert swept == (set() if asks_for_commit else everywhere)
    assert [record.key for record in read_all(bank.brokers, outputs)] == [b"ana"]


def test_what_a_refused_commit_left_open_is_ended_too(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not made: what an abort without an answer leaves must not be committed by the next one."""
    producers = Producers(bank.settings().producers())
    outputs = [bank.namespace + "events"]
    producers.reopen()
    producers.begin()
    producers.send([Message(outputs[0], b"ana", b"{}", 0)])
    with monkeypatch.context() as patched:
        patched.setattr(TransactionalProducer, "commit", failing(1, Aborted("said the test"), lambda _self: None))
        with pytest.raises(Aborted):
            producers.commit()
    producers.reopen()
    producers.sweep(outputs, [], None)
    written = read_all(bank.brokers, outputs, committed=False)
    assert {record.partition for record in written if record.key == b"swept"} == set(range(PARTITIONS))


def test_what_was_acknowledged_is_aborted_under_its_own_epoch_and_the_producer_goes_on(bank: Bank) -> None:
    producers, events = Producers(bank.settings().producers()), bank.namespace + "events"
    producers.reopen()
    for number in range(4):
        producers.begin()
        producers.send([Message(events, b"ana", b"%d" % number, 0)])
        producers.flush()
        if number % 2:
            producers.commit()
        else:
            producers.abort()
    assert bank.read("events") == [1, 3]


def test_what_was_never_acknowledged_is_ended_by_a_higher_epoch_and_refused_if_it_comes_late(bank: Bank) -> None:
    producers, events = Producers(bank.settings().producers()), bank.namespace + "events"
    producers.reopen()
    producers.begin()
    producers.send([Message(events, b"ana", b"1", 0)])
    late = producers._now
    with pytest.raises(OutcomeUnknown, match="never acknowledged"):
        producers.abort()
    producers.reopen()
    with pytest.raises((Aborted, Fenced)):
        late.commit()
    producers.sweep([events], [], None)
    producers.begin()
    producers.send([Message(events, b"ana", b"2", 0)])
    producers.commit()
    assert bank.read("events") == [2]


def test_transactions_of_producers_that_take_turns_are_read_in_the_order_in_which_they_were_made(bank: Bank) -> None:
    producers = Producers(bank.settings().producers())
    producers.reopen()
    for number in range(20):
        producers.begin()
        producers.send([Message(bank.namespace + "events", b"ana", b"%d" % number, 0)])
        producers.commit()
    assert bank.read("events") == list(range(20))


def test_a_sweep_that_hangs_is_seen_by_the_watchdog_and_over_when_it_fails(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, open_for_s = Worker(bank.settings(), application(bank.namespace, rates)), []

    def sweeps(*_: Any) -> None:
        open_for_s.append(worker.open_for_s())
        raise Aborted("said the test")

    monkeypatch.setattr(Producers, "sweep", sweeps)
    worker._consumer = Consumer(bank.settings().consumer())
    with pytest.raises(Aborted, match="said the test"):
        worker._sweep(TopicPartition(f"{bank.namespace}commands", 0))
    worker._consumer.close()
    assert open_for_s[0] > 0
    assert worker.open_for_s() == 0
