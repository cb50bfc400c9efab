"""Pings and heartbeats at the doors: what is taken, what is refused and why, and what becomes of it."""

import json
import time
from contextlib import closing
from typing import Any

import pytest
import redis
from websockets.exceptions import ConnectionClosedError
from whole_system import PLACE, System, heard, problem

from dispatch.contract import codec, topics
from dispatch.contract.records.system import DriverHeartbeat, DriverLocation
from dispatch.log.reading import read_all

pytestmark = pytest.mark.servers
LAT, LNG = PLACE["lat"], PLACE["lng"]
PATHS = [
    ("put", "/v2/drivers/emil/location"),
    ("patch", "/v2/drivers/emil/location"),
    ("post", "/drivers/emil/location"),
    ("put", "/drivers/emil/location"),
]


def pings_of(system: System, name: str) -> list[Any]:
    topic = system.settings.namespace + topics.DRIVER_LOCATIONS.name
    records: list[Any] = [codec.decode(record.value) for record in read_all(system.settings.kafka, [topic])]
    return [record for record in records if record.driver_id == name]


def iso(seconds_from_now: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds_from_now))


def test_pings_by_every_door_move_the_driver_in_the_index(system: System) -> None:
    system.sign_on("emil")
    for number, (method, path) in enumerate(PATHS):
        place = {"lat": LAT + 0.0005 * number, "lng": LNG, "accuracy_m": 5}
        assert system.http.request(method, path, json=place).json() == {"taken": 1}
    batch = [{"lat": LAT + 0.002, "lng": LNG}, {"lat": LAT + 0.003, "lng": LNG}]
    answer = system.http.post("/drivers/emil/location", json=batch)
    assert (answer.status_code, answer.json()) == (202, {"taken": 2})
    key = f"{system.settings.namespace}drivers:geo:all"
    with closing(redis.Redis.from_url(system.settings.valkey)) as client:

        def north() -> float:
            places: Any = client.geopos(key, "emil")
            return float(places[0][1]) if places[0] else 0.0

        system.until(lambda: abs(north() - LAT - 0.003) < 1e-5, "moved in the index")
    assert len([record for record in pings_of(system, "emil") if isinstance(record, DriverLocation)]) == 6


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"lat": 0, "lng": 0}, "zero_place"),
        ({"at": 90}, "in_the_future"),
        ({"at": -700}, "too_old"),
        ({"accuracy_m": 1_001}, "bad_accuracy"),
        ({"accuracy_m": -1}, "invalid"),
        ({"lat": 91}, "invalid"),
        ({"lng": "NaN"}, "invalid"),
        ({"lat": "x" * 60_000}, "invalid"),
    ],
)
def test_a_ping_that_cannot_be_right_is_refused_with_the_reason(
    system: System, changes: dict[str, Any], code: str
) -> None:
    ping = {**PLACE, **changes, **({"at": iso(changes["at"])} if "at" in changes else {})}
    for method, path in PATHS[1:3]:
        body = problem(system.http.request(method, path.replace("emil", "nemo"), json=ping), 422, code)
        assert len(body["detail"]) < 500
    assert pings_of(system, "nemo") == []


def test_of_a_batch_the_good_are_taken_and_the_others_told_by_number(system: System) -> None:
    system.sign_on("otto")
    batch = [{**PLACE, "at": iso(-700)}, PLACE, {"lat": 0, "lng": 0}, {**PLACE, "at": iso(0)}]
    answer = system.http.put("/v2/drivers/otto/location", json=batch)
    assert answer.status_code == 202
    body = answer.json()
    assert body["taken"] == 2
    assert [(wrong["ping"], wrong["code"]) for wrong in body["refused"]] == [(0, "too_old"), (2, "zero_place")]
    none = problem(system.http.put("/v2/drivers/otto/location", json=batch[:1] * 3), 422, "pings_refused")
    assert len(none["errors"]) == 3
    problem(system.http.put("/v2/drivers/otto/location", json=[]), 422, "too_many_pings")
    problem(system.http.put("/v2/drivers/otto/location", json=[PLACE] * 501), 422, "too_many_pings")
    assert (
        "bytes"
        in problem(system.http.put("/v2/drivers/otto/location", json=[PLACE] * 10_000), 413, "too_large")["detail"]
    )
    problem(system.http.put("/v2/drivers/otto/location", json={**PLACE, "lat": "x" * 1_000_000}), 413, "too_large")
    system.until(lambda: len(pings_of(system, "otto")) == 2, "in the log")


def test_heartbeats_by_http_and_by_socket_are_signs_of_life(system: System) -> None:
    for path in ("/v2/drivers/hugo/heartbeat", "/drivers/hugo/heartbeat"):
        assert system.post(path).status_code == 202
    system.until(lambda: len(pings_of(system, "hugo")) == 2, "both in the log")
    with system.socket("hugo") as socket:
        system.until(lambda: len(pings_of(system, "hugo")) == 3, "to connect is one, too")
        socket.send(json.dumps({"type": "PING"}))
        heard(socket, "PONG")
        socket.send(json.dumps({"type": "LOCATION", **PLACE}))
        system.until(lambda: len(pings_of(system, "hugo")) == 5, "all in the log")
    kinds = [type(record) for record in pings_of(system, "hugo")]
    assert (kinds.count(DriverHeartbeat), kinds.count(DriverLocation)) == (4, 1)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (json.dumps({"type": "LOCATION", "lat": 0, "lng": 0}), "zero_place"),
        (json.dumps({"type": "LOCATION", "lat": 100, "lng": 0}), "invalid"),
        (json.dumps({"type": "LOCATION"}), "invalid"),
        (json.dumps({"type": "DANCE"}), "not_understood"),
        (json.dumps({"type": ["LOCATION"]}), "not_understood"),
        ("[1, 2]", "not_understood"),
        ("{", "not_understood"),
        (json.dumps({"type": "LOCATION", **PLACE, "x": "x" * 10_000}), "not_understood"),
    ],
)
def test_what_is_wrong_on_the_socket_is_told_and_the_socket_stays_open(system: System, said: str, code: str) -> None:
    with system.socket("ida") as socket:
        socket.send(said)
        assert heard(socket, "REFUSED")["code"] == code
        socket.send(json.dumps({"type": "PING"}))
        heard(socket, "PONG")


def test_a_message_of_a_megabyte_ends_the_socket_and_says_why(system: System) -> None:
    with system.socket("ida") as socket:
        socket.send(json.dumps({"type": "LOCATION", **PLACE, "x": "x" * 1_000_000}))
        with pytest.raises(ConnectionClosedError, match="too big"):
            heard(socket, "REFUSED")
