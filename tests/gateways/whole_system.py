"""The whole running system in this process: worker, streams, projector and gateway over real servers; its clients."""

import json
import threading
import time
import uuid
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import redis
from websockets.sync.client import ClientConnection, connect

from deploy.local import Addresses
from deploy.local.servers import free_port
from dispatch import setup
from dispatch.config import Settings
from dispatch.core.policy import OfferPolicy, Policy
from dispatch.processors import service as worker_service
from dispatch.streams import geo_feed
from gateways.app import create_app
from gateways.shell.serving import server
from projections import service as projector_service
from projections.migrate import up

PLACE = {"lat": 48.0, "lng": 7.85}


class System:
    """The running system and its clients."""

    def __init__(self, servers: Addresses, dsn: str, home: Path, **more: Any) -> None:
        self.settings = Settings(
            kafka=servers.kafka, postgres=dsn, valkey=servers.valkey, namespace=f"g{uuid.uuid4().hex[:8]}.", home=home,
            partitions=2, reply_slots=2, gateway_port=free_port(), geo_timeout_ms=500, **more,
        )  # fmt: skip
        setup.create_topics(self.settings)
        setup.publish_policy(self.settings, Policy(version=3, offer=OfferPolicy(timeout_s=20, on_expiry="next_driver")))
        up(dsn)
        self.stop = threading.Event()
        settings = self.settings
        runs = {
            "worker": lambda: worker_service.run(settings, self.stop, when_hung=lambda: None),
            "streams": lambda: geo_feed.run(settings, self.stop),
            "projector": lambda: projector_service.run(settings.kafka, dsn, settings.namespace, 0, self.stop),
        }
        self.threads = [threading.Thread(target=run, name=name) for name, run in runs.items()]
        self.server = server(create_app(settings), settings)
        self.threads.append(threading.Thread(target=self.server.run, name="gateway"))
        for thread in self.threads:
            thread.start()
        self.url = f"http://127.0.0.1:{settings.gateway_port}"
        self.http = httpx.Client(base_url=self.url, timeout=15)
        self.valkey = redis.Redis.from_url(settings.valkey)
        self.until(lambda: self._ready(), "ready")
        self.until(lambda: self._decides(), "deciding", 60)

    def _ready(self) -> bool:
        try:
            return self.http.get("/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def _decides(self) -> bool:
        """The worker may be ready later than the gateway. 401: who did not sign in cannot tell."""
        return self.post("/v2/drivers/nobody/shift/start").status_code in (401, 404)

    def until(self, true: Any, what: str, limit_s: float = 20) -> None:
        end = time.monotonic() + limit_s
        while not true():
            assert time.monotonic() < end, f"not {what} within {limit_s} s"
            time.sleep(0.05)

    def close(self) -> None:
        self.http.close()
        self.valkey.close()
        self.server.should_exit = True
        self.stop.set()
        for thread in self.threads:
            thread.join(30)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.http.post(
            path, content=json.dumps(body or {}), headers={"content-type": "application/json", **headers}
        )

    def sign_on(self, name: str) -> None:
        """Known, and in the index: a search right after finds them, unless an order that waited was given to them."""
        since_ms = time.time_ns() // 1_000_000
        answer = self.post(f"/v2/drivers/{name}/sign-on", {"vehicle": "car", "capacity": 1, "rating": 4.5, **PLACE})
        assert answer.status_code == 200, answer.text
        self.until(lambda: self._working_since_ms(name) >= since_ms, f"{name} in the index")

    def _working_since_ms(self, name: str) -> int:
        """As of when the index has the driver as working, with or without room; 0: it has not, or is not complete."""
        key = f"{self.settings.namespace}drivers:"
        complete, known = self.valkey.get(f"{key}status:complete"), cast(Any, self.valkey.hget(f"{key}status", name))
        if complete != b"1" or not known:
            return 0
        *_, availability, _assigned, _zones, as_of_ms = msgspec.msgpack.decode(known)
        return int(as_of_ms) if availability in ("AVAILABLE", "BUSY") else 0

    def socket(self, name: str, version: str = "/v2") -> ClientConnection:
        return connect(f"{self.url.replace('http', 'ws')}{version}/drivers/{name}/socket")


def an_order(**changes: Any) -> dict[str, Any]:
    return {
        "seller_id": "s1", "seller_order_id": uuid.uuid4().hex[:12], "pickup": {"name": "Anker", **PLACE},
        "dropoff": {"lat": 48.012345, "lng": 7.86, "address": "Basler Str. 1"}, "order_value_minor": 2000,
        "currency": "EUR", "customer": {"name": "Clara Q.", "phone": "+49 761 5550123"},
    } | changes  # fmt: skip


def heard(socket: ClientConnection, kind: str, limit_s: float = 15) -> dict[str, Any]:
    """The next message of a kind."""
    end = time.monotonic() + limit_s
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=max(0.1, end - time.monotonic())))
        if message["type"] == kind:
            return message


def heard_all(socket: ClientConnection, *kinds: str, limit_s: float = 15) -> dict[str, dict[str, Any]]:
    """By kind the first message of everything heard until each of these was: between topics no order is promised."""
    end, seen = time.monotonic() + limit_s, {}
    while not set(kinds) <= set(seen):
        message: dict[str, Any] = json.loads(socket.recv(timeout=max(0.1, end - time.monotonic())))
        if message.get("to") != "AVAILABLE":  # that of the sign-on may still be on its way
            seen.setdefault(message["type"], message)
    return seen


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    assert {"type", "title", "status", "detail", "instance"} <= set(body)
    return body
