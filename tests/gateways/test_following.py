"""Following a delivery on the running system: links, status, place, server-sent events, what operations hear."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from confluent_kafka import Producer
from whole_system import PLACE, System, an_order, heard, problem

from deploy.local.servers import free_port
from dispatch.contract import codec, topics
from dispatch.contract.records.system import DriverScored, ZoneHealth
from dispatch.log.reading import read_all
from gateways.app import create_app

pytestmark = pytest.mark.servers
UNKNOWN = "00000000-0000-5000-8000-000000000000"
Message = dict[str, Any]


class Stream:
    """What a stream of server-sent events said, read by a thread of its own."""

    def __init__(self, system: System, path: str, last: str = "", url: str = "") -> None:
        self.messages: list[Message] = []
        self.status = 0
        self.over = threading.Event()
        headers = {"accept": "text/event-stream"} | ({"last-event-id": last} if last else {})
        self._connection = HTTPConnection((url or system.url).removeprefix("http://"), timeout=30)
        self._connection.connect()
        self._socket = self._connection.sock
        self._thread = threading.Thread(target=self._read, args=(path, headers))
        self._thread.start()
        system.until(lambda: self.status or self.over.is_set(), f"{path} answers")

    def _read(self, path: str, headers: dict[str, str]) -> None:
        try:
            self._connection.request("GET", path, headers=headers)
            answer = self._connection.getresponse()
            found: Message = {}
            self.status = answer.status
            while line := answer.readline().decode():
                name, _, text = line.strip().partition(": ")
                if name:
                    found[name] = json.loads(text) if name == "data" else text
                elif found:
                    self.messages.append(found)
                    found = {}
        except (HTTPException, OSError):
            return
        finally:
            self.over.set()

    def named(self, name: str) -> list[Message]:
        return [message for message in list(self.messages) if message["event"] == name]

    def statuses(self) -> list[str]:
        return [message["data"]["status"] for message in self.named("delivery_status_updated")]

    def ids(self) -> list[str]:
        return [message["id"] for message in list(self.messages) if "id" in message]

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(2)
        self._thread.join(20)
        self._connection.close()


@contextmanager
def streamed(system: System, path: str, last: str = "", url: str = "") -> Iterator[Stream]:
    stream = Stream(system, path, last, url)
    try:
        yield stream
    finally:
        stream.close()


@pytest.fixture(scope="module")
def other_gateway(system: System) -> Iterator[str]:
    """A second gateway of the same system; where it is."""
    settings = system.settings.model_copy(update={"gateway_port": free_port(), "slot": 1})
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), host="127.0.0.1", port=settings.gateway_port, log_level="warning")
    )
    thread = threading.Thread(target=server.run, name="other gateway")
    thread.start()
    url = f"http://127.0.0.1:{settings.gateway_port}"
    system.until(lambda: server.started and httpx.get(f"{url}/ready").status_code == 200, "the other gateway is ready")
    yield url
    server.should_exit = True
    thread.join(30)


@pytest.fixture(autouse=True)
def nobody_else_works(system: System) -> Iterator[None]:
    yield
    for name in ("ana", "ben", "cleo"):
        system.post(f"/v2/drivers/{name}/availability/end-shift")


def at_work(system: System, name: str) -> None:
    body = {"vehicle": "car", "rating": 4.5, "name": "Ana-Lena Berg", "phone": "+49 761 5559876", "language": "de"}
    answer = system.post(f"/v2/drivers/{name}/sign-on", {**body, **PLACE})
    assert answer.status_code == 200, answer.text


def assigned(system: System, name: str) -> dict[str, str]:
    """A new order in the hands of this driver: delivery, offer, token."""
    with system.socket(name) as socket:
        time.sleep(1)
        placed = system.post("/v2/orders/ready", an_order())
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        assert system.post(f"/v2/drivers/{name}/offers/{offer['offer_id']}/accept").status_code == 200
    return {"delivery_id": offer["delivery_id"], "offer_id": offer["offer_id"],
            "token": placed.json()["tracking_url"].rpartition("/")[2]}  # fmt: skip


def step(system: System, name: str, held: dict[str, str], *steps: str) -> None:
    for one in steps:
        body = {"offer_id": held["offer_id"], "step": one}
        answer = system.post(f"/v2/drivers/{name}/deliveries/{held['delivery_id']}/progress", body)
        assert answer.status_code == 200, answer.text


def status(system: System, delivery_id: str) -> dict[str, Any]:
    answer = system.http.get(f"/v2/orders/{delivery_id}/delivery-status")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def reached(system: System, delivery_id: str, word: str) -> dict[str, Any]:
    path = f"/v2/orders/{delivery_id}/delivery-status"
    system.until(lambda: system.http.get(path).json()["status"] == word, word)  # a problem has a status too: a number
    return status(system, delivery_id)


def test_the_status_tells_driver_place_and_arrivals_from_assignment_to_hand_over_only(system: System) -> None:
    order = an_order()
    name = system.post("/v2/orders", order).json()["delivery_id"]
    system.until(lambda: system.http.get(f"/v2/orders/{name}/delivery-status").status_code == 200, "known")
    assert (status(system, name)["driver"], status(system, name)["location"]) == (None, None)
    at_work(system, "ana")
    with system.socket("ana") as socket:
        time.sleep(1)
        assert system.post(f"/v2/orders/s1/{order['seller_order_id']}/ready").status_code == 200
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        offered = reached(system, name, "offered")
        assert (offered["driver"], offered["location"]) == (None, None)
        assert system.http.get(f"/v2/deliveries/{name}/location").json()["location"] is None
        system.post(f"/v2/drivers/ana/offers/{offer['offer_id']}/accept")
    ping = {"lat": 48.001, "lng": 7.851, "accuracy_m": 12.5}
    assert system.http.put("/v2/drivers/ana/location", json=ping).status_code == 202
    reached(system, name, "assigned")
    system.until(lambda: (status(system, name)["location"] or {}).get("accuracy_m") == 12.5, "where she is")
    seen = status(system, name)
    assert seen["driver"] == {"first_name": "Ana-Lena", "rating": 4.5, "vehicle": "car", "phone_masked": "*********876"}
    assert {part: seen["location"][part] for part in ping} == ping
    assert seen["location"]["age_s"] < 60
    assert seen["prep_minutes"] == 5.0
    for arrival in ("pickup_eta", "delivery_eta"):
        assert seen[arrival]["p50"] is not None
        if seen[arrival]["p10"]:
            assert seen[arrival]["p10"] <= seen[arrival]["p50"] <= seen[arrival]["p90"]
            assert 0 <= seen[arrival]["confidence_percent"] <= 100
    by_number = system.http.get(f"/v2/orders/s1/{order['seller_order_id']}/delivery-status")
    assert by_number.json()["delivery_id"] == name
    assert system.http.get(f"/v2/deliveries/{name}/location").json()["location"]["lat"] == 48.001
    step(system, "ana", {"delivery_id": name, "offer_id": offer["offer_id"]}, "picked_up", "delivered")
    gone = reached(system, name, "delivered")
    assert (gone["driver"], gone["location"], gone["delivery_eta"]) == (None, None, None)
    assert system.http.get(f"/v2/deliveries/{name}/location").json()["location"] is None
    for wrong in (UNKNOWN, "nothing", "A" * 100):
        problem(system.http.get(f"/v2/orders/{wrong}/delivery-status"), 404, "unknown_order")


def test_a_link_opens_one_delivery_until_it_is_revoked_and_no_other_answer_tells_tokens_apart(system: System) -> None:
    one, other = (system.post("/v2/orders", an_order()).json() for _ in range(2))
    assert "tracking_url" not in system.post("/v2/orders", an_order(), **{"idempotency-key": "with-a-key"}).json()
    reached(system, one["delivery_id"], "created")
    made = system.post(f"/v2/deliveries/{one['delivery_id']}/tracking-links")
    assert made.status_code == 201, made.text
    token = made.json()["token"]
    assert len(token) * 6 >= 128
    system.until(lambda: system.http.get(f"/v2/track/{token}").status_code == 200, "the link opens")
    answer = system.http.get(f"/v2/track/{token}")
    assert answer.json()["delivery_id"] == one["delivery_id"]
    assert answer.json()["tracking_url"] == made.json()["tracking_url"]
    first = other["tracking_url"].rpartition("/")[2]
    system.until(lambda: system.http.get(f"/v2/track/{first}").status_code == 200, "the first link opens")
    assert system.http.get(f"/v2/track/{first}").json()["delivery_id"] == other["delivery_id"]
    names = [system.settings.namespace + topic.name for topic in topics.CATALOGUE]
    assert not any(token.encode() in (record.value or b"") for record in read_all(system.settings.kafka, names))
    revoked = system.http.delete(f"/v2/deliveries/{one['delivery_id']}/tracking-links")
    assert revoked.json()["revoked"] == 2
    system.until(lambda: system.http.get(f"/v2/track/{token}").status_code == 404, "revoked")
    with psycopg.connect(system.settings.postgres, autocommit=True) as connection:
        connection.execute("UPDATE tracking_links SET expires_at = now() - interval '1 s' WHERE delivery_id = %s",
                           (other["delivery_id"],))  # fmt: skip
    system.until(lambda: system.http.get(f"/v2/track/{first}").status_code == 404, "expired")
    bodies = []
    for wrong in (token, first, "A" * 32, "short", "x" * 300, "%C3%A9", "a%20b"):
        for end in ("", "/events"):
            body = problem(system.http.get(f"/v2/track/{wrong}{end}"), 404, "unknown_token")
            bodies.append({name: value for name, value in body.items() if name not in ("instance", "request_id")})
    assert all(body == bodies[0] for body in bodies)


def test_a_stream_tells_everything_once_and_goes_on_at_another_gateway(system: System, other_gateway: str) -> None:
    at_work(system, "ben")
    held = assigned(system, "ben")
    name = held["delivery_id"]
    reached(system, name, "assigned")
    with streamed(system, f"/v2/track/{held['token']}/events") as first:
        system.until(lambda: first.statuses() == ["assigned"], "as it is")
        system.until(lambda: first.named("delivery_location_updated"), "where he was")
        assert first.messages[0]["data"]["driver"]["first_name"] == "Ana-Lena"
        system.http.put("/v2/drivers/ben/location", json={"lat": 48.002, "lng": 7.852, "accuracy_m": 8})
        system.until(lambda: first.named("delivery_location_updated"), "where he is")
        system.until(
            lambda: first.named("delivery_location_updated")[-1]["data"]["location"]["lat"] == 48.002, "where he went"
        )
        step(system, "ben", held, "enroute_to_pickup")
        system.until(lambda: first.statuses() == ["assigned", "enroute_to_pickup"], "on the way")
        last = first.ids()[-1]
    step(system, "ben", held, "arrived_at_pickup", "picked_up")
    with streamed(system, f"/v2/orders/{name}/events", last, other_gateway) as second:
        system.until(lambda: second.statuses() == ["arrived_at_pickup", "picked_up"], "what was missed, and no more")
        step(system, "ben", held, "enroute_to_dropoff", "delivered")
        assert second.over.wait(20)
        assert second.statuses() == ["arrived_at_pickup", "picked_up", "enroute_to_dropoff", "delivered"]
        assert second.messages[-1] == {"event": "closed", "data": {"reason": "delivery_ended"}}
        versions = [float(one) for one in second.ids()]
        assert versions == sorted(set(versions))
        end = second.ids()[-1]
    reached(system, name, "delivered")
    with streamed(system, f"/v2/orders/{name}/events", end) as third:
        assert third.status == 204
    with streamed(system, f"/v2/orders/{name}/events", "0") as whole:
        assert whole.over.wait(20)
        assert [*whole.statuses()[:3], whole.statuses()[-1]] == ["created", "searching", "offered", "delivered"]
        assert whole.named("delivery_eta_updated")
        assert len(set(whole.ids())) == len(whole.ids())
    problem(system.http.get(f"/v2/orders/{UNKNOWN}/events"), 404, "unknown_order")


def test_operations_hear_of_escalations_and_places_and_see_the_map(system: System, other_gateway: str) -> None:
    at_work(system, "cleo")
    system.until(lambda: system.http.get("/v2/drivers/cleo").status_code == 200, "known")
    with streamed(system, "/v2/admin/events?locations=true") as desk, \
            streamed(system, "/v2/admin/events?zone=elsewhere") as other:  # fmt: skip
        system.until(lambda: desk.named("connected") and other.named("connected"), "connected")
        mark = desk.ids()[-1]
        name = system.post("/v2/orders/ready", an_order(pickup={"name": "Far", "lat": 40.0, "lng": 2.0})).json()[
            "delivery_id"
        ]
        note = {"note": "the customer called"}
        system.until(lambda: status_code(system, name, note) == 200, "escalated")
        system.until(lambda: desk.named("unassigned_order_escalated"), "heard of it")
        told = desk.named("unassigned_order_escalated")[0]["data"]
        assert (told["delivery_id"], told["level"], told["zone"]) == (name, 1, "none")
        system.until(lambda: desk.named("support_ticket_created"), "a ticket")

        def places() -> list[Any]:
            system.http.put("/v2/drivers/cleo/location", json={"lat": 48.003, "lng": 7.853})
            return [one for message in desk.named("driver_location_updated") for one in message["data"]["drivers"]]

        system.until(lambda: any(one["driver_id"] == "cleo" and one["lat"] == 48.003 for one in places()), "she moved")
        assert other.named("unassigned_order_escalated") == []
        heard_live = [message["id"] for message in desk.messages if "id" in message and message["id"] != mark]
    with streamed(system, "/v2/admin/events", mark, other_gateway) as again:
        system.until(lambda: again.named("unassigned_order_escalated"), "heard again from the log")
        about = [message["data"].get("delivery_id") for message in again.messages]
        assert name in about
        assert len(set(heard_live)) == len(heard_live)
        assert len(again.named("unassigned_order_escalated")) == 1
    with streamed(system, "/v2/admin/events", "nonsense") as lost:
        system.until(lambda: lost.named("resync"), "it says that it cannot go on")
    found = system.http.get("/v2/admin/live-map", params={"south": 39, "north": 49, "west": 1, "east": 9}).json()
    cleo = next(one for one in found["drivers"] if one["driver_id"] == "cleo")
    assert (cleo["availability"], cleo["deliveries"], cleo["location"]["lat"]) == ("AVAILABLE", [], 48.003)
    assert name in [one["delivery_id"] for one in found["waiting"]]
    system.post(f"/v2/admin/deliveries/{name}/cancel", {"reason": "end"})


def test_operations_hear_how_zones_and_drivers_are_doing(system: System) -> None:
    health = ZoneHealth(
        zone="harbour", zone_version=3, at_ms=1_700_000_000_000, drivers_available=1, drivers_busy=2,
        drivers_on_break=0, drivers_paused=0, drivers_shift_ended=0, drivers_offline=0, drivers_online=3,
        min_drivers_online=5, open_searches=4, oldest_search_s=61, pressure=4.0, trend="rising", waits=0,
        wait_p50_ms=0, wait_p95_ms=0, target_wait_s=120, window_s=300, understaffed=True,
        understaffed_since_ms=1_700_000_000_000,
    )  # fmt: skip
    scored = DriverScored(driver_id="cleo", at_ms=1_700_000_000_000, score=0.8, mean=0.7, acceptance_rate=0.9, parts=())
    producer = Producer({"bootstrap.servers": system.settings.kafka})

    def say() -> None:
        for topic, key, record in ((topics.ZONE_HEALTH, "harbour", health), (topics.DRIVER_SCORES, "cleo", scored)):
            producer.produce(system.settings.namespace + topic.name, codec.encode(record), key.encode())
        producer.flush(10)

    with streamed(system, "/v2/admin/events?zone=harbour") as desk, \
            streamed(system, "/v2/admin/events?zone=elsewhere") as other:  # fmt: skip
        system.until(lambda: desk.named("connected") and other.named("connected"), "connected")
        say()
        for stream in (desk, other):
            system.until(lambda at=stream: at.named("driver_performance_updated"), "heard of the driver")  # type: ignore[misc]
        system.until(lambda: desk.named("zone_health_updated"), "heard of the zone")
        zone = desk.named("zone_health_updated")[0]["data"]
        assert (zone["zone"], zone["pressure"], zone["understaffed_since"]) == (
            "harbour",
            4.0,
            "2023-11-14T22:13:20.000Z",
        )
        assert desk.named("driver_performance_updated")[0]["data"]["score"] == 0.8
        assert other.named("zone_health_updated") == []


def status_code(system: System, name: str, note: dict[str, str]) -> int:
    return system.post(f"/v2/admin/deliveries/{name}/escalate", note).status_code
