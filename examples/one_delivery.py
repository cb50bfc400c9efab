"""One delivery from the order to the door, by a program that knows nothing but /openapi.json and /asyncapi.json.

With `baton up` running: `python examples/one_delivery.py`. It signs in with tokens that `baton token` prints.
Needs httpx and websockets.
"""

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

STORE, DOOR = {"lat": 47.9961, "lng": 7.8494}, {"lat": 48.0021, "lng": 7.8571}
STEPS = ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered")


class Api:
    """Operations by their ids, as the document has them."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=20)
        self.document = self.http.get("/openapi.json").raise_for_status().json()
        self.operations = {
            operation["operationId"]: (method.upper(), path)
            for path, operations in self.document["paths"].items()
            for method, operation in operations.items()
        }

    def call(self, operation_id: str, token: str, body: Any = None, **parts: str) -> dict[str, Any]:
        """The answer; stops the program with the problem's words when there is one."""
        method, path = self.operations[operation_id]
        headers = _signed(token) | ({"idempotency-key": uuid.uuid4().hex} if method == "POST" else {})
        answer = self.http.request(method, path.format(**parts), json=body, headers=headers)
        if not answer.is_success:
            sys.exit(f"{operation_id}: {answer.status_code} {answer.text}")
        read: dict[str, Any] = answer.json()
        return read

    def example(self, model: str) -> Any:
        """The document's own example of a body."""
        return self.document["components"]["schemas"][model]["examples"][0]


def main() -> None:
    """Takes part in three roles: the order service, the driver, the customer."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8080")
    arguments.add_argument("--seller-token", default=None)
    arguments.add_argument("--driver-token", default=None)
    arguments.add_argument("--driver", default=f"example-{uuid.uuid4().hex[:6]}")
    given = arguments.parse_args()
    driver_id, api = given.driver, Api(given.url)
    seller = given.seller_token or _token(
        "--role", "order_service", "--sub", "example-shop", "--seller", "example-shop"
    )
    driver = given.driver_token or _token("--role", "driver", "--sub", driver_id)

    api.call("signOn", driver, {"vehicle": "bicycle", "capacity": 1, "rating": 4.9, **STORE}, driver_id=driver_id)
    with _socket(api, given.url, driver, driver_id) as socket:
        _next(socket, "READY")
        order = api.example("OrderBody") | {"seller_id": "example-shop", "seller_order_id": uuid.uuid4().hex[:12]}
        order |= {"pickup": {"name": "Example", **STORE}, "dropoff": {**DOOR, "address": "Basler Str. 1"}}
        delivery_id = api.call("orderReady", seller, order)["delivery_id"]
        print(f"ordered {delivery_id}")
        followed = _followed(api, seller, delivery_id)

        offer = _next(socket, "DELIVERY_OFFERED_V2", delivery_id)
        print(f"offered for {offer['earning']['amount_minor']} {offer['earning']['currency']} in minor units")
        named = {"driver_id": driver_id, "offer_id": offer["offer_id"]}
        api.call("acceptOffer", driver, {}, **named)
        _next(socket, "DELIVERY_ASSIGNED", delivery_id)
        for step in STEPS:
            body = {"offer_id": offer["offer_id"], "step": step}
            done = api.call("reportProgress", driver, body, driver_id=driver_id, delivery_id=delivery_id)
            print(f"{step}: version {done['version']}")
        _next(socket, "ASSIGNMENT_ENDED", delivery_id)
    followed.join(30)
    api.call("endShift", driver, {}, driver_id=driver_id)
    if followed.is_alive():
        sys.exit("the stream did not end with the delivery")


def _socket(api: Api, url: str, token: str, driver_id: str) -> ClientConnection:
    """The driver's socket, at the address that the AsyncAPI document tells."""
    document = api.http.get("/asyncapi.json").raise_for_status().json()
    address = document["channels"]["driver_socket"]["address"].format(driver_id=driver_id)
    return connect(url.replace("http", "ws", 1) + address, additional_headers=_signed(token))


def _next(socket: ClientConnection, kind: str, delivery_id: str = "") -> dict[str, Any]:
    """The next message of this kind, about this delivery."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=30))
        if message["type"] == kind and delivery_id in (message.get("delivery_id"), ""):
            return message


def _followed(api: Api, token: str, delivery_id: str) -> threading.Thread:
    """Prints what the delivery's stream tells, until it ends."""
    _, path = api.operations["followDelivery"]

    def read() -> None:
        known = False
        while not known:  # what was ordered just now may not be known to readers for a moment
            with api.http.stream("GET", path.format(delivery_id=delivery_id), headers=_signed(token)) as stream:
                known = stream.status_code != 404
                for line in stream.iter_lines():
                    if line.startswith(("event: delivery_status", "event: closed")):
                        print(f"   heard {line}")
            time.sleep(0.2)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _signed(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def _token(*asked: str) -> str:
    """A token of the local stack, from the `baton` beside this Python, or else the one on the PATH."""
    beside = Path(sys.executable).with_name("baton")
    baton = str(beside) if beside.exists() else shutil.which("baton")
    if baton is None:
        sys.exit("baton is not to be found; give tokens: --seller-token, --driver-token")
    return subprocess.run([baton, "token", *asked], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    main()
