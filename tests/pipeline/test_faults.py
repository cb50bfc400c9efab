"""Whatever dies: nothing acknowledged is lost or done twice. Judged from the log alone."""

import signal
import time
import uuid
from typing import Any

import msgspec
import pytest

from deploy.local import Addresses, Kafka
from dispatch import setup
from dispatch.contract import topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.system import DeadLetter, Decision, Reply
from dispatch.core.policy import Policy
from dispatch.log.errors import Aborted, OutcomeUnknown
from dispatch.log.transaction import TransactionalProducer

pytestmark = [pytest.mark.servers, pytest.mark.chaos]
STEPS = ("polled", "looked_up", "begun", "decided", "produced", "flushed", "offsets_sent", "committed", "merged")


def seen(kind: type, count: int = 1) -> Any:
    return lambda records: sum(type(record) is kind for record in records) >= count


def an_evening(dispatch: Any, orders: int) -> list[str]:
    """As many drivers as orders; all sent at once."""
    for number in range(orders):
        dispatch.sign_on(f"driver-{number}")
    names = [dispatch.order(number) for number in range(orders)]
    dispatch.flush()
    return names


def ends(dispatch: Any, names: list[str], limit_s: float = 40) -> None:
    """Every delivery is assigned, then cancelled; then nothing is under way."""
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated, len(names)), limit_s)
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.NoDriverFound, len(names)), limit_s)
    for name in names:
        dispatch.delivery(dc.CancelDelivery, name, "admin", reason="the evening is over")
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCancelled, len(names)), limit_s)
    time.sleep(0.5)


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_any_step_of_the_loop_loses_and_doubles_nothing(
    dispatch: Any, workers: Any, step: str
) -> None:
    names = an_evening(dispatch, 12)
    killed = workers.process(crash_at=f"{step}:2")
    assert killed.wait(30) == -signal.SIGKILL
    workers.thread()
    ends(dispatch, names)
    report = dispatch.check()
    assert report.ok, report.text()
    assert report.counts["deliveries"] == 12


def test_a_worker_killed_again_and_again_under_load_loses_and_doubles_nothing(dispatch: Any, workers: Any) -> None:
    names: list[str] = []
    for round_ in range(3):
        process = workers.process()
        for number in range(50):
            names.append(dispatch.order(1000 * round_ + number))
        dispatch.flush()
        time.sleep(1.0 + 0.3 * round_)
        process.kill()
        process.wait()
    began = time.monotonic()
    workers.thread()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated, len(names)))
    print(f"recovered after {time.monotonic() - began:.1f} s")
    ends(dispatch, names)
    report = dispatch.check()
    assert report.ok, report.text()
    assert report.counts["deliveries"] == len(names)


def test_a_frozen_worker_finds_itself_fenced_and_writes_nothing(dispatch: Any, workers: Any) -> None:
    first = workers.process()
    names = an_evening(dispatch, 10)
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated, 10))
    first.send_signal(signal.SIGSTOP)
    workers.thread()
    names += [dispatch.order(number) for number in range(100, 110)]
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated, 20))
    first.send_signal(signal.SIGCONT)
    assert first.wait(30) == 2
    ends(dispatch, names)
    report = dispatch.check()
    assert report.ok, report.text()


def test_an_idle_worker_whose_slot_another_takes_ends_too(dispatch: Any, workers: Any) -> None:
    first = workers.process()
    names = an_evening(dispatch, 3)
    ends(dispatch, names)
    workers.thread()
    assert first.wait(30) == 2


def test_a_commit_without_an_answer_is_settled_from_the_log(
    dispatch: Any, workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, left = TransactionalProducer.commit, [2]

    def unanswered(self: TransactionalProducer) -> None:
        commit(self)
        if left[0]:
            left[0] -= 1
            raise OutcomeUnknown("the answer was lost")

    monkeypatch.setattr(TransactionalProducer, "commit", unanswered)
    workers.thread()
    names = an_evening(dispatch, 20)
    ends(dispatch, names)
    assert left == [0]
    report = dispatch.check()
    assert report.ok, report.text()


def test_an_aborted_transaction_is_tried_again_from_what_is_committed(
    dispatch: Any, workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, left = TransactionalProducer.flush, [3]

    def fails(self: TransactionalProducer) -> None:
        flush(self)
        if left[0]:
            left[0] -= 1
            raise Aborted("said the test")

    monkeypatch.setattr(TransactionalProducer, "flush", fails)
    workers.thread()
    names = an_evening(dispatch, 20)
    ends(dispatch, names)
    report = dispatch.check()
    assert report.ok, report.text()


def test_two_workers_share_the_partitions_and_one_takes_over_when_the_other_dies(dispatch: Any, workers: Any) -> None:
    first, second = workers.process(0), workers.process(1)
    names = an_evening(dispatch, 30)
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated, 30))
    second.kill()
    names += [dispatch.order(number) for number in range(100, 130)]
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated, 60), limit_s=40)
    ends(dispatch, names)
    assert first.poll() is None
    report = dispatch.check()
    assert report.ok, report.text()


def test_a_record_that_kills_the_process_is_set_aside_after_three_deaths(dispatch: Any, workers: Any) -> None:
    dispatch.delivery(dc.SearchAgain, str(uuid.uuid4()), "system")
    dispatch.flush()
    for _ in range(4):
        process = workers.process(crash_at="begun:1")
        assert process.wait(30) == -signal.SIGKILL
    workers.thread()
    dispatch.order(1)
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated))
    letters = dispatch.wait(topics.DEAD_LETTERS, seen(DeadLetter), 15)
    assert len(letters) == 1
    assert "died at this record" in letters[0].reason
    assert letters[0].offset == 0


def test_restored_states_remember_commands_and_timers(dispatch: Any, workers: Any, fast: Any) -> None:
    # Nobody but the admin escalates within the test.
    by_hand_only = msgspec.structs.replace(fast, escalation=Policy().escalation)
    workers.rules.policy = by_hand_only
    setup.publish_policy(dispatch.settings, by_hand_only)
    process = workers.process()
    dispatch.sign_on("ana")
    command = str(uuid.uuid4())
    name = dispatch.order(1)
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.NoDriverFound))
    dispatch.delivery(dc.EscalateDelivery, name, "admin", command_id=command)
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.UnassignedEscalated))
    process.kill()
    process.wait()
    workers.thread()
    dispatch.delivery(dc.EscalateDelivery, name, "admin", command_id=command, reply_to=0)
    dispatch.flush()
    dispatch.wait(topics.REPLIES, seen(Reply))
    dispatch.delivery(dc.EscalateDelivery, name, "admin", command_id=command, reply_to=1)
    dispatch.flush()
    replies = dispatch.wait(topics.REPLIES, seen(Reply, 2))
    assert [reply.outcome for reply in replies] == ["accepted"] * 2
    decisions = [record for record in dispatch.read(topics.DECISIONS) if isinstance(record, Decision)]
    assert sum(decision.command_id == command for decision in decisions) == 1
    searches = len([event for event in dispatch.read(topics.DELIVERY_EVENTS) if isinstance(event, de.NoDriverFound)])
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.NoDriverFound, searches + 2))
    assert fast.version == 7


def test_the_broker_killed_and_started_again_loses_nothing(tmp_path: Any, namespace: str) -> None:
    from running import Dispatch, Workers

    kafka = Kafka(tmp_path / "own")
    kafka.start()
    workers = None
    try:
        dispatch = Dispatch(Addresses(kafka.address, "", ""), namespace, tmp_path)
        workers = Workers(dispatch)
        workers.thread()
        names = an_evening(dispatch, 10)
        dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated, 10))
        kafka.kill()
        time.sleep(2)
        kafka.start()
        names += [dispatch.order(number) for number in range(100, 110)]
        dispatch.flush()
        dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated, 20), limit_s=60)
        ends(dispatch, names, limit_s=60)
        report = dispatch.check()
        assert report.ok, report.text()
        assert seen(dr.DriverSignedOn, 10)(dispatch.read(topics.DRIVER_EVENTS))
    finally:
        if workers is not None:
            workers.stop()
        kafka.kill()
