"""Whatever the engine leans on goes away and comes back: Valkey, Postgres, both, the worker itself."""

import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
from couriers import Pulse, Traffic
from running import PLACE, now_ms, spawn
from tables import audit_rows, differences, events_of
from town import DRIVERS, Town, index_holds, knows_all, until

from deploy.local import Addresses, Postgres, Server, Valkey
from dispatch.contract import topics
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.system import DriverLocation
from dispatch.inputs.candidates.port import IndexedDriver, IndexUnavailable
from dispatch.inputs.candidates.valkey import ValkeyIndex
from projections.migrate import up

pytestmark = [pytest.mark.servers, pytest.mark.chaos]
AWAY_S = float(os.environ.get("BATON_POSTGRES_AWAY_S", "4"))
"""How long Postgres is away; 60 in the long form."""
Starts = Callable[[type[Server]], Server]


@pytest.fixture
def start() -> Iterator[Starts]:
    """Starts a server of the test's own."""
    folder = Path(tempfile.mkdtemp(prefix="baton-outside-"))
    folder.chmod(0o755)
    started: list[Server] = []

    def made(kind: type[Server]) -> Server:
        server = kind(folder)
        server.start()
        started.append(server)
        return server

    yield made
    for server in started:
        server.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def town(servers: Addresses, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Town]]:
    """Makes a town on these servers of the test's own, and the shared Kafka."""
    made: list[Town] = []

    def make(valkey: Server | None = None, postgres: Server | None = None) -> Town:
        addresses = Addresses(
            servers.kafka, postgres.address if postgres else "", valkey.address if valkey else ""
        )  # fmt: skip
        if postgres:
            up(postgres.address)
        made.append(Town(addresses, namespace, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_wiped_valkey_is_filled_again_from_the_log_and_no_order_is_lost(start: Starts, town: Any) -> None:
    valkey = start(Valkey)
    here = town(valkey)
    here.run("worker", "streams")
    here.sign_on()
    with closing(redis.Redis(port=valkey.port)) as client:
        until(lambda: index_holds(client, here.settings.namespace), "the index is filled")
        names = here.orders(40)
        until(lambda: len(here.couriers.completed) >= 5, "the evening under way")
        client.flushall()
        names += here.orders(40)
        took = until(lambda: index_holds(client, here.settings.namespace), "the index is filled again")
    print(f"filled again after {took:.2f} s")
    here.delivered(names)
    after = here.orders(10)
    here.delivered(after)
    assert here.couriers.found_by(after) == {"valkey": 10}
    here.holds()


def test_without_valkey_searches_ask_postgres_and_come_back_to_it(start: Starts, town: Any) -> None:
    valkey, postgres = start(Valkey), start(Postgres)
    here = town(valkey, postgres)
    here.run("worker", "streams", "projector")
    here.sign_on()
    with closing(redis.Redis(port=valkey.port)) as client:
        until(lambda: index_holds(client, here.settings.namespace), "the index is filled")
    until(lambda: knows_all(postgres), "the drivers table is filled")
    names = here.orders(10)
    here.delivered(names)
    assert here.couriers.found_by(names) == {"valkey": 10}
    valkey.kill()
    names = here.orders(30)
    here.delivered(names)
    assert here.couriers.found_by(names) == {"postgres": 30}
    assert not any(valkey_ok for name in names for _, valkey_ok, _ in here.couriers.sources[name])
    valkey.start()
    began = time.monotonic()

    def back() -> bool:
        names.extend(asked := here.orders(1))
        here.delivered(asked)
        return bool(here.couriers.found_by(asked)["valkey"])

    until(back, "found by Valkey again")
    print(f"back at Valkey after {time.monotonic() - began:.2f} s")
    last = here.orders(10)
    here.delivered(last)
    assert here.couriers.found_by(last) == {"valkey": 10}
    here.holds()


@pytest.mark.parametrize("first_back", ["valkey", "postgres"])
def test_without_any_index_the_reason_is_told_and_retries_find_a_driver_later(
    start: Starts, town: Any, first_back: str
) -> None:
    valkey, postgres = start(Valkey), start(Postgres)
    here = town(valkey, postgres)
    here.run("worker", "streams", "projector")
    here.sign_on()
    until(lambda: knows_all(postgres), "the drivers table is filled")
    valkey.kill()
    postgres.kill()
    names = here.orders(5)
    until(lambda: all(len(here.couriers.nobody.get(name, [])) >= 2 for name in names), "searched twice in vain")
    assert {why for name in names for why in here.couriers.nobody[name]} == {"redis_timeout"}
    assert not here.couriers.assigned
    {"valkey": valkey, "postgres": postgres}[first_back].start()
    took = here.delivered(names)
    print(f"delivered {took:.2f} s after {first_back} was back")
    assert here.couriers.found_by(names) == {first_back: 5}
    here.holds()


def test_a_wiped_valkey_is_not_believed_while_nobody_fills_it(start: Starts, town: Any) -> None:
    valkey, postgres = start(Valkey), start(Postgres)
    here = town(valkey, postgres)
    here.run("worker", "projector")
    streams = spawn(here.settings, "streams")
    try:
        here.sign_on()
        with closing(redis.Redis(port=valkey.port)) as client:
            until(lambda: index_holds(client, here.settings.namespace), "the index is filled")
            until(lambda: knows_all(postgres), "the drivers table is filled")
            streams.kill()
            streams.wait()
            client.flushall()
        names = here.orders(10)
        here.delivered(names)
        assert here.couriers.found_by(names) == {"postgres": 10}
        assert "no_available_drivers" not in {why for name in names for why in here.couriers.nobody.get(name, [])}
    finally:
        streams.kill()
        streams.wait()
    here.holds()


def test_a_wipe_while_the_index_is_filled_leaves_it_incomplete(start: Starts, namespace: str) -> None:
    valkey = start(Valkey)
    index = ValkeyIndex(valkey.address, namespace, 2_000)
    with closing(redis.Redis(port=valkey.port)) as client, closing(index):
        index.begin()
        assert not index.marked()
        index.put([a_free_driver("ana")])
        client.flushall()
        index.put([a_free_driver("ben")])
        with pytest.raises(IndexUnavailable, match="wiped while it was filled"):
            index.mark()
        assert not index.marked()
        index.begin()
        index.mark()
        assert index.marked()


def a_free_driver(name: str) -> IndexedDriver:
    return IndexedDriver(driver_id=name, lat=PLACE[0], lng=PLACE[1], vehicle="car", capacity=1, orders=0, rating=4.5,
                         availability="AVAILABLE")  # fmt: skip


def test_a_frozen_postgres_does_not_hold_up_the_worker(start: Starts, town: Any) -> None:
    valkey, postgres = start(Valkey), start(Postgres)
    here = town(valkey, postgres)
    here.run("worker", "streams", "projector")
    here.sign_on()
    until(lambda: knows_all(postgres), "the drivers table is filled")
    valkey.kill()
    names = here.orders(5)
    here.delivered(names)
    assert here.couriers.found_by(names) == {"postgres": 5}
    frozen = [psutil.Process(postgres.pid), *psutil.Process(postgres.pid).children(recursive=True)]
    for process in frozen:
        process.suspend()
    try:
        names = here.orders(5)
        until(lambda: all(here.couriers.nobody.get(name) for name in names), "searched in vain")
        assert {why for name in names for why in here.couriers.nobody[name]} == {"redis_timeout"}
    finally:
        for process in frozen:
            process.resume()
    here.delivered(names)
    here.holds()


def test_the_index_knows_where_drivers_were_last_after_streams_and_valkey_were_lost(start: Starts, town: Any) -> None:
    valkey = start(Valkey)
    here = town(valkey, start(Postgres))
    here.run("worker")
    streams = spawn(here.settings, "streams")
    key = f"{here.settings.namespace}drivers:geo:all"
    try:
        here.sign_on()
        with closing(redis.Redis(port=valkey.port, decode_responses=True)) as client:

            def north() -> bool:
                places: Any = client.geopos(key, DRIVERS[0])
                return bool(places[0] and abs(places[0][1] - 48.2) < 0.001)

            def seen() -> bool:
                events = here.dispatch.read(topics.DRIVER_EVENTS)
                return any(isinstance(event, dr.DriverSeen) and event.lat == 48.2 for event in events)

            def pinged() -> bool:
                ping = DriverLocation(driver_id=DRIVERS[0], lat=48.2, lng=PLACE[1], at_ms=now_ms())
                here.dispatch.send(topics.DRIVER_LOCATIONS, DRIVERS[0], ping)
                return north() and seen()

            until(lambda: client.geopos(key, DRIVERS[0])[0], "in the index")
            until(pinged, "moved")
            streams.kill()
            streams.wait()
            client.flushall()
            streams = spawn(here.settings, "streams")
            until(north, "known where last seen")
    finally:
        streams.kill()
        streams.wait()


def an_order() -> dict[str, Any]:
    lat, lng = PLACE
    return {
        "seller_id": "s2", "seller_order_id": uuid.uuid4().hex[:12], "order_value_minor": 2000, "currency": "EUR",
        "pickup": {"name": "Anker", "lat": lat, "lng": lng}, "dropoff": {"lat": 48.012, "lng": 7.86},
    }  # fmt: skip


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_without_postgres_orders_are_decided_and_the_tables_catch_up(start: Starts, town: Any, how: str) -> None:
    valkey, postgres = start(Valkey), start(Postgres)
    here = town(valkey, postgres)
    here.run("worker", "streams", "projector", "gateway")
    here.sign_on()
    url = f"http://127.0.0.1:{here.settings.gateway_port}"
    with httpx.Client(base_url=url, timeout=15) as client:

        def written() -> str:
            answer = client.post("/v2/orders/ready", json=an_order())
            assert answer.status_code in (200, 201, 202), answer.text
            name: str = answer.json()["delivery_id"]
            return name

        def read(name: str) -> httpx.Response:
            return client.get(f"/v2/deliveries/{name}")

        until(lambda: _answers(client), "the gateway answers")
        names = [written() for _ in range(5)]
        here.delivered(names)
        until(lambda: read(names[0]).status_code == 200, "readable")
        postgres.kill() if how == "killed" else postgres.stop()
        ends = time.monotonic() + AWAY_S
        while time.monotonic() < ends:
            names.append(written())
            here.delivered(names)
            answer = read(names[0])
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["content-type"] == "application/problem+json"
        assert len(names) > 5
        postgres.start()
        readable = until(lambda: read(names[-1]).status_code == 200, "readable again", 90)
    here.holds()
    until(lambda: audit_rows(postgres.address) == len(events_of(here.settings)), "the tables have caught up")
    print(f"{how} for {AWAY_S:g} s: {len(names)} orders delivered, readable {readable:.2f} s after it was back")
    assert differences(here.settings) == []


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.ConnectError:
        return False


def test_a_killed_worker_decides_again_within_seconds(start: Starts, town: Any) -> None:
    here = town(start(Valkey), start(Postgres))
    here.run("streams")
    settings = here.settings
    worker = spawn(settings, "worker")
    try:
        here.sign_on()
        with closing(Pulse(here.dispatch)) as pulse, closing(Traffic(here.dispatch, DRIVERS, rate=20)) as traffic:
            until(lambda: len(here.couriers.completed) >= 20, "the evening under way")
            since_ms = now_ms()
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            worker = spawn(settings, "worker")
            until(lambda: pulse.back_after_s(since_ms, 1), "one decision committed", 15)
            until(lambda: pulse.back_after_s(since_ms, settings.partitions), "decisions in every partition", 15)
            first, every = (pulse.back_after_s(since_ms, count) for count in (1, settings.partitions))
            print(f"decided again {first:.2f} s after SIGKILL, in every partition after {every:.2f} s")
        here.delivered(traffic.sent)
        here.holds()
    finally:
        worker.terminate()
        worker.wait(20)
