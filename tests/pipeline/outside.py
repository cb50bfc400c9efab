"""Who stands outside in `make chaos`: a seller's server that webhooks go to, and drivers at their sockets."""

import threading

import httpx
from running import Dispatch, now_ms
from shops import Came, Shop

from baton.client.socket import DriverSocket
from dispatch.contract import codec, topics
from dispatch.contract.records.delivery_events import DeliveryCreated
from dispatch.contract.records.offers import OfferCreated
from dispatch.log.reading import read_all
from dispatch.webhooks.kinds import TOLD

SELLER = "s1"
WEBHOOKS = {
    "BATON_WEBHOOK_LOOPBACK": "true",
    "BATON_WEBHOOK_TIMEOUT_S": "3",
    "BATON_WEBHOOK_RETRIES_S": "1 2 4" + " 8" * 17,
}
"""Tried for some two minutes before an endpoint is given up."""
_FOR_EVER = 1_000_000
"""A driver's device comes again however long the gateway is away."""


class Seller:
    """A seller's server: it takes what it is told, refuses it with 500, or takes the connection and never answers."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch, self._well = dispatch, threading.Event()
        self._well.set()
        self._refuses = False
        self._lock = threading.Lock()
        self.heard: dict[tuple[str, int], list[str]] = {}
        """By delivery and sequence the ids of the messages that were answered with 200, in the order of the first."""
        self.since_ms = 0
        self._shop = Shop(self._answered)

    def registers(self, gateway: str) -> bool:
        """Asks to be told; False: nobody answered. Raises AssertionError for a refusal."""
        body = {"seller_id": SELLER, "url": self._shop.url, "reason": "chaos"}
        try:
            answer = httpx.post(f"{gateway}/v2/webhooks/endpoints", json=body, timeout=10)
        except httpx.HTTPError:
            return False
        assert answer.status_code == 201, answer.text
        self.since_ms = now_ms()
        return True

    def refuse(self) -> None:
        """From now on 500."""
        self._refuses = True

    def hang(self) -> None:
        """From now on no answer."""
        self._well.clear()

    def be_well(self) -> None:
        """As before."""
        self._refuses = False
        self._well.set()

    def missing(self) -> list[str]:
        """What the log has told of since it registered, and was not heard; what was heard out of order."""
        events = self._dispatch.read(topics.DELIVERY_EVENTS)
        mine = {one.delivery_id for one in events if isinstance(one, DeliveryCreated) and one.order.seller_id == SELLER}
        wanted = {
            (one.delivery_id, one.version)
            for one in events if one.delivery_id in mine and type(one) in TOLD and one.at_ms > self.since_ms
        }  # fmt: skip
        with self._lock:
            heard = list(self.heard)
            ids = list(self.heard.values())
        wrong = [f"the seller was not told of {name} version {number}" for name, number in wanted - set(heard)]
        last: dict[str, int] = {}
        for name, number in heard:
            if number < last.get(name, 0):
                wrong.append(f"the seller heard version {number} of {name} after {last[name]}")
            last[name] = number
        return wrong + [f"the seller heard one message under {len(set(one))} ids" for one in ids if len(set(one)) > 1]

    def close(self) -> None:
        """Ends the server."""
        self.be_well()
        self._shop.close()

    def _answered(self, _number: int, came: Came) -> tuple[int, dict[str, str]]:
        self._well.wait(60)
        if self._refuses:
            return 500, {}
        with self._lock:
            place = (came.data["delivery_id"], came.data["sequence"])
            self.heard.setdefault(place, []).append(came.headers["webhook-id"])
        return 200, {}


class Ears:
    """Drivers on their sockets, by our own client, which comes again and goes on where it was."""

    def __init__(self, dispatch: Dispatch, gateway: str, names: list[str]) -> None:
        self._dispatch = dispatch
        self._offers: dict[str, list[str]] = {name: [] for name in names}
        self._ready = {name: threading.Event() for name in names}
        self._sockets = {name: DriverSocket(gateway, name, tries=_FOR_EVER) for name in names}
        self._failed: list[str] = []
        self._threads = [threading.Thread(target=self._listen, args=(name,), daemon=True) for name in names]
        for thread in self._threads:
            thread.start()
        for name, ready in self._ready.items():
            assert ready.wait(60), f"{name}'s socket was not opened: {self._failed}"
        self._since_ms = now_ms()

    def missing(self) -> list[str]:
        """Offers of the log that a driver did not hear, or heard twice or out of order."""
        made: dict[str, list[str]] = {name: [] for name in self._offers}
        name = self._dispatch.namespace + topics.OFFERS.name
        for raw in read_all(self._dispatch.settings.kafka, [name]):  # a driver's are of one partition, in its order
            record = codec.decode(raw.value)
            if isinstance(record, OfferCreated) and record.driver_id in made and record.at_ms > self._since_ms:
                made[record.driver_id].append(record.offer_id)
        wrong = []
        for name, offers in made.items():
            known = set(offers)
            heard = [one for one in self._offers[name] if one in known]
            if heard != offers:
                wrong.append(f"{name} heard {len(heard)} offers ({len(set(heard))} different), {len(offers)} were made")
        return wrong + self._failed

    @property
    def count(self) -> int:
        """Offers heard by all of them."""
        return sum(map(len, self._offers.values()))

    def close(self) -> None:
        """Hangs up."""
        for socket in self._sockets.values():
            socket.close()
        for thread in self._threads:
            thread.join(15)

    def _listen(self, name: str) -> None:
        try:
            for message in self._sockets[name]:
                if message["type"] == "READY":
                    self._ready[name].set()
                elif message["type"] == "DELIVERY_OFFERED_V2":
                    self._offers[name].append(message["offer_id"])
                elif message["type"] == "RESYNC":
                    self._failed.append(f"{name} was told to look anew: {message}")
        except Exception as error:  # noqa: BLE001 - told at the end
            self._failed.append(f"{name}'s socket ended: {error!r}")
