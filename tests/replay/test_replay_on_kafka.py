"""Replay of a log that real workers wrote to a real Kafka."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from couriers import Couriers
from running import Dispatch, Workers, now_ms

from deploy.local import Addresses
from dispatch import setup
from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_events as de
from dispatch.core.policy import Policy, scaled
from dispatch.log.errors import Misconfigured
from dispatch.log.reading import read_all
from dispatch.replay import checkpoint, run
from dispatch.replay.ranges import Range
from dispatch.replay.report import Report
from dispatch.replay.run import Interrupted, verify
from dispatch.replay.source import KafkaLog

pytestmark = pytest.mark.servers
ORDERS = 12


class Evening:
    """A dispatch on which some orders were carried out, and what was made of them."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch, self.names = dispatch, list[str]()

    def baton(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        settings = self.dispatch.settings
        environment = os.environ | {
            "BATON_KAFKA": settings.kafka, "BATON_POSTGRES": settings.postgres, "BATON_VALKEY": settings.valkey,
            "BATON_NAMESPACE": settings.namespace, "BATON_HOME": str(settings.home), "COLUMNS": "80",
        }  # fmt: skip
        command = [sys.executable, "-m", "dispatch.cli", "replay", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def evening(servers: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Evening:
    dispatch = Dispatch(servers, f"replay{time.time_ns() % 10**8}.", tmp_path_factory.mktemp("home"))
    policy = scaled(Policy(version=4), 60)
    setup.publish_policy(dispatch.settings, policy)
    workers, made = Workers(dispatch), Evening(dispatch)
    workers.rules.policy = policy
    drivers = [f"d{number}" for number in range(ORDERS)]
    for name in drivers:
        dispatch.sign_on(name)
    workers.known(*drivers)
    workers.thread()
    couriers = Couriers(dispatch, refuse=0.3)
    try:
        made.names = [dispatch.order(number) for number in range(ORDERS)]
        dispatch.flush()
        dispatch.wait(
            topics.DELIVERY_EVENTS,
            lambda seen: sum(isinstance(event, de.DeliveryCompleted) for event in seen) >= ORDERS // 2,
        )
    finally:
        couriers.close()
        workers.stop()
        dispatch.flush()
    return made


def test_a_real_run_comes_out_the_same(evening: Evening) -> None:
    done = evening.baton("verify", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["decisions"] == report["equal"] > 5 * ORDERS
    assert report["events"] == len(evening.dispatch.read(topics.DELIVERY_EVENTS, topics.DRIVER_EVENTS))


def test_one_delivery_a_partition_and_a_range_are_verified_alone(evening: Evening) -> None:
    log = KafkaLog(evening.dispatch.settings.kafka, evening.dispatch.namespace)
    name = evening.names[0]
    partition = log.partition_of(name)
    mine = [made for made in evening.dispatch.read(topics.DECISIONS) if made.aggregate_id == name]
    told: list[Any] = []
    one = verify(log, Range((partition,), aggregate_id=name), Path("/nonexistent"), lambda *said: told.append(said))
    assert one.ok
    assert one.decisions == len(mine) > 3
    assert told[-1][:2] == (partition, 1.0)
    stamps = [
        record.timestamp_ms
        for record in read_all(evening.dispatch.settings.kafka, [evening.dispatch.namespace + "decisions"])
        if record.partition == partition
    ]
    middle = stamps[len(stamps) // 2]
    late = verify(log, Range((partition,), from_ms=middle), Path("/nonexistent"), lambda *_: None)
    assert late.ok
    assert late.decisions == sum(stamp >= middle for stamp in stamps)
    early = verify(log, Range((partition,), to_ms=middle), Path("/nonexistent"), lambda *_: None)
    assert early.ok
    assert early.decisions == sum(stamp < middle for stamp in stamps)
    log.close()


def test_what_was_interrupted_goes_on_and_comes_to_the_same(
    evening: Evening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_TELL_EVERY", 3)
    log, file = KafkaLog(evening.dispatch.settings.kafka, evening.dispatch.namespace), tmp_path / "verify.checkpoint"
    asked = Range(tuple(range(4)))
    stops = 0

    def stop(_where: int, _share: float, report: Report) -> None:
        if report.decisions < 14:
            raise Interrupted

    report = None
    known = None
    while report is None:
        try:
            report = verify(log, asked, file, stop, resume=known)
        except Interrupted:
            stops += 1
            known = checkpoint.read(file)
    whole = verify(log, asked, file, lambda *_: None)
    log.close()
    assert stops >= 3
    assert report.ok
    assert (report.decisions, report.equal, report.events) == (whole.decisions, whole.equal, whole.events)
    assert not file.exists()
    with pytest.raises(Misconfigured, match="nothing to resume"):
        checkpoint.read(file)


def test_a_checkpoint_knows_its_question_and_another_file_is_refused(evening: Evening, tmp_path: Path) -> None:
    log, file = KafkaLog(evening.dispatch.settings.kafka, evening.dispatch.namespace), tmp_path / "kept"

    def stop(*_said: Any) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        verify(log, Range((0, 1)), file, stop)
    log.close()
    assert Range(*checkpoint.read(file).asked) == Range((0, 1))
    file.write_bytes(b"nonsense")
    with pytest.raises(Misconfigured, match="no checkpoint"):
        checkpoint.read(file)


def test_a_forged_event_is_found_and_told_at_eighty_columns(evening: Evening) -> None:
    """The last test of this log: it is not whole any more."""
    name = evening.names[0]
    last = [event for event in evening.dispatch.read(topics.DELIVERY_EVENTS) if event.delivery_id == name][-1]
    forged = de.PrepTimeChanged(
        event_id="00000000-0000-5000-8000-000000000000", delivery_id=name, version=last.version + 1, at_ms=last.at_ms,
        actor_type="system", actor_id="nobody", causation_id="forged", correlation_id=name, prep_s=1,
    )  # fmt: skip
    evening.dispatch.send_raw(topics.DELIVERY_EVENTS, name, codec.encode(forged), timestamp=now_ms() - 60_000)
    evening.dispatch.flush()
    done = evening.baton("verify", "--delivery", name)
    assert done.returncode == 1
    assert "no decision on record made it" in " ".join(done.stdout.split())
    assert "PrepTimeChanged" in done.stdout
    assert "1 came out otherwise." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--from", "yesterday"], "is no time"),
        (["verify", "--from", "2026-11-21", "--to", "2026-11-20"], "is not before"),
        (["verify", "--partition", "99"], "partitions 0 to 3"),
        (["verify", "--delivery", "a/b", "--driver", "c"], "one at a time"),
        (["verify", "--resume"], "nothing to resume"),
        (["verify", "--resume", "--partition", "1"], "no other question"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(evening: Evening, arguments: list[str], said: str) -> None:
    done = evening.baton(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
