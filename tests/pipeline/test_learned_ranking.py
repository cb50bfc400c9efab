"""From the log to the next decision, on a real broker: a model is learned, judged and followed; scores are kept."""

import json
import random
import sys
import threading
import uuid
from collections.abc import Iterator
from math import exp
from pathlib import Path
from typing import Any

import pytest
from town import DRIVERS, Town, until

from deploy.local import Addresses
from dispatch import cli, setup
from dispatch.contract import identity, topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Candidate, OfferTerms
from dispatch.contract.records.system import Decision, DriverScored
from dispatch.core.policy import Flag
from dispatch.inputs.rules import Rules
from dispatch.streams.driver_scores import DriverScores, follow

pytestmark = pytest.mark.servers
AT_MS = 1_790_000_000_000
TERMS = OfferTerms(
    store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=1, dropoff_lng=1, pickup_eta_ms=AT_MS,
    delivery_eta_ms=AT_MS, pickup_distance_m=1330, total_distance_m=4000, earning_minor=489, incentive_minor=0,
    currency="EUR",
)  # fmt: skip


@pytest.fixture
def town(servers: Addresses, namespace: str, tmp_path: Path) -> Iterator[Town]:
    made = Town(Addresses(servers.kafka, "", servers.valkey), namespace, tmp_path)
    yield made
    made.close()


@pytest.fixture
def baton(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:  # a function of arguments
    """What a command says of this town, and its exit code."""
    for name, value in (("KAFKA", town.settings.kafka), ("POSTGRES", "postgresql://x@127.0.0.1:1/x"),
                        ("VALKEY", town.settings.valkey), ("NAMESPACE", town.settings.namespace)):  # fmt: skip
        monkeypatch.setenv(f"BATON_{name}", value)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["baton", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def offered_before(town: Town, count: int, *, says: bool = True) -> None:
    """So many offers of the past in the log; where they say something, near drivers accept and far ones do not."""
    chance = random.Random(count)
    for number in range(count):
        name, minutes = identity.derived("past", f"{count} {number}"), chance.uniform(0, 20)
        accepts = chance.random() < (1 / (1 + exp(minutes / 2 - 5)) if says else 0.5)
        seen = Candidate(
            driver_id="past", distance_m=1000, travel_s=round(60 * minutes), orders=0, capacity=1, rating=4.5,
            vehicle="car", availability="AVAILABLE", score=minutes, travel_min=minutes, rating_min=0.0,
            fairness_min=0.0, load_min=0.0, source="valkey", idle_s=600,
        )  # fmt: skip
        offer = {"offer_id": identity.derived("offer", name), "driver_id": "past"}
        _say(town, de.DriverCandidatesFound, name, search_no=1, radius_m=5000, candidates=(seen,), source="valkey",
             redis_ok=True, free_in_radius=1, busy_in_radius=0, policy_version=1, zone="none")  # fmt: skip
        _say(town, de.DriverOfferSent, name, **offer, fence=1, sent_at_ms=AT_MS + number,
             expires_at_ms=AT_MS + number + 30_000, terms=TERMS, notified_by="t")  # fmt: skip
        if accepts:
            _say(town, de.DriverAccepted, name, **offer, response_ms=4_000)
        else:
            _say(town, de.DriverRejected, name, **offer, response_ms=4_000, reason="too_far")
    town.dispatch.flush()


def _say(town: Town, kind: type[Any], name: str, **fields: Any) -> None:
    event = kind(event_id=str(uuid.uuid4()), delivery_id=name, version=1, at_ms=AT_MS, actor_type="system",
                 actor_id="t", causation_id=str(uuid.uuid4()), correlation_id="c", **fields)  # fmt: skip
    town.dispatch.send(topics.DELIVERY_EVENTS, name, event)


def searches(town: Town, names: list[str]) -> list[de.DriverCandidatesFound]:
    return [
        event
        for event in town.dispatch.read(topics.DELIVERY_EVENTS)
        if isinstance(event, de.DriverCandidatesFound) and event.delivery_id in names
    ]


def test_a_model_is_learned_from_the_log_and_the_next_search_asks_it(town: Town, baton: Any) -> None:
    code, said = baton("train", "acceptance")
    assert (code, "without some of each kind nothing can be learned" in said) == (2, True), said
    offered_before(town, 500)
    setup.publish_flag(town.settings, "acceptance_ranking", Flag())
    town.run("worker", "streams")
    town.sign_on()
    before = town.orders(2)
    town.delivered(before)
    assert {search.model_version for search in searches(town, before)} == {0}

    code, said = baton("train", "acceptance")
    assert code == 0, said
    assert "Version 1 is in force where the flag acceptance_ranking is on." in said
    assert "Learned from 37" in said  # three quarters of 500 and those of the town

    def asked() -> bool:
        names = town.orders(1)
        town.delivered(names)
        return searches(town, names)[-1].model_version == 1

    until(asked, "the model asked")
    names = town.orders(3)
    town.delivered(names)
    for search in searches(town, names):
        assert search.model_version == 1
        for seen in search.candidates:
            assert 0.5 < seen.accept_chance < 1  # they stand at the store
            assert seen.acceptance_min == pytest.approx(3 * (1 - seen.accept_chance))
    recorded = [
        json.loads(decision.facts)["search"]
        for decision in town.dispatch.read(topics.DECISIONS)
        if isinstance(decision, Decision) and decision.aggregate_id in names and b"model_version" in decision.facts
    ]
    searched = [search for search in recorded if search]
    assert searched
    assert all(search["model_version"] == 1 and search["drivers"][0]["acceptance"] for search in searched)


def test_what_says_nothing_is_not_published_unless_forced(town: Town, baton: Any) -> None:
    offered_before(town, 450, says=False)
    code, said = baton("train", "acceptance")
    assert code == 1
    assert "Not published: on held-out offers its log-loss is" in said
    assert town.dispatch.read(topics.MODELS) == []
    code, said = baton("train", "acceptance", "--force", "--dry-run")
    assert (code, town.dispatch.read(topics.MODELS)) == (0, [])
    for version in (1, 2):
        code, said = baton("train", "acceptance", "--force")
        assert code == 0
        assert f"Version {version} is in force" in said
        assert "forced: on held-out offers" in " ".join(said.split())
    assert [json.loads(record.document)["forced"] for record in town.dispatch.read(topics.MODELS)] == [True, True]


def test_scores_are_counted_from_the_log_told_once_and_stand_in_the_next_search(town: Town, baton: Any) -> None:
    town.run("worker", "streams")
    town.sign_on()
    stop = threading.Event()
    stream = DriverScores(town.settings, Rules())
    thread = threading.Thread(target=follow, args=(stream, stop))
    thread.start()
    try:
        names = town.orders(12)
        town.delivered(names)

        def scored() -> dict[str, DriverScored]:
            return {record.driver_id: record for record in town.dispatch.read(topics.DRIVER_SCORES)}

        def completed(scores: dict[str, DriverScored]) -> float:
            return sum(part.good for score in scores.values() for part in score.parts if part.part == "completion")

        until(lambda: completed(scored()) == 12, "12 completed deliveries in the scores")
        scores = scored()
        assert set(scores) == set(DRIVERS)
        more: list[str] = []

        def candidates() -> list[Candidate]:
            return [candidate for search in searches(town, more[-1:]) for candidate in search.candidates]

        def known() -> bool:
            """The index hears of scores a moment after the log, so one order more is asked for until it has."""
            more.extend(town.orders(1))
            town.delivered(more[-1:])
            return bool(candidates()) and all(seen.score_share > 0 for seen in candidates())

        until(known, "a search that knows the scores")
        assert {seen.rating_min for seen in candidates()} == {0.0}
        code, said = baton("check", "--running")
        assert (code, "22. what is asked of one" in said) == (0, True), said
        until(lambda: completed(scored()) == 12 + len(more), "all completed deliveries in the scores")
    finally:
        stop.set()
        thread.join(20)
    told = len(town.dispatch.read(topics.DRIVER_SCORES))
    again = DriverScores(town.settings, Rules())
    again.open()
    until(lambda: again.turn() or again.state == "up", "read to the end")
    again.tell()
    again.close()
    assert len(town.dispatch.read(topics.DRIVER_SCORES)) == told  # the same log, the same scores
    best = max(scored().values(), key=lambda score: score.score)
    code, said = baton("driver", best.driver_id)
    assert code == 0
    assert said.startswith(f"{best.driver_id} scores {100 * best.score:.1f} of 100")
    assert "completion: " in said
    code, said = baton("driver", "nobody")
    assert (code, said) == (
        2,
        "baton: no score of a driver nobody is known; `baton run scores` makes them from the log\n",
    )
