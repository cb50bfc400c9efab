"""Replay of a log that real workers wrote to a real Kafka."""

import io
import json
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from couriers import Couriers
from msgspec.structs import replace
from running import Dispatch, Workers, now_ms

from deploy.local import Addresses
from dispatch import cli, setup
from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.core.policy import Policy, scaled
from dispatch.inputs import policy_file
from dispatch.log.errors import Misconfigured
from dispatch.log.health import HealthServer, Parts
from dispatch.log.reading import read_all
from dispatch.replay import checkpoint, run, shadow
from dispatch.replay.ranges import Range, steps
from dispatch.replay.report import Report
from dispatch.replay.run import Interrupted, verify
from dispatch.replay.source import KafkaLog
from dispatch.replay.under import Other
from projections.audit import keys

pytestmark = pytest.mark.servers
ORDERS = 8


class Said(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    error: str


class Evening:
    """A dispatch on which some orders were carried out, and what was made of them."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch, self.names = dispatch, list[str]()

    def baton(self, *arguments: str, **more: str) -> Said:
        """The command, within this process: a process of its own for each would take most of the time."""
        settings, out, error = self.dispatch.settings, io.StringIO(), io.StringIO()
        environment = {
            "BATON_KAFKA": settings.kafka, "BATON_POSTGRES": settings.postgres, "BATON_VALKEY": settings.valkey,
            "BATON_NAMESPACE": settings.namespace, "BATON_HOME": str(settings.home), "COLUMNS": "80", **more,
        }  # fmt: skip
        with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(error):
            for name, value in environment.items():
                patched.setenv(name, value)
            patched.setattr(sys, "argv", ["baton", "replay", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        return Said(int(ended.value.code or 0), out.getvalue(), error.getvalue())


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
    report = json.loads(done.out)
    assert done.code == 0, done.out + done.error
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
    asked = Range((0, 1))
    stops = 0

    def stop(_where: int, _share: float, report: Report) -> None:
        if report.decisions < 11:
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
    assert stops >= 2
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


def ends(evening: Evening) -> dict[str, int]:
    """The end of every topic of the namespace, all partitions together."""
    log = KafkaLog(evening.dispatch.settings.kafka, evening.dispatch.namespace)
    known = log._asking.list_topics(timeout=10).topics
    found = {
        name: sum(log.high(name, number) for number in topic.partitions)
        for name, topic in known.items()
        if name.startswith(evening.dispatch.namespace)
    }
    log.close()
    return found


def in_the_shadow(evening: Evening, policy: Policy, wanted: int, since_ms: int = 1) -> list[Any]:
    """Runs a shadow until it has said so much, and a moment longer; all that was ever said."""
    stop, failed = threading.Event(), list[Exception]()
    opened: list[HealthServer] = []

    def pages(port: int, parts: Parts) -> HealthServer:
        opened.append(HealthServer(port, parts))
        return opened[0]

    def work() -> None:
        try:
            shadow.run(evening.dispatch.settings, policy, stop, since_ms, pages)
        except Exception as error:  # noqa: BLE001 - raised below
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        said = evening.dispatch.wait(topics.SHADOW_DECISIONS, lambda seen: len(seen) >= wanted or bool(failed), 60)
        time.sleep(0.5)
        page, until = f"http://127.0.0.1:{opened[0].port}", time.monotonic() + 30
        while httpx.get(f"{page}/ready").json() != {"status": "up", "parts": {"shadow": "up"}}:
            assert time.monotonic() < until, "it folds what was before, and then is up"
            time.sleep(0.1)
        while "baton_shadow_behind_records 0.0" not in (shown := httpx.get(f"{page}/metrics").text):
            assert time.monotonic() < until
            time.sleep(0.1)
    finally:
        stop.set()
        thread.join(30)
    assert f'baton_shadow_decisions_total{{verdict="{said[-1].verdict}"}}' in shown
    assert failed == []
    assert len(said) == len(evening.dispatch.read(topics.SHADOW_DECISIONS))
    return said


def test_a_policy_in_the_shadow_is_judged_beside_the_first_and_touches_nothing(evening: Evening) -> None:
    decisions = len(evening.dispatch.read(topics.DECISIONS))
    before = ends(evening)
    own = scaled(Policy(version=4), 60)
    said = in_the_shadow(evening, own, decisions)
    assert len(said) == decisions
    assert {one.verdict for one in said} == {"agrees"}
    other = replace(own, pay=replace(own.pay, base_minor=777), offer=replace(own.offer, timeout_s=3))
    waiting = in_the_shadow(evening, other, decisions)
    assert len(waiting) == decisions, "it goes on where it was, whatever the policy"
    evening.dispatch.driver(vc.EndShift, "d0", after_delivery=False)
    evening.dispatch.flush()
    after = ends(evening)
    grown = {name for name in after if after[name] != before[name]}
    prefix = evening.dispatch.namespace
    assert grown == {prefix + "shadow.decisions", prefix + "driver.commands"}


def test_the_shadows_report_tells_agreement_and_difference(evening: Evening) -> None:
    """Another group's name is another beginning: the same log in the shadow of another policy, in one namespace."""
    own = scaled(Policy(version=4), 60)
    other = replace(own, pay=replace(own.pay, base_minor=777), offer=replace(own.offer, timeout_s=3))
    log = KafkaLog(evening.dispatch.settings.kafka, evening.dispatch.namespace)
    made = steps(log, Range(tuple(range(4))), lambda reason: pytest.fail(reason))
    known, beside, name = log.policies(), Other(other), shadow.name_of(other)
    said = [shadow.judged(step, known, beside, name) for step in made]
    for one in said:
        assert one is not None
        evening.dispatch.send(topics.SHADOW_DECISIONS, one.aggregate_id, one)
    evening.dispatch.flush()
    log.close()
    done = evening.baton("shadow", "report", "--json")
    assert done.code == 0, done.error
    by_name = {one["shadow"]: one for one in json.loads(done.out)}
    first, second = by_name[shadow.name_of(own)], by_name[shadow.name_of(other)]
    assert first["percent"] == 100
    offers = sum(isinstance(event, de.DriverOfferSent) for event in evening.dispatch.read(topics.DELIVERY_EVENTS))
    assert second["kinds"]["other pay"] == second["kinds"]["the offer is open for another time"] == offers > 0
    assert second["differs"] == offers
    told = evening.baton("shadow", "report").out
    assert "100.00% agreement" in told
    assert "the offer is open for another time" in told
    assert max(map(len, told.splitlines())) <= 80


def test_diff_explain_show_and_blast_radius_on_the_command_line(evening: Evening, tmp_path: Path) -> None:
    policy = tmp_path / "other.toml"
    own = scaled(Policy(version=4), 60)
    policy.write_text(policy_file.toml(replace(own, offer=replace(own.offer, timeout_s=3)), every_field=True))
    done = evening.baton("diff", "--policy", str(policy), "--fail-above", "1")
    assert done.code == 1, done.error
    assert "the offer is open for another time" in done.out
    assert "Exact for one decision" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    few = evening.baton("diff", "--policy", str(policy), "--fail-above", "100", "--most", "5", "--json")
    assert (few.code, json.loads(few.out)["decisions"]) == (0, 5)
    name = evening.names[0]
    shown = evening.baton("show", "s1/o0", "--json")
    assert json.loads(shown.out)["delivery_id"] == name, shown.error
    explained = evening.baton("explain", f"{name}@v2", "--json")
    command_id = json.loads(explained.out)["command_id"]
    assert json.loads(evening.baton("explain", command_id, "--json").out)["command_id"] == command_id
    found = json.loads(evening.baton("blast-radius", "--bug", '"DriverOfferSent" in events', "--json").out)
    assert found["deliveries"] == ORDERS
    wrong = evening.baton("blast-radius", "--bug", "outcome ==")
    assert wrong.code == 2
    assert "at character 11" in wrong.error


def test_a_bundle_is_written_and_replayed_with_no_server(evening: Evening, tmp_path: Path) -> None:
    key = tmp_path / "audit.pem"
    key.write_bytes(keys.made())
    file, name = tmp_path / "incident.zip", evening.names[1]
    more = {"BATON_AUDIT_KEY_FILE": str(key)}
    done = evening.baton("export", name, "--out", str(file), "--reason", "ticket 4711", "--actor", "eva", **more)
    assert done.code == 0, done.error
    nowhere = {
        "BATON_KAFKA": "127.0.0.1:9",
        "BATON_POSTGRES": "postgresql://127.0.0.1:9/x",
        "BATON_VALKEY": "redis://127.0.0.1:9",
    }
    verified = evening.baton("verify", "--bundle", str(file), "--key", str(key), **nowhere)
    assert verified.code == 0, verified.out + verified.error
    assert "All came out the same, byte by byte." in verified.out
    assert "ticket 4711" in verified.out
    shown = evening.baton("timeline", name, "--bundle", str(file), **nowhere)
    assert "MarkReady" in shown.out
    other = tmp_path / "other.pem"
    other.write_bytes(keys.made())
    assert evening.baton("verify", "--bundle", str(file), "--key", str(other), **nowhere).code == 1
    assert evening.baton("export", name, "--out", str(file), "--reason", "again", **more).code == 2


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
    assert done.code == 1
    assert "no decision on record made it" in " ".join(done.out.split())
    assert "PrepTimeChanged" in done.out
    assert "1 came out otherwise." in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--from", "2026-11-21", "--to", "2026-11-20"], "is not before"),
        (["verify", "--delivery", "a/b", "--driver", "c"], "one at a time"),
        (["verify", "--resume"], "nothing to resume"),
        (["diff", "--from", "1h"], "one of them is wanted"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(evening: Evening, arguments: list[str], said: str) -> None:
    done = evening.baton(*arguments)
    assert done.code == 2
    assert said in done.error
    assert "Traceback" not in done.error
