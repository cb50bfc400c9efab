"""What processes count where they know it: calls for ways, sockets, zones, arrivals that grew old."""

import socket
from typing import Any, cast

import pytest
from figures import counting, figure, of

from dispatch.contract.records.system import ZoneHealth
from dispatch.inputs.candidates.chain import Breaker
from dispatch.inputs.travel.osrm import Osrm
from dispatch.inputs.travel.port import Asked, Found, Road, Router, RoutingUnavailable
from dispatch.inputs.travel.roads import Roads
from dispatch.streams.zone_figures import ZoneFigures
from gateways.access.doors import Door
from gateways.shell.front import Front
from gateways.sockets.connection import REPLACED, RESTARTING, TOO_SLOW, UNAUTHORIZED, Connection

ASKED = Asked(((48.0, 7.85),), (48.01, 7.86))


class Engine:
    """Answers as often as it is told to, and then fails."""

    def __init__(self, answers: int) -> None:
        self.left = answers

    def table(self, asked: Asked) -> Found:
        if self.left == 0:
            raise RoutingUnavailable("it is tired")
        self.left -= 1
        return Found(tuple(Road(1000, 100) for _ in asked.places))

    def close(self) -> None:
        return


def test_calls_for_ways_are_counted_by_what_became_of_them_and_those_not_made_too() -> None:
    roads = Roads(cast(Router, Engine(2)), 500, breaker=Breaker(failures=3, open_s=60))
    with counting() as added:
        for _ in range(7):
            roads.find([ASKED])
            roads.forget()
    roads.close()
    assert of(added, "baton_routing_calls_total") == {"answered": 2, "failed": 3, "left_alone": 2}
    assert of(added, "baton_travel_times_total") == {"osrm": 2, "formula": 12}


def test_an_engine_that_does_not_answer_in_time_is_counted_as_late() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        roads = Roads(Osrm(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_ms=5_000), 50)
        with counting() as added:
            roads.find([ASKED])
        roads.close()
    assert of(added, "baton_routing_calls_total") == {"late": 1}


@pytest.mark.parametrize(
    ("closing", "code", "fault", "how"),
    [
        (None, 1000, None, "left"), (None, 1005, None, "left"), (None, 1006, None, "lost"),
        (None, None, None, "lost"), (None, 1012, None, "restarted"), (UNAUTHORIZED, 1006, None, "expired"),
        (TOO_SLOW, None, None, "dropped"), (REPLACED, 1000, None, "replaced"), (RESTARTING, 1005, None, "restarted"),
        (TOO_SLOW, None, ValueError("a fault"), "fault"), (None, 1000, ValueError("a fault"), "fault"),
    ],
)  # fmt: skip
def test_a_sockets_end_is_counted_by_its_cause(
    closing: int | None, code: int | None, fault: BaseException | None, how: str
) -> None:
    connection = Connection.__new__(Connection)  # its task needs a loop, which its end does not
    connection._closing = (closing, "") if closing else None
    connection.fault = fault
    with counting() as added:
        connection.ended(code)
    assert of(added, "baton_sockets_ended_total") == {how: 1}


def test_a_stream_is_a_request_and_its_time_says_nothing_of_how_fast_doors_are() -> None:
    front = Front.__new__(Front)
    front._logged_from = 1_000
    with counting() as added:
        for door in (Door("GET", "/v2/admin/events", frozenset(), rate="stream"), Door("GET", "/v2/x", frozenset())):
            front._note({"method": "GET", "state": {"door": door}}, 200, 700.0)
        front._note({"method": "BREW", "state": {"door": None}}, 404, 0.001)
    assert of(added, "baton_gateway_requests_total") == {
        "/v2/admin/events GET 200": 1, "/v2/x GET 200": 1, "unknown other 404": 1,
    }  # fmt: skip
    assert of(added, "baton_gateway_request_seconds_count") == {"/v2/x": 1, "unknown": 1}


def a_health(zone: str, **changes: Any) -> ZoneHealth:
    fields: dict[str, Any] = {
        "zone": zone, "zone_version": 1, "at_ms": 1, "drivers_available": 2, "drivers_busy": 3, "drivers_on_break": 1,
        "drivers_paused": 0, "drivers_shift_ended": 4, "drivers_offline": 5, "drivers_online": 6,
        "min_drivers_online": 7, "open_searches": 8, "oldest_search_s": 90, "pressure": 4.0, "trend": "rising",
        "waits": 3, "wait_p50_ms": 1500, "wait_p95_ms": 9000, "target_wait_s": 300, "window_s": 900,
        "understaffed": True, "understaffed_since_ms": 1,
    }  # fmt: skip
    return ZoneHealth(**(fields | changes))


def test_a_zones_health_shows_and_goes_with_the_zone() -> None:
    shown = ZoneFigures()
    shown.show([a_health("harbour"), a_health("hill", understaffed=False)])
    assert figure("baton_zone_drivers", zone="harbour", state="busy") == 3
    assert figure("baton_zone_open_searches", zone="harbour") == 8
    assert figure("baton_zone_wait_seconds", zone="harbour", percentile="95") == 9
    assert figure("baton_zone_understaffed", zone="harbour") == 1
    with counting() as added:
        shown.show([a_health("hill", understaffed=False)])
        shown.show([a_health("hill", understaffed=False)])
    assert figure("baton_zone_open_searches", zone="harbour") == 0
    assert figure("baton_zone_open_searches", zone="hill") == 8
    assert not added, "nothing of the zone that stayed moved"
