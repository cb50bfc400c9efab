"""Whatever the engine leans on goes away and comes back: Valkey, Postgres, both, the worker itself."""

import os
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
import uvicorn
from couriers import Couriers, Pulse, Traffic
from running import PLACE, Dispatch, now_ms, spawn
from tables import audit_rows, differences, events_of

from deploy.local import Addresses, Postgres, Server, Valkey
from deploy.local.servers import free_port
from dispatch import setup
from dispatch.config import Settings
from dispatch.contract import topics
from dispatch.contract.records import driver_events as dr
from dispatch.core.policy import OfferPolicy, Policy, SearchPolicy
from dispatch.processors import service as worker_service
from dispatch.streams import geo_feed
from gateways.app import create_app
from projections import service as projector_service
from projections.migrate import up

pytestmark = [pytest.mark.servers, pytest.mark.chaos]
DRIVERS = [f"driver-{number}" for number in range(8)]
AWAY_S = float(os.environ.get("BATON_POSTGRES_AWAY_S", "4"))
"""How long Postgres is away; 60 in the long form."""
POLICY = Policy(
    version=7, offer=OfferPolicy(timeout_s=20), search=SearchPolicy(retry_first_s=0.5, retry_max_s=1, fresh_s=1)
)
Starts = Callable[[type[Server]], Server]


def until(true: Callable[[], Any], what: str, limit_s: float = 20) -> float:
    """Waits for it; gives the seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + limit_s, f"not {what} within {limit_s:g} s"
        time.sleep(0.05)
    return time.monotonic() - began


class Town:
    """Baton in threads on a namespace of its own: worker, streams, and what else a test runs; drivers who deliver."""

    def __init__(self, addresses: Addresses, namespace: str, home: Path) -> None:
        self.dispatch = Dispatch(addresses, namespace, home)
        changes = {"geo_timeout_ms": 500, "gateway_port": free_port()}
        self.settings: Settings = self.dispatch.settings.model_copy(update=changes)
        setup.publish_policy(self.settings, POLICY)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._couriers: Couriers | None = None
        self._gateway: uvicorn.Server | None = None
        self._orders = 0

    @property
    def couriers(self) -> Couriers:
        """Those who deliver; they start when first asked for."""
        self._couriers = self._couriers or Couriers(self.dispatch)
        return self._couriers

    def run(self, *parts: str) -> None:
        """Starts parts of the system."""
        settings, stop = self.settings, self._stop
        runs = {
            "worker": lambda: worker_service.run(settings, stop),
            "streams": lambda: geo_feed.run(settings, stop),
            "projector": lambda: projector_service.run(settings.kafka, settings.postgres, settings.namespace, 0, stop),
            "gateway": self._serve,
        }
        for part in parts:
            thread = threading.Thread(target=runs[part], name=part)
            thread.start()
            self._threads.append(thread)

    def sign_on(self) -> None:
        """All drivers, seen in the log."""
        for name in DRIVERS:
            self.dispatch.sign_on(name)
        self.dispatch.flush()

        def all_in(records: list[Any]) -> bool:
            return sum(isinstance(record, dr.DriverSignedOn) for record in records) == len(DRIVERS)

        self.dispatch.wait(topics.DRIVER_EVENTS, all_in)

    def orders(self, count: int) -> list[str]:
        """So many new orders; their deliveries."""
        names = [self.dispatch.order(self._orders + number) for number in range(count)]
        self._orders += count
        self.dispatch.flush()
        return names

    def delivered(self, names: list[str], limit_s: float = 40) -> float:
        """Waits until each is in the customer's hands."""
        return until(lambda: self.couriers.completed.issuperset(names), f"all {len(names)} delivered", limit_s)

    def holds(self) -> None:
        """Nothing is under way, and the log breaks no rule."""
        until(lambda: self.dispatch.check().ok, "quiet, with every rule held")

    def close(self) -> None:
        """Ends everything; what a follower met with is raised."""
        self._stop.set()
        if self._gateway is not None:
            self._gateway.should_exit = True
        for thread in self._threads:
            thread.join(30)
        if self._couriers is not None:
            self._couriers.close()

    def _serve(self) -> None:
        app = create_app(self.settings)
        config = uvicorn.Config(app, host="127.0.0.1", port=self.settings.gateway_port, log_level="warning",
                                ws="websockets-sansio")  # fmt: skip
        self._gateway = uvicorn.Server(config)
        self._gateway.run()


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


def index_holds(client: Any, namespace: str) -> bool:
    """Whether the geo index says that it is complete, and knows every driver."""
    key = f"{namespace}drivers:status"
    return bool(client.exists(key + ":complete") and client.hlen(key) == len(DRIVERS))


def knows_all(postgres: Server) -> bool:
    """Whether the drivers table has every driver as free."""
    with psycopg.connect(postgres.address) as connection:
        row = connection.execute("SELECT count(*) FROM drivers WHERE availability = 'AVAILABLE'").fetchone()
    return bool(row == (len(DRIVERS),))


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
        return here.couriers.found_by(asked)["valkey"] == 1

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
