"""The same cases over every index of drivers: memory, Valkey, Postgres; and the chain that asks them in order."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from deploy.local import Addresses
from dispatch.core.facts import SearchNeed, SearchResult
from dispatch.inputs.candidates.chain import Breaker, Chain
from dispatch.inputs.candidates.memory import MemoryIndex
from dispatch.inputs.candidates.port import IndexedDriver, IndexUnavailable
from dispatch.inputs.candidates.postgres import PostgresIndex, cell_of
from dispatch.inputs.candidates.valkey import ValkeyIndex
from projections.migrate import up

PLACE = (48.0, 7.85)
DEGREE_M = 111_195
Fill = Callable[[list[IndexedDriver]], Any]


def a_driver(name: str, north_m: float = 0, **changes: Any) -> IndexedDriver:
    fields: dict[str, Any] = {
        "driver_id": name, "lat": PLACE[0] + north_m / DEGREE_M, "lng": PLACE[1], "vehicle": "car", "capacity": 1,
        "orders": 0, "rating": 4.5, "availability": "AVAILABLE", "last_assigned_ms": 1_790_000_000_000,
    }  # fmt: skip
    return IndexedDriver(**{**fields, **changes})


def a_need(**changes: Any) -> SearchNeed:
    fields: dict[str, Any] = {"lat": PLACE[0], "lng": PLACE[1], "radius_m": 5_000, "limit": 10}
    return SearchNeed(**{**fields, **changes})


@pytest.fixture(params=["memory", "valkey", "postgres"])
def fill(request: pytest.FixtureRequest) -> Iterator[Fill]:
    """Puts drivers into an index, and gives the index."""
    if request.param == "memory":
        memory = MemoryIndex()

        def into_memory(drivers: list[IndexedDriver]) -> MemoryIndex:
            memory.put(drivers)
            return memory

        yield into_memory
        memory.close()
        return
    servers: Addresses = request.getfixturevalue("servers")
    if request.param == "valkey":
        valkey = ValkeyIndex(servers.valkey, request.getfixturevalue("namespace"), timeout_ms=2_000)

        def into_valkey(drivers: list[IndexedDriver]) -> ValkeyIndex:
            valkey.put(drivers)
            return valkey

        yield into_valkey
        valkey.clear()
        valkey.close()
        return
    dsn = request.getfixturevalue("database")
    up(dsn)
    postgres = PostgresIndex(dsn, timeout_ms=5_000)

    def into_postgres(drivers: list[IndexedDriver]) -> PostgresIndex:
        rows = [(d.driver_id, d.availability, d.vehicle, d.capacity, d.orders, d.rating, d.lat, d.lng,
                 cell_of(d.lat, d.lng), d.last_assigned_ms / 1000, zones(d, "PREFERRED"), zones(d, "UNAVAILABLE"))
                for d in drivers]  # fmt: skip
        with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM drivers")
            cursor.executemany(
                "INSERT INTO drivers (driver_id, version, availability, vehicle, capacity, holds, rating, fence, lat,"
                " lng, h3_cell, last_assigned_at, preferred_in, unavailable_in, updated_at)"
                " VALUES (%s, 1, %s, %s, %s, %s, %s, 1, %s, %s, %s,"
                " to_timestamp(%s), %s, %s, now())",
                rows,
            )
        return postgres

    yield into_postgres
    postgres.close()


def zones(driver: IndexedDriver, word: str) -> list[str] | None:
    return [zone for zone, said in driver.zones if said == word] or None


def names(result: SearchResult) -> list[str]:
    return [found.driver_id for found in result.drivers]


def test_free_drivers_come_nearest_first_with_what_is_known_of_them(fill: Fill) -> None:
    index = fill([a_driver("far", 3000), a_driver("near", 500, rating=4.9, capacity=2, orders=1, availability="BUSY")])
    (result,) = index.search([a_need()])
    assert names(result) == ["near", "far"]
    near = result.drivers[0]
    assert (near.rating, near.capacity, near.orders, near.last_assigned_ms) == (4.9, 2, 1, 1_790_000_000_000)
    assert abs(near.distance_m - 500) <= 2
    assert result.redis_ok
    assert not result.failed


@pytest.mark.parametrize("word", ["ON_BREAK", "SHIFT_ENDED", "OFFLINE", "PAUSED"])
def test_those_who_do_not_work_are_neither_free_nor_busy(fill: Fill, word: Any) -> None:
    (result,) = fill([a_driver("ana", availability=word)]).search([a_need()])
    assert (names(result), result.busy_in_radius) == ([], 0)


def test_those_without_room_are_counted_as_busy(fill: Fill) -> None:
    full = {"orders": 1, "availability": "BUSY"}
    (result,) = fill([a_driver("a", **full), a_driver("b", 100, orders=1), a_driver("c", 9_000, **full)]).search(
        [a_need()]
    )
    assert (names(result), result.busy_in_radius) == ([], 2)


def test_the_radius_bounds_the_search_and_the_nearest_beyond_it_is_told(fill: Fill) -> None:
    (result,) = fill([a_driver("in", 4_990), a_driver("out", 5_010), a_driver("gone", 16_000)]).search([a_need()])
    assert names(result) == ["in"]
    assert result.nearest_m is not None
    assert abs(result.nearest_m - 5_010) <= 3
    (result,) = fill([a_driver("gone", 16_000)]).search([a_need(excluded=("in", "out"))])
    assert (names(result), result.nearest_m) == ([], None)


def test_excluded_drivers_and_wrong_vehicles_are_left_out(fill: Fill) -> None:
    index = fill([a_driver("ana"), a_driver("ben", 10, vehicle="van"), a_driver("cleo", 20, vehicle="bicycle")])
    results = index.search(
        [a_need(excluded=("ana",)), a_need(vehicle="car"), a_need(vehicle="bicycle"), a_need(vehicle="scooter")]
    )
    assert [names(result) for result in results] == [["ben", "cleo"], ["ana", "ben"], ["cleo"], []]


def test_a_driver_is_found_by_name_wherever_and_however_busy(fill: Fill) -> None:
    index = fill([a_driver("ana", 40_000, availability="PAUSED"), a_driver("ben")])
    results = index.search([a_need(named="ana"), a_need(named="ghost"), a_need(limit=1)])
    assert [names(result) for result in results] == [["ana"], [], ["ben"]]
    assert results[0].source == "named"


def test_the_limit_keeps_the_nearest(fill: Fill) -> None:
    (result,) = fill([a_driver(f"d{number:02}", 10 * number) for number in range(40)]).search([a_need(limit=3)])
    assert names(result) == ["d00", "d01", "d02"]


def test_the_far_ends_of_the_earth_do_no_harm(fill: Fill) -> None:
    fiji = a_driver("fiji", lat=-17.8, lng=179.99)
    index = fill([fiji, a_driver("pole", lat=89.9, lng=0.0)])
    results = index.search([a_need(lat=-17.8, lng=-179.99), a_need(lat=89.9, lng=0.0)])
    assert names(results[0]) == ["fiji"]
    assert len(results) == 2


def test_in_the_middle_of_a_crowd_the_nearest_are_found_for_every_order_of_a_burst(fill: Fill) -> None:
    index = fill([a_driver(f"d{number:04}", number, rating=4) for number in range(2_000)])
    needs = [a_need(lat=PLACE[0] + number * 10 / DEGREE_M, excluded=(f"d{number * 10:04}",)) for number in range(150)]
    results = index.search(needs)
    for number, result in enumerate(results[1:], 1):
        assert set(names(result)[:2]) == {f"d{number * 10 - 1:04}", f"d{number * 10 + 1:04}"}
        assert len(result.drivers) == 10
        assert result.busy_in_radius == 0


def test_the_busy_do_not_hide_the_free_behind_them(fill: Fill) -> None:
    crowd = [a_driver(f"busy{number}", number, orders=1, availability="BUSY") for number in range(200)]
    (result,) = fill([*crowd, a_driver("free", 4_000)]).search([a_need()])
    assert names(result) == ["free"]
    assert result.busy_in_radius > 0


def test_an_empty_batch_has_no_answers(fill: Fill) -> None:
    assert fill([a_driver("ana")]).search([]) == []


def test_the_second_index_too_is_left_alone_while_it_fails() -> None:
    second = Scripted(*[False] * 9)
    chain = Chain(Scripted(*[False] * 9), second)
    for _ in range(6):
        assert chain.search([a_need()])[0].failed
    assert second.asked == 3


@pytest.mark.servers
@pytest.mark.parametrize("kind", ["memory", "valkey"])
def test_moves_and_clearing(servers: Addresses, namespace: str, kind: str) -> None:
    index: Any = MemoryIndex() if kind == "memory" else ValkeyIndex(servers.valkey, namespace, 2_000)
    index.put([a_driver("ana", 20_000)])
    index.move([("ana", *PLACE), ("ghost", *PLACE)])
    (result,) = index.search([a_need()])
    assert names(result) == ["ana"]
    index.put([a_driver("ana", availability="ON_BREAK")])
    assert names(index.search([a_need()])[0]) == []
    index.put([a_driver("ana")])
    index.clear()
    assert names(index.search([a_need()])[0]) == []
    index.close()


@pytest.mark.servers
def test_the_mark_of_completeness_goes_with_everything_else(servers: Addresses, namespace: str) -> None:
    import redis

    index = ValkeyIndex(servers.valkey, namespace, 2_000)
    assert not index.marked()
    index.mark()
    assert index.marked()
    client = redis.Redis.from_url(servers.valkey)
    client.delete(f"{namespace}drivers:status:complete")
    client.close()
    assert not index.marked()
    index.close()


def test_a_server_that_hangs_or_is_gone_is_unavailable_within_the_limit() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        index = ValkeyIndex(f"redis://127.0.0.1:{port}/0", "", timeout_ms=50)
        began = time.monotonic()
        with pytest.raises(IndexUnavailable):
            index.search([a_need()])
        assert time.monotonic() - began < 2
        for call in (index.marked, index.mark, index.clear):
            with pytest.raises(IndexUnavailable):
                call()
        index.close()
    gone = PostgresIndex("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(IndexUnavailable):
        gone.search([a_need()])


class Scripted:
    """An index that answers as told."""

    def __init__(self, *answers: bool) -> None:
        self.answers, self.asked = list(answers), 0

    def search(self, needs: Any) -> list[SearchResult]:
        self.asked += 1
        if not (self.answers.pop(0) if self.answers else True):
            raise IndexUnavailable("said the test")
        return [SearchResult(source="valkey") for _ in needs]

    def close(self) -> None:
        self.answers = []


def test_the_second_index_answers_when_the_first_does_not_and_the_record_says_so() -> None:
    chain = Chain(Scripted(False), Scripted())
    (result,) = chain.search([a_need()])
    assert (result.failed, result.redis_ok) == (False, False)
    chain.close()


def test_when_nobody_answers_that_is_the_answer() -> None:
    chain = Chain(Scripted(False), Scripted(False))
    assert chain.search([a_need()]) == [SearchResult(failed=True, redis_ok=False, source="none")]
    assert Chain(Scripted(False), None).search([a_need()])[0].failed


def test_what_was_answered_stays_when_the_index_fails_at_the_rest_of_a_batch() -> None:
    chain = Chain(Scripted(True, False, True), Scripted(False))
    assert [result.failed for result in chain.search([a_need()] * 60)] == [False] * 25 + [True] * 25 + [False] * 10


def test_an_index_that_fails_is_not_asked_for_the_rest_of_a_large_batch() -> None:
    first, second = Scripted(*[False] * 99), Scripted(*[False] * 99)
    assert all(result.failed for result in Chain(first, second).search([a_need()] * 1_000))
    assert (first.asked, second.asked) == (3, 3)


def test_the_breaker_opens_after_three_failures_and_tries_again_after_a_while() -> None:
    now = [0.0]
    first = Scripted(False, False, False, True)
    chain = Chain(first, Scripted(), Breaker(failures=3, open_s=2, clock=lambda: now[0]))
    for _ in range(6):
        chain.search([a_need()])
    assert first.asked == 3
    now[0] = 2.1
    assert chain.search([a_need()])[0].redis_ok
    assert first.asked == 4


def test_who_is_unavailable_in_a_zone_is_neither_found_nor_counted_there(fill: Fill) -> None:
    index = fill([a_driver("never", 100, zones=(("old-town", "UNAVAILABLE"),)), a_driver("ana", 200)])
    there, elsewhere, nowhere = index.search([a_need(zone="old-town"), a_need(zone="harbour"), a_need()])
    assert (names(there), there.busy_in_radius, there.nearest_m) == (["ana"], 0, None)
    assert names(elsewhere) == names(nowhere) == ["never", "ana"]
    (far,) = index.search([a_need(zone="old-town", radius_m=50)])
    assert far.nearest_m is None or abs(far.nearest_m - 200) <= 2


def test_the_word_on_the_zone_comes_with_the_driver(fill: Fill) -> None:
    said = (("harbour", "UNAVAILABLE"), ("old-town", "PREFERRED"))
    index = fill([a_driver("ana", zones=said), a_driver("ben", 100)])
    (result,) = index.search([a_need(zone="old-town")])
    assert [found.preference for found in result.drivers] == ["PREFERRED", ""]
    (named,) = index.search([a_need(zone="harbour", named="ana")])
    assert [found.preference for found in named.drivers] == ["UNAVAILABLE"]


def test_many_who_are_unavailable_do_not_crowd_the_others_out(fill: Fill) -> None:
    near = [a_driver(f"never-{number:03}", number, zones=(("old-town", "UNAVAILABLE"),)) for number in range(150)]
    index = fill([*near, *(a_driver(f"will-{number}", 1_000 + number) for number in range(4))])
    (result,) = index.search([a_need(zone="old-town", limit=3)])
    assert names(result) == ["will-0", "will-1", "will-2"]


def test_a_search_tells_how_far_it_looked(fill: Fill) -> None:
    index = fill([a_driver("ana")])
    assert [result.radius_m for result in index.search([a_need(radius_m=700), a_need(limit=1)])] == [700, 5_000]
