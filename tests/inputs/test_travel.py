"""A routing engine that lies, fails or hangs: the formula answers in time, and the engine is left alone."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from msgspec.structs import replace

from dispatch.core.facts import FoundDriver, SearchNeed, SearchResult, Trip
from dispatch.core.policy import Policy, TravelPolicy
from dispatch.inputs.arrivals import Arrivals
from dispatch.inputs.candidates.chain import Breaker
from dispatch.inputs.rules import Rules
from dispatch.inputs.travel import Asked, Roads, RoutingUnavailable, with_travel
from dispatch.inputs.travel.osrm import Osrm

STORE, DOOR = (48.0, 7.85), (48.02, 7.87)
PLACES = ((48.01, 7.85), (48.0, 7.86))
ASKED = Asked(PLACES, STORE, DOOR)
GOOD = {
    "code": "Ok", "durations": [[200.0, 400.0], [120.0, 300.0], [0, 310.5]],
    "distances": [[1500.0, 4000.0], [900.0, 3500.0], [0, 3300.0]],
    "sources": [{"distance": 3}] * 3, "destinations": [{"distance": 5}] * 2,
}  # fmt: skip
Answer = tuple[int, bytes] | Callable[[BaseHTTPRequestHandler], None]


def altered(**changes: Any) -> tuple[int, bytes]:
    return 200, json.dumps({**GOOD, **changes}).encode()


def hangs(_handler: BaseHTTPRequestHandler) -> None:
    time.sleep(10)


def trickles(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "400")
    handler.end_headers()
    for _ in range(400):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)


NONSENSE: dict[str, Answer] = {
    "500": (500, b"oh"),
    "not JSON": (200, b"<html>"),
    "a list": (200, b"[]"),
    "no route": (400, b'{"code":"NoTable"}'),
    "not Ok": altered(code="Whatever"),
    "negative": altered(durations=[[-1, 400], [120, 300], [0, 310]]),
    "NaN": (200, json.dumps({**GOOD, "durations": [[float("nan"), 1], [1, 1], [0, 1]]}).encode()),
    "words": altered(distances=[["far", 4000], [900, 3500], [0, 3300]]),
    "true": altered(durations=[[True, 400], [120, 300], [0, 310]]),
    "10,000 km": altered(distances=[[10_000_000, 4000], [900, 3500], [0, 3300]]),
    "faster than a plane": altered(durations=[[0.1, 1], [0.1, 1], [0, 1]], distances=[[9e3, 1], [9e3, 1], [0, 9e3]]),
    "slower than a snail": altered(durations=[[1e6, 400], [120, 300], [0, 310]]),
    "a row too few": altered(durations=[[200, 400], [120, 300]]),
    "a column too many": altered(durations=[[200, 400, 1], [120, 300, 1], [0, 310, 1]]),
    "no durations": altered(durations=None),
    "no sources": altered(sources=None),
    "5 MB": (200, b" " * 5_000_000),
    "hangs": hangs,
    "trickles": trickles,
}  # fmt: skip


@contextmanager
def engine(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything so; its address, and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            try:
                if callable(answer):
                    answer(self)
                    return
                status, body = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """The client hung up, as it should."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def roads_of(url: str, timeout_ms: int = 10_000, **more: Any) -> Roads:
    return Roads(Osrm(url, timeout_ms=timeout_ms), timeout_ms=timeout_ms, **more)


def test_a_good_answer_is_believed_and_asked_for_once() -> None:
    with engine(altered()) as (url, asked):
        roads = roads_of(url)
        first, again = roads.find([ASKED])[0], roads.find([ASKED])[0]
        roads.close()
    assert [road and (road.distance_m, road.car_s, road.source) for road in first.roads] == [
        (1500.0, 200.0, "osrm"), (900.0, 120.0, "osrm"),
    ]  # fmt: skip
    assert first.on is not None
    assert (first.on.distance_m, first.on.car_s) == (3300.0, 310.5)
    assert {road.source for road in (*again.roads, again.on) if road} == {"osrm_cache"}
    assert len(asked) == 1
    assert asked[0].startswith("/table/v1/driving/7.850000,48.010000;7.860000,48.000000;7.850000,48.000000;7.870000,")
    assert asked[0].endswith("sources=0;1;2&destinations=2;3")


def test_what_was_remembered_is_forgotten_with_the_hour() -> None:
    hour = [0.0]
    with engine(altered()) as (url, asked):
        roads = roads_of(url, clock=lambda: hour[0])
        roads.find([ASKED])
        hour[0] = 3_700.0
        assert roads.find([ASKED])[0].roads[0].source == "osrm"  # type: ignore[union-attr]
        roads.close()
    assert len(asked) == 2


def test_where_there_is_no_way_only_that_one_is_the_formula_s() -> None:
    with engine(altered(durations=[[None, 400], [120, 300], [0, 310]])) as (url, _):
        roads = roads_of(url)
        found = roads.find([ASKED])[0]
        roads.close()
    assert found.roads[0] is None
    assert found.roads[1] is not None


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_not_believed(kind: str) -> None:
    with engine(NONSENSE[kind]) as (url, _):
        osrm = Osrm(url, timeout_ms=150)
        began = time.monotonic()
        with pytest.raises(RoutingUnavailable):
            osrm.table(ASKED)
        assert time.monotonic() - began < 5
        osrm.close()
        roads = roads_of(url, timeout_ms=150)
        assert roads.find([ASKED])[0] == ((None, None), None)
        roads.close()


def test_an_engine_that_hangs_costs_the_limit_three_times_and_then_nothing() -> None:
    with engine(hangs) as (url, asked):
        roads = roads_of(url, timeout_ms=150, breaker=Breaker(failures=3, open_s=60))
        took = []
        for _ in range(6):
            began = time.monotonic()
            assert roads.find([ASKED] * 5)[0] == ((None, None), None)
            took.append(time.monotonic() - began)
        roads.close()
    assert max(took) < 5, "each hangs for ten seconds"
    assert min(took[3:]) < 0.15, "not even asked"
    assert len(asked) <= 15


def test_nobody_listens() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        roads = roads_of(f"http://127.0.0.1:{held.getsockname()[1]}")
        assert roads.find([ASKED])[0] == ((None, None), None)
        roads.close()


def a_driver(name: str, place: tuple[float, float], **more: Any) -> FoundDriver:
    return FoundDriver(
        driver_id=name, lat=place[0], lng=place[1], distance_m=1_000, capacity=1, orders=0, rating=4.5,
        availability="AVAILABLE", **{"vehicle": "car", **more},
    )  # fmt: skip


NEED = SearchNeed(lat=STORE[0], lng=STORE[1], radius_m=5_000, limit=10, trip=Trip(*DOOR, "s1", "none"))


def searched(roads: Roads, policy: Policy | None = None, *drivers: FoundDriver) -> SearchResult:
    rules = Rules()
    rules.policy = policy or Policy()
    found = drivers or (a_driver("ana", PLACES[0]), a_driver("bob", PLACES[1]))
    search = with_travel(
        lambda needs: [SearchResult(drivers=found, source="memory") for _ in needs], roads, Arrivals(), rules
    )
    return search([NEED])[0]


def test_a_search_carries_the_engine_s_times_the_route_and_the_shape_of_arrivals() -> None:
    with engine(altered()) as (url, _):
        roads = roads_of(url)
        result = searched(roads)
        roads.close()
    assert [(found.travel_s, found.travel_source) for found in result.drivers] == [(200.0, "osrm"), (120.0, "osrm")]
    assert result.route is not None
    assert (result.route.distance_m, result.route.travel_s, result.route.source) == (3300, 310, "osrm")
    assert result.eta is not None
    assert result.eta.model_version == 0


def test_a_bicycle_goes_the_engine_s_metres_at_its_own_pace() -> None:
    with engine(altered()) as (url, _):
        roads = roads_of(url)
        result = searched(roads, None, a_driver("ana", PLACES[0], vehicle="bicycle"), a_driver("bob", PLACES[1]))
        roads.close()
    assert result.drivers[0].travel_s == pytest.approx(1_500 * 3.6 / 15)


def test_a_failing_engine_leaves_the_formula_and_says_so() -> None:
    with engine((500, b"")) as (url, _):
        roads = roads_of(url)
        result = searched(roads)
        roads.close()
    assert {(round(found.travel_s or 0), found.travel_source) for found in result.drivers} == {(202, "formula")}
    assert result.route is None


def test_without_an_engine_the_formula_of_the_ranking_holds_unless_the_hours_differ() -> None:
    assert searched(Roads(None)).drivers[0].travel_s is None
    slow = replace(Policy(), travel=TravelPolicy(hour_factors=(0.5,) * 24))
    result = searched(Roads(None), slow)
    assert result.drivers[0].travel_s == pytest.approx(1_000 * 1.35 * 3.6 / 12)
    assert result.drivers[0].travel_source == "formula"
