"""Baton in the threads of a test, on servers of which some are the test's own to kill."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import uvicorn
from couriers import Couriers
from running import Dispatch

from deploy.local import Addresses, Server
from deploy.local.servers import free_port
from dispatch import setup
from dispatch.config import Settings
from dispatch.contract import topics
from dispatch.contract.records import driver_events as dr
from dispatch.core.policy import AvailabilityPolicy, OfferPolicy, Policy, SearchPolicy
from dispatch.processors import service as worker_service
from dispatch.streams import eta_tracker, geo_feed
from gateways.app import create_app
from projections import service as projector_service

DRIVERS = [f"driver-{number}" for number in range(8)]
POLICY = Policy(
    version=7,
    offer=OfferPolicy(timeout_s=20),
    search=SearchPolicy(retry_first_s=0.5, retry_max_s=1, fresh_s=1),
    availability=AvailabilityPolicy(seen_every_s=1),
)


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
        self.dispatch.read(*topics.CATALOGUE)  # waits until every partition just made has a leader
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
            "worker": lambda: worker_service.run(settings, stop, when_hung=lambda: None),
            "streams": lambda: geo_feed.run(settings, stop),
            "eta": lambda: eta_tracker.run(settings, stop),
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

    def delivered(self, names: list[str], limit_s: float = 100) -> float:
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


def index_holds(client: Any, namespace: str) -> bool:
    """Whether the geo index says that it is complete, and knows every driver."""
    key = f"{namespace}drivers:status"
    return bool(client.get(key + ":complete") == b"1" and client.hlen(key) == len(DRIVERS))


def knows_all(postgres: Server) -> bool:
    """Whether the drivers table has every driver as free."""
    with psycopg.connect(postgres.address) as connection:
        row = connection.execute("SELECT count(*) FROM drivers WHERE availability = 'AVAILABLE'").fetchone()
    return bool(row == (len(DRIVERS),))
