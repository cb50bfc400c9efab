"""Before checkout without servers: what is away is said, nothing is guessed, and many questions go in few batches."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from dispatch.core.facts import FoundDriver, SearchNeed, SearchResult
from dispatch.core.policy import Policy
from dispatch.core.serviceability import Wanted, judged, roughly
from dispatch.inputs.arrivals import Arrivals
from dispatch.inputs.prices import PriceBoard
from dispatch.inputs.quotes import QuoteSeal
from dispatch.inputs.zones import ZoneBoard
from gateways.commerce import near as near_doors
from gateways.commerce.bodies import ServiceabilityBody
from gateways.commerce.checkout import Counter, judge
from gateways.commerce.near import Near
from gateways.followed import Followed
from gateways.problems import Problem
from gateways.rules import RulesInForce

NOW_MS = 1_790_000_000_000
BODY = ServiceabilityBody.model_validate({"pickup": {"lat": 48, "lng": 7.85}, "dropoff": {"lat": 48.01, "lng": 7.86}})
WANTED = Wanted(pickup=(48.0, 7.85), dropoff=(48.01, 7.86))
SHAPE = Arrivals().shape("assigned", "none", "", NOW_MS, Policy())


def a_driver(number: int, distance_m: int = 500) -> FoundDriver:
    return FoundDriver(
        driver_id=f"d{number}", lat=48, lng=7.85, distance_m=distance_m, vehicle="car", capacity=1, orders=0,
        rating=4, availability="AVAILABLE",
    )  # fmt: skip


class Index:
    """Answers what it is told to, and remembers how many were asked at once."""

    def __init__(self, answer: SearchResult | None = None) -> None:
        self.answer = answer or SearchResult(drivers=(a_driver(1),), source="memory")
        self.batches: list[int] = []

    def search(self, needs: Sequence[SearchNeed]) -> Sequence[SearchResult]:
        self.batches.append(len(needs))
        return [self.answer for _ in needs]

    def close(self) -> None:
        return None


def nobody_follows(_known: Any) -> Any:
    raise AssertionError("is not started")


def counter(index: Index, *read: str) -> Counter:
    """With these parts read; the others are away."""
    rules = RulesInForce("127.0.0.1:1", "none.")
    if "rules" in read:
        rules._read.set()
    parts = {"zones": ZoneBoard(), "prices": PriceBoard(), "arrivals": Arrivals()}
    followed: dict[str, Followed[Any]] = {name: Followed(name, part, nobody_follows) for name, part in parts.items()}
    for name in followed.keys() & set(read):
        followed[name]._read.set()
    seal = QuoteSeal(b"a key of sixteen bytes")
    return Counter(rules, followed["zones"], followed["prices"], followed["arrivals"], Near(index), seal)


@pytest.mark.parametrize("away", ["rules", "zones", "arrivals"])
def test_a_part_that_was_never_read_is_said_to_be_away(away: str) -> None:
    here = counter(Index(), *{"rules", "zones", "prices", "arrivals"} - {away})
    with pytest.raises(Problem) as caught:
        asyncio.run(judge(here, BODY, NOW_MS))
    assert (caught.value.status, caught.value.code) == (503, "unavailable")


def test_an_index_that_does_not_answer_is_no_want_of_drivers() -> None:
    here = counter(Index(SearchResult(failed=True)), "rules", "zones", "prices", "arrivals")
    with pytest.raises(Problem) as caught:
        asyncio.run(judge(here, BODY, NOW_MS))
    assert caught.value.status == 503


def test_what_is_asked_at_once_is_searched_together_and_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_doors, "MOST_WAITING", 50)
    index = Index()
    here = counter(index, "rules", "zones", "prices", "arrivals")

    async def many(count: int) -> list[Any]:
        return await asyncio.gather(*(judge(here, BODY, NOW_MS) for _ in range(count)), return_exceptions=True)

    answers = asyncio.run(many(50))
    assert all(found.yes for _, found in answers)
    assert sum(index.batches) == 50
    assert len(index.batches) <= 2
    refused = [answer for answer in asyncio.run(many(60)) if isinstance(answer, Problem)]
    assert [(problem.status, problem.code) for problem in refused] == [(503, "busy")] * 10


def test_how_many_are_near_is_told_roughly() -> None:
    assert [roughly(count) for count in (0, 1, 3, 4, 9, 10, 99)] == [
        "none", "few", "few", "some", "some", "many", "many",
    ]  # fmt: skip


def test_the_preparation_or_the_way_to_the_store_is_waited_for_whichever_takes_longer() -> None:
    found = SearchResult(drivers=(a_driver(1), a_driver(2, 20_000)), source="memory")
    soon = judged(WANTED, found, SHAPE, Policy(), NOW_MS)
    late = judged(Wanted(pickup=WANTED.pickup, dropoff=WANTED.dropoff, prep_s=7_200), found, SHAPE, Policy(), NOW_MS)
    assert soon.arrivals is not None
    assert late.arrivals is not None
    assert late.arrivals.pickup.p50_ms - NOW_MS >= 6_000_000 > soon.arrivals.pickup.p50_ms - NOW_MS
    assert soon.arrivals.delivery.p10_ms <= soon.arrivals.delivery.p50_ms <= soon.arrivals.delivery.p90_ms


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, "too_far"),
        (SearchResult(source="memory"), "no_available_drivers"),
        (SearchResult(source="memory", busy_in_radius=2), "all_drivers_busy"),
        (SearchResult(source="memory", nearest_m=9_000), "distance_exceeded"),
        (SearchResult(failed=True), "drivers_unknown"),
    ],
)
def test_why_not_is_named(found: SearchResult | None, why: str) -> None:
    answer = judged(WANTED, found, SHAPE, Policy(), NOW_MS)
    assert (answer.why_not, answer.yes, answer.arrivals) == (why, False, None)
