"""Seeds: the same one gives the same log, byte by byte; nothing breaks; and what is broken on purpose is found."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psutil
import pytest
from msgspec import structs

from dispatch.checker import check_records
from dispatch.cli import main
from dispatch.core.policy import Policy
from dispatch.log.producers import Producers
from dispatch.log.restore import restore
from dispatch.simulate_cli import simulate
from dispatch.simulation import Options, Plan, live, plan, run
from dispatch.simulation.faults import KINDS, Fault
from dispatch.simulation.judge import Again
from dispatch.simulation.many import Total, _results, run_many
from dispatch.simulation.shrink import broken, ddmin, shrunk

SEEDS = range(1_000, 1_040)
_DIGESTS = "import sys; from dispatch.simulation import run; print(*(run(int(seed)).digest for seed in sys.argv[1:]))"


def digests_elsewhere(*seeds: int) -> list[str]:
    """In another process, in which sets are laid out otherwise."""
    command = [sys.executable, "-c", _DIGESTS, *map(str, seeds)]
    other = {**os.environ, "PYTHONHASHSEED": "4711"}
    return subprocess.run(command, env=other, check=True, capture_output=True, text=True).stdout.split()


def test_the_same_seed_gives_the_same_log_byte_by_byte() -> None:
    seeds = (3, 11, 12)
    once = [run(seed).digest for seed in seeds]
    assert once == [run(seed).digest for seed in seeds] == digests_elsewhere(*seeds)
    assert len(set(once)) == len(seeds)


def test_nothing_breaks_and_every_fault_that_is_wanted_strikes() -> None:
    total = run_many(SEEDS, 1, Options())
    assert [(result.seed, result.wrong[0]) for result in total.broken] == []
    assert set(total.faults) == set(KINDS)
    assert total.decisions > 20 * len(SEEDS)


def test_a_partition_that_cannot_be_sought_in_for_long_is_taken_over_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was let go stayed without anybody who decides until the group was next shared out."""
    monkeypatch.setattr("dispatch.log.worker._SEEKS", 1)
    total = run_many(SEEDS, 1, Options())
    assert [(result.seed, result.wrong[0]) for result in total.broken] == []


def caught(options: Options, seeds: range = range(400)) -> Total:
    return run_many(seeds, 1, options, until_caught=True)


def offsets_go_ahead(self: Any, offsets: Any, _group_metadata: object) -> None:
    """A host that commits what it consumed apart from what it produced."""
    group = self._now._producer._broker.group("dispatch")
    group.offsets.update({(part.topic, part.partition): part.offset for part in offsets})


def test_offsets_that_are_sent_before_the_messages_are_there_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Producers, "send_offsets", offsets_go_ahead)
    total = caught(Options())
    assert [result.rules for result in total.broken if result.rules] != []


def test_a_sweep_left_out_is_found_where_brokers_tear_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With it those same seeds hold (docs/decisions/0003)."""
    torn = Options(kinds=("torn_abort", "slow_marks", "stall"))
    seeds = range(10)
    held = run_many(seeds, 1, torn)
    assert held.faults["torn_abort"] > 0
    assert held.broken == []

    def nothing_is_swept(self: Any, *_: object) -> None:
        self._unswept = []

    monkeypatch.setattr(Producers, "sweep", nothing_is_swept)
    assert caught(torn, seeds).broken != []


def test_what_a_refused_commit_left_open_is_swept() -> None:
    """The second true fault: a commit that is refused was not made, and the abort after it may be torn."""
    for seed in range(4):
        faults = (Fault("torn_abort", 8_000, 0, "abort", number=0),)
        outcome = live(replace(plan(seed, Options(kinds=())), faults=faults, safety_ms=40_000, liveness_ms=60_000))
        assert outcome.faults == {"refused": 1, "torn_abort": 1}
        assert outcome.wrong() == []


@pytest.mark.parametrize("seed", [202, 1_504])
def test_a_run_goes_on_until_whoever_waits_anew_after_a_review_is_escalated_anew(seed: int) -> None:
    """Both once ended while a delivery that nobody looked after any more waited for its first level."""
    assert run(seed).wrong() == []


def test_an_order_does_not_overtake_its_predecessor_that_went_by_the_log_and_is_read_in_the_same_batch() -> None:
    assert run(1_557).wrong() == []


def thrown_out_while_it_joined_again(seed: int) -> Plan:
    """One worker is cut off, so that the other must join again; that is frozen before it does, beyond its session."""
    faults = (
        Fault("noise", 5_000),
        Fault("cut", 10_000, 0, ms=8_000),
        Fault("freeze", 10_001, 1, "rejoin", ms=17_000),
        Fault("index_wiped", 20_000),
    )
    return replace(plan(seed, Options()), faults=faults, workers=2, safety_ms=40_000, liveness_ms=60_000)


def test_a_partition_that_comes_back_is_brought_up_to_date() -> None:
    """The first true fault that the simulation found, in the host; tests/log holds it on the real broker."""
    for seed in range(3):
        outcome = live(thrown_out_while_it_joined_again(seed))
        assert outcome.faults["freeze"] == 1
        assert outcome.wrong() == []


def test_without_that_it_is_found_shrunk_and_told_as_a_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "dispatch.log.worker.restore",
        lambda settings, stores, clients: restore(settings, [one for one in stores if not one.known_until], clients),
    )
    outcomes = [live(thrown_out_while_it_joined_again(seed)) for seed in range(6)]
    outcome = next(outcome for outcome in outcomes if "rule 5" in broken(outcome))
    least = shrunk(outcome, 40)
    assert "rule 5" in broken(least)
    assert {fault.kind for fault in least.plan.faults} == {"cut", "freeze"}
    assert "FAULT freeze at rejoin for 17000 ms" in least.story()
    assert least.wrong()[0] in least.story()


def test_a_failure_is_shrunk_to_what_none_of_can_be_left_out() -> None:
    assert ddmin(range(100), lambda items: {7, 41, 90} <= set(items)) == (7, 41, 90)
    assert ddmin(range(5), lambda _items: False) == (0, 1, 2, 3, 4)
    assert ddmin((), lambda _items: True) == ()


def test_deciding_again_from_what_was_recorded_gives_the_same_bytes_and_under_another_policy_does_not() -> None:
    outcome = run(1, Options(kinds=()))
    assert check_records(outcome.log, redecide=Again({1: outcome.plan.policy})).violations == []
    other = replace_policy(outcome.plan.policy)
    assert {one.rule for one in check_records(outcome.log, redecide=Again({1: other})).violations} == {15}


def replace_policy(policy: Policy) -> Policy:
    return structs.replace(policy, pay=structs.replace(policy.pay, base_minor=policy.pay.base_minor + 1))


def test_the_command_counts_and_says_by_its_exit_code_whether_all_held(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(seeds=6, first=20, jobs=2, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["seeds"], found["broken"]) == (6, [])
    assert found["decisions"] > 0
    monkeypatch.setattr(Producers, "send_offsets", offsets_go_ahead)
    assert simulate(seeds=400, first=0, jobs=1, until_caught=True, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["broken"][0]["rules"] != []


def test_a_process_that_is_killed_ends_the_command_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def killed(*_: object, **__: object) -> None:
        for one in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):  # others of this process' children end meanwhile
                for child in one.children() if "multiprocessing.forkserver" in str(one.cmdline()) else ():
                    child.kill()

    monkeypatch.setattr("rich.progress.Progress.update", killed)
    monkeypatch.setattr(sys, "argv", ["baton", "simulate", "--seeds", "200", "--jobs", "2"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = [line for line in capfd.readouterr().err.splitlines() if line[:1] != "%"]  # of other tests' clients of Kafka
    assert len(told) == 1
    assert "Invalid value for --jobs: one of the processes was killed" in told[0]


def test_what_is_under_way_ends_by_itself_when_one_is_caught(capfd: pytest.CaptureFixture[str]) -> None:
    """Once it was killed with SIGTERM, in whatever it was; coverage's handler of it sometimes hung the whole run."""
    results = _results(range(200), 2, Options())
    assert [next(results).seed, next(results).seed] == [0, 1]
    results.close()
    assert "Traceback" not in capfd.readouterr().err


def test_a_wrong_argument_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["baton", "simulate", "--seeds", "none"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "Invalid value for '--seeds'" in told
    assert told.count("\n") == 1


def test_the_table_tells_how_much_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(seeds=2, first=30, jobs=1) == 0
    told = capsys.readouterr().out
    assert "2 from 30, on 1 processes" in told
    assert "broken" in told
    assert simulate(seeds=1, first=30, story=True) == 0
    assert capsys.readouterr().out.endswith("everything held\n")
