"""The ledger of `make chaos`: what held counts, what did not is told, and a long run goes on where the file ends."""

from pathlib import Path

from evenings import Asked, Judgement, Ledger, Outcome

from dispatch.checker import Report

ASKED = Asked(seed=7, orders=10, minutes=0, brokers=3, workers=3, faults="", away_s=60)
FAULTS = {"worker SIGKILL": Outcome(times=2), "poison": Outcome()}


def judged(sent: int, undelivered: int = 0) -> Judgement:
    return Judgement(Report({"records": 100}), undelivered, sent, [])


def test_evenings_that_held_count_over_a_restart_and_others_are_told(tmp_path: Path) -> None:
    file = str(tmp_path / "evenings.jsonl")
    Ledger(file).add(ASKED, FAULTS, judged(10), 60)
    again = Ledger(file)
    again.add(ASKED, FAULTS, judged(20, undelivered=1), 60)
    again.add(ASKED, {"worker SIGKILL": Outcome(times=1, lost=1)}, judged(40), 60)
    again.add(ASKED, FAULTS, judged(5), 60)
    assert (again.held, Ledger(file).held) == (15, 15)
    assert Ledger(file).text() == "15 orders, 200 records and 4 faults in 2 evenings that held; 2 that did not"


def test_without_a_file_only_this_run_counts() -> None:
    ledger = Ledger("")
    ledger.add(ASKED, FAULTS, judged(3), 60)
    assert (ledger.held, Ledger("").held) == (3, 0)
