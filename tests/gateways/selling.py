"""Sellers' servers that answer as they are told to, the webhooks process beside the whole system, and what is asked."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
from shops import Answering, Came, Shop
from standardwebhooks import Webhook
from whole_system import System, an_order

from dispatch.webhooks import service


class Market:
    """The whole system with the webhooks process in it, and shops."""

    def __init__(self, system: System) -> None:
        self.system, self.shops = system, list[Shop]()
        self._stop, self._thread = threading.Event(), threading.Thread()
        self.start()

    def start(self) -> None:
        """The webhooks process, as a thread."""
        self._stop = threading.Event()
        stop, settings = self._stop, self.system.settings
        self._thread = threading.Thread(target=lambda: service.run(settings, stop), name="webhooks")
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def mortal(self, crash_at: str) -> "subprocess.Popen[bytes]":
        """The webhooks process as one that kills itself with SIGKILL at a step."""
        settings = self.system.settings
        environment = os.environ | {
            "BATON_KAFKA": settings.kafka, "BATON_POSTGRES": settings.postgres, "BATON_VALKEY": settings.valkey,
            "BATON_NAMESPACE": settings.namespace, "BATON_HOME": str(settings.home), "CRASH_AT": crash_at,
        }  # fmt: skip
        program = Path(__file__).with_name("mortal_webhooks.py")
        return subprocess.Popen([sys.executable, str(program)], env=environment, stderr=subprocess.DEVNULL)

    def close(self) -> None:
        self.stop()
        for shop in self.shops:
            shop.close()

    def shop(self, *arguments: Any) -> Shop:
        self.shops.append(Shop(*arguments))
        return self.shops[-1]

    def endpoint(self, seller: str, shop: Shop, **more: Any) -> dict[str, Any]:
        """Registers; with its secret."""
        body = {"seller_id": seller, "url": shop.url, "reason": "for the test", **more}
        answer = self.system.post("/v2/webhooks/endpoints", body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def act(self, endpoint: dict[str, Any], act: str, **body: Any) -> httpx.Response:
        path = f"/v2/webhooks/endpoints/{endpoint['endpoint_id']}/{act}"
        return self.system.post(path, {"reason": "for the test", **body})

    def read(self, endpoint: dict[str, Any], more: str = "") -> dict[str, Any]:
        answer = self.system.http.get(f"/v2/webhooks/endpoints/{endpoint['endpoint_id']}{more}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def attempts(self, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
        """The oldest first."""
        return list(reversed(self.read(endpoint, "/attempts")["attempts"]))

    def order(self, seller: str) -> dict[str, Any]:
        """Places one, in the sea, where no driver is; gives the order."""
        order = an_order(seller_id=seller)
        order["pickup"] = {"name": "Anker", "lat": -40.0, "lng": -120.0}
        order["dropoff"] = {"lat": -40.01, "lng": -120.0, "address": "Basler Str. 1"}
        answer = self.system.post("/v2/orders", order)
        assert answer.status_code in (200, 201), answer.text
        return order | {"delivery_id": answer.json()["delivery_id"]}

    def cancel(self, order: dict[str, Any]) -> None:
        path = f"/v2/orders/{order['seller_id']}/{order['seller_order_id']}/cancel"
        answer = self.system.post(path, {"reason": "no longer wanted"})
        assert answer.status_code == 200, answer.text

    def until(self, true: Callable[[], Any], what: str) -> None:
        self.system.until(true, what, 20)

    def rows(self, statement: str) -> list[Any]:
        with psycopg.connect(self.system.settings.postgres) as connection:
            return connection.execute(statement.encode()).fetchall()


def verified(came: Came, secret: str) -> dict[str, Any]:
    """As a seller's own program checks it, with the library that there is for it."""
    said: dict[str, Any] = Webhook(secret).verify(came.body, came.headers)
    return said


def slowly(seconds: float) -> Answering:
    def answer(_number: int, _came: Came) -> tuple[int, dict[str, str]]:
        time.sleep(seconds)
        return 200, {}

    return answer
