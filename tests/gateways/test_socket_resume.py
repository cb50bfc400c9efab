"""What drivers hear when connections, gateways and Redis come and go: everything, once, in order."""

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from confluent_kafka import Producer
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_now
from websockets.typing import Subprotocol
from whole_system import PLACE, System, an_order, heard, heard_all, problem

from deploy.local.servers import free_port
from dispatch.contract import codec, identity, topics
from dispatch.contract.records.offers import OfferCreated, OfferEnded
from dispatch.contract.records.shared import OfferTerms
from gateways.access import local_key
from gateways.app import create_app
from gateways.shell.serving import server
from gateways.sockets import feed
from gateways.sockets.positions import partition_of, position

pytestmark = pytest.mark.servers


class Gateway:
    """One more gateway beside the system's, which can be restarted."""

    def __init__(self, system: System, **changes: Any) -> None:
        self.settings = system.settings.model_copy(update={"slot": 1, "gateway_port": free_port(), **changes})
        self.url = f"ws://127.0.0.1:{self.settings.gateway_port}"
        self.start()

    def start(self) -> None:
        self.server = server(create_app(self.settings), self.settings)
        self.thread = threading.Thread(target=self.server.run, name="gateway-1")
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture(scope="module")
def second(system: System) -> Iterator[Gateway]:
    gateway = Gateway(system)
    system.until(lambda: gateway.server.started, "started")
    yield gateway
    gateway.stop()


def an_offer(driver_id: str, number: int) -> OfferCreated:
    now_ms = time.time_ns() // 1_000_000
    terms = OfferTerms(
        store_name=f"Store {number}", pickup_lat=48, pickup_lng=7.8, dropoff_lat=48.012, dropoff_lng=7.86,
        pickup_eta_ms=now_ms, delivery_eta_ms=now_ms, pickup_distance_m=1330, total_distance_m=4000,
        earning_minor=489, incentive_minor=0, currency="EUR",
    )  # fmt: skip
    name = identity.derived(driver_id, str(number))
    return OfferCreated(
        offer_id=name, delivery_id=name, driver_id=driver_id, terms=terms, at_ms=now_ms, expires_at_ms=now_ms + 600_000
    )


class Told:
    """Writes offers straight into the log."""

    def __init__(self, system: System) -> None:
        self._topic = system.settings.namespace + topics.OFFERS.name
        self._producer = Producer({"bootstrap.servers": system.settings.kafka, "partitioner": "murmur2_random"})

    def tell(self, *records: Any) -> None:
        for record in records:
            self._producer.produce(self._topic, codec.encode(record), record.driver_id.encode())
        self._producer.flush(10)


def at(url: str, driver_id: str, **query: str) -> str:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{url.replace('http', 'ws')}/v2/drivers/{driver_id}/socket?{asked}"


def names(socket: ClientConnection, count: int) -> list[str]:
    """Of so many offers, in the order in which they were heard."""
    return [heard(socket, "DELIVERY_OFFERED_V2")["store_name"] for _ in range(count)]


class App:
    """A driver's app: it loses its connection now and then, and goes on at the other gateway from the last id."""

    def __init__(self, urls: list[str], driver_id: str, offers: int) -> None:
        self.urls, self.driver_id, self.offers = urls, driver_id, offers
        self.since, self.stores, self.codes, self.resyncs = "", list[str](), list[int](), 0
        self.ready = asyncio.Event()

    async def run(self, number: int) -> None:
        turn = number
        while len(self.stores) < self.offers:
            turn += 1
            try:
                async with connect(at(self.urls[turn % 2], self.driver_id, since=self.since), open_timeout=5) as socket:
                    left = 5 + (turn * 7 + number) % 11  # messages until the network goes
                    async for text in socket:
                        self._hear(json.loads(text))
                        left -= 1
                        if left == 0 or len(self.stores) == self.offers:
                            socket.transport.abort()
                            break
            except ConnectionClosed as closed:
                self.codes += [closed.rcvd.code] if closed.rcvd else []
            except (InvalidHandshake, OSError, TimeoutError):
                await asyncio.sleep(0.1)

    def _hear(self, message: dict[str, Any]) -> None:
        self.since = message.get("id", self.since)
        match message["type"]:
            case "READY":
                self.ready.set()
            case "RESYNC":
                self.resyncs += 1
            case "DELIVERY_OFFERED_V2":
                self.stores.append(message["store_name"])


def test_two_gateways_and_a_restart_under_load_tell_every_driver_everything_once(
    system: System, second: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.sockets.hub._BEHIND_S", 15.0)  # two gateways here share one machine's cores
    drivers, offers = [f"resume-{number}" for number in range(20)], 60
    told = Told(system)

    async def whole() -> list[App]:
        apps = [App([system.url, second.url], name, offers) for name in drivers]
        running = [asyncio.create_task(app.run(number)) for number, app in enumerate(apps)]
        await asyncio.gather(*(app.ready.wait() for app in apps))
        for number in range(offers):
            await asyncio.to_thread(told.tell, *(an_offer(name, number) for name in drivers))
            if number == offers // 3:
                await asyncio.to_thread(second.stop)
            if number == offers // 2:
                second.start()
            await asyncio.sleep(0.03)
        async with asyncio.timeout(30):
            await asyncio.gather(*running)
        return apps

    apps = asyncio.run(whole())
    wanted = [f"Store {number}" for number in range(offers)]
    assert {app.driver_id: app.stores for app in apps} == dict.fromkeys(drivers, wanted)
    assert [app.resyncs for app in apps] == [0] * len(apps)
    assert 1012 in {code for app in apps for code in app.codes}


def test_a_message_has_both_words_and_an_id_and_what_was_missed_comes_once(
    system: System, second: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.sockets.hub._BEHIND_S", 15.0)
    told = Told(system)
    with system.socket("rita") as socket:
        ready = heard(socket, "READY")
        assert (ready["resumed"], ready["complete"], ready["availability"]) == (False, True, None)
        told.tell(an_offer("rita", 1))
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        assert offer["event"] == "offer_created"
        assert position(offer["id"])
    ended = OfferEnded(
        offer_id=offer["offer_id"], delivery_id=offer["delivery_id"], driver_id="rita", at_ms=1, outcome="REJECTED"
    )
    told.tell(ended, an_offer("rita", 2))
    with connect_now(at(second.url, "rita", since=offer["id"])) as socket:
        messages = [json.loads(socket.recv(timeout=15)) for _ in range(3)]
    ready = next(message for message in messages if message["type"] == "READY")  # before what is read a moment later
    assert ready["resumed"] is True
    missed = [message["event"] for message in messages if message is not ready]
    assert missed == ["offer_rejected", "offer_created"]


@pytest.mark.parametrize("since", ["1-0-n-n-n", "1-77-3-4-5", "yesterday", "1-1-999999-9-9"])
def test_what_cannot_be_gone_on_from_is_said_and_the_present_state_told(system: System, since: str) -> None:
    Told(system).tell(an_offer("remo", 1))
    system.until(lambda: _told_of("remo", system), "in the log")
    with connect_now(at(system.url, "remo", since=since)) as socket:
        first = json.loads(socket.recv(timeout=15))
        if since == "1-0-n-n-n" and first["type"] != "RESYNC":  # the log's beginning is still kept, and it is Remo's
            assert first["store_name"] == "Store 1"
            return
        assert first["type"] == "RESYNC"
        state = json.loads(socket.recv(timeout=15))
        assert (state["store_name"], "id" in state) == ("Store 1", False)
        assert heard(socket, "READY")["resumed"] is False


def _told_of(name: str, system: System) -> bool:
    with system.socket(name) as socket:
        first = json.loads(socket.recv(timeout=15))
    return bool(first["type"] == "DELIVERY_OFFERED_V2")


def test_an_app_that_keeps_nothing_goes_on_from_what_it_acknowledged(
    system: System, second: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.sockets.hub._BEHIND_S", 15.0)
    told = Told(system)
    with system.socket("rosa") as socket:
        heard(socket, "READY")
        told.tell(an_offer("rosa", 1), an_offer("rosa", 2))
        first = heard(socket, "DELIVERY_OFFERED_V2")
        socket.send(json.dumps({"type": "ACK", "id": first["id"]}))
        socket.send(json.dumps({"type": "ACK", "id": "nonsense"}))
        assert heard(socket, "REFUSED")["code"] == "unknown_id"
    with closing(redis.Redis.from_url(system.settings.valkey)) as client:
        key = f"{system.settings.namespace}sockets:rosa"
        system.until(lambda: client.hget(key, "acked:") == first["id"].encode(), "remembered")
    with connect_now(at(second.url, "rosa", since="acked")) as socket:
        assert names(socket, 1) == ["Store 2"]


def test_a_device_has_one_live_connection_over_all_gateways(system: System, second: Gateway) -> None:
    with system.socket("rolf") as older:
        heard(older, "READY")
        with connect_now(at(second.url, "rolf")) as newer:
            heard(newer, "READY")
            with pytest.raises(ConnectionClosed) as closed:
                heard(older, "never")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4409
            Told(system).tell(an_offer("rolf", 1))
            assert names(newer, 1) == ["Store 1"]


def test_an_emptied_registry_is_filled_again_and_nothing_is_lost(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.sockets.hub.ALIVE_EVERY_S", 0.5)
    key = f"{system.settings.namespace}sockets:ruth"
    with system.socket("ruth") as socket, closing(redis.Redis.from_url(system.settings.valkey)) as client:
        heard(socket, "READY")
        assert client.delete(key) == 1
        Told(system).tell(an_offer("ruth", 1))
        assert names(socket, 1) == ["Store 1"]
        system.until(lambda: client.exists(key), "written again")
    system.until(lambda: not client.hkeys(key), "left")


def test_breaks_and_broadcasts_are_heard(system: System) -> None:
    system.sign_on("rene")
    answer = system.post("/v2/admin/broadcasts", {"text": "x", "zone_id": "nowhere", "reason": "storm"})
    problem(answer, 404, "unknown_zone")
    with system.socket("rene") as socket:
        heard(socket, "READY")
        system.post("/v2/drivers/rene/availability/take-break", {"minutes": 6, "reason": "tea"})
        assert heard_all(socket, "AVAILABILITY_CHANGED")["AVAILABILITY_CHANGED"]["to"] == "ON_BREAK"
        system.post("/v2/drivers/rene/availability/extend-break", {"minutes": 5})
        assert heard(socket, "BREAK_EXTENDED")["event"] == "break_extended"
        answer = system.post("/v2/admin/broadcasts", {"text": "Storm at six.", "reason": "weather"})
        assert answer.status_code == 202, answer.text
        said = heard(socket, "BROADCAST")
        assert (said["text"], said["broadcast_id"]) == ("Storm at six.", answer.json()["broadcast_id"])
        again = system.post("/v2/admin/broadcasts", {"text": "Storm at seven.", "reason": "weather"})
        assert 1 <= int(again.headers["retry-after"]) <= 60
        problem(again, 429, "broadcast_too_soon")


def test_an_order_is_told_to_a_driver_who_comes_back_at_another_gateway(system: System, second: Gateway) -> None:
    place = {"lat": PLACE["lat"] + 1, "lng": PLACE["lng"]}
    order = an_order(pickup={"name": "Far", **place}, dropoff={**place}, seller_order_id=uuid.uuid4().hex[:12])
    body = {"vehicle": "car", "capacity": 1, "rating": 4.5, **place}
    assert system.post("/v2/drivers/rike/sign-on", body).status_code == 200
    with system.socket("rike") as socket:
        since = heard(socket, "READY")["id"]
    assert system.post("/v2/orders/ready", order).status_code < 300
    with connect_now(at(second.url, "rike", since=since)) as socket:
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        path = f"/v2/drivers/rike/offers/{offer['offer_id']}/accept"
        assert system.post(path, {"delivery_id": offer["delivery_id"]}).status_code == 200
        assert heard(socket, "OFFER_ENDED")["event"] == "offer_accepted"
        assert heard(socket, "DELIVERY_ASSIGNED")["contact"]["name"] == "Clara Q."


def ready(gateway: Gateway) -> bool:
    return httpx.get(f"{gateway.url.replace('ws', 'http')}/ready").status_code == 200


def test_a_signed_in_socket_lives_as_long_as_its_token_and_a_new_one_renews_it(
    system: System, second: Gateway, tmp_path: Path
) -> None:
    local_key.make(tmp_path)
    key = local_key.of(tmp_path, system.settings.sign_in_issuer, system.settings.sign_in_audience)
    assert key is not None
    second.stop()  # its slot is needed
    signed = Gateway(system, sign_in_key_file=tmp_path / local_key.PUBLIC)
    system.until(lambda: signed.server.started, "started")
    try:
        for shown, status in ({}, 401), ({"authorization": f"Bearer {key.token('driver', 'ben')}"}, 403):
            with pytest.raises(InvalidStatus) as refused:
                connect_now(at(signed.url, "sina"), additional_headers=shown)
            assert refused.value.response.status_code == status
        system.until(lambda: ready(signed), "the log read: a socket waits for that, and its token goes on")
        token, newer = key.token("driver", "sina", ttl_s=8), key.token("driver", "sina", ttl_s=11)
        with connect_now(at(signed.url, "sina"), subprotocols=[Subprotocol("bearer"), Subprotocol(token)]) as socket:
            assert socket.subprotocol == "bearer"
            assert heard(socket, "TOKEN_EXPIRING")["event"] == "token_expiring"
            socket.send(json.dumps({"type": "TOKEN", "token": newer}))
            ends = datetime.fromisoformat(heard(socket, "TOKEN_TAKEN")["expires_at"])
            with pytest.raises(ConnectionClosed) as closed:
                heard(socket, "never", 20)
            assert datetime.now(UTC) >= ends, "not at the first token's end"
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "the token has expired")
    finally:
        signed.stop()
        second.start()


def test_a_gateway_that_starts_later_goes_on_for_who_was_long_connected(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = [name for name in (f"long-{number}" for number in range(20)) if partition_of(name, 2) == 0]
    system.sign_on(here[0])
    with system.socket(here[0]) as socket:
        heard(socket, "READY")
        for name in here[1:4]:
            system.sign_on(name)  # events that are not this driver's
        time.sleep(0.5)
        Told(system).tell(an_offer(here[0], 1))
        heard(socket, "DELIVERY_OFFERED_V2")  # the gateway has read what came before it: so the next one's id tells it
        Told(system).tell(an_offer(here[0], 2))
        since = heard(socket, "DELIVERY_OFFERED_V2")["id"]
    time.sleep(1.5)
    monkeypatch.setattr(feed, "BACK_S", 1)
    monkeypatch.setattr(feed, "BACK_RECORDS", 0)
    later = Gateway(system)
    try:
        system.until(lambda: later.server.started, "started")
        with connect_now(at(later.url, here[0], since=since)) as socket:
            first = json.loads(socket.recv(timeout=10))
        assert (first["type"], first.get("resumed")) == ("READY", True)
    finally:
        later.stop()
