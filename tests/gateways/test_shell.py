"""The shell on real servers: two gateways beside each other, one that ends, odd and slow clients, browsers."""

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from whole_system import System, an_order, heard, problem

from deploy.local.servers import free_port
from dispatch.contract import topics
from dispatch.contract.records.delivery_events import DeliveryCreated
from dispatch.log.reading import read_all
from gateways.app import create_app
from gateways.shell import serving

pytestmark = pytest.mark.servers
JSON = {"content-type": "application/json"}
APP = "https://ops.example"


@contextmanager
def a_gateway(system: System, slot: int, **changes: Any) -> Iterator[httpx.Client]:
    """One more gateway of the running system, as another process would be."""
    more = {"gateway_port": free_port(), "slot": slot, "drain_s": 0.0} | changes
    settings = system.settings.model_copy(update=more)
    running = serving.server(create_app(settings), settings)
    thread = threading.Thread(target=running.run, name=f"gateway-{slot}")
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.gateway_port}", timeout=15) as client:
        client.headers["x-actor-id"] = "admin"
        client.extensions = {"server": running}  # type: ignore[attr-defined]
        try:
            system.until(lambda: answers(client), "a second gateway")
            yield client
        finally:
            running.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


def answers(client: httpx.Client) -> bool:
    try:
        states: dict[str, str] = client.get("/ready").json()["parts"]
    except httpx.HTTPError:
        return False
    return all(state == "up" for part, state in states.items() if part != "postgres")


def send(client: httpx.Client, path: str, body: Any, **headers: str) -> httpx.Response:
    return client.post(path, content=json.dumps(body), headers={**JSON, **headers})


def raw(client: httpx.Client, *parts: bytes, pause_s: float = 0) -> bytes:
    """What the server answers to these bytes, until it closes or a second has passed."""
    with socket.create_connection(("127.0.0.1", int(client.base_url.port or 0)), 15) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
        except OSError:
            pause_s = 0  # it was closed on us: what it said before is read all the same
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
                if b"\r\n\r\n" in answer and b"connection: close" not in answer.lower():
                    break
        except ConnectionResetError:
            return answer or b"reset"
        return answer


def head(method: bytes, target: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"host: localhost", *headers, b"", b""])


def test_every_answer_has_an_id_and_the_headers_of_every_answer(system: System) -> None:
    asked = system.http.get("/v2/drivers/nobody", headers={"x-request-id": "abc-12345"})
    assert problem(asked, 404, "unknown_driver")["request_id"] == asked.headers["x-request-id"] == "abc-12345"
    for wrong in ("short", "has blank", "x" * 65, "{'$ne': 1}"):
        made = system.http.get("/v2/drivers/nobody", headers={"x-request-id": wrong})
        assert made.headers["x-request-id"] != wrong
        assert len(made.headers["x-request-id"]) == 32
    for path in ("/health", "/nowhere", "/v2/admin/unassigned-orders"):
        told = system.http.get(path).headers
        assert told["x-content-type-options"] == "nosniff"
        assert told["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in told["content-security-policy"]
        assert "strict-transport-security" not in told
        assert "server" not in told


def test_odd_and_huge_requests_get_a_4xx_and_the_gateway_goes_on(system: System) -> None:
    many = b"".join(b"x-%d: 1\r\n" % number for number in range(200))
    odd = (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n", head(b"GET", b"/v2/drivers/\xff\xfe"), head(b"GET", b"/v2/drivers/%ff"),
        head(b"GET", b"*"), head(b"BREW", b"/v2/orders"), head(b"GET", b"/v2/drivers/a%2fb"),
        head(b"GET", b"/v2/drivers/../../etc/passwd"), head(b"GET", b"/" + b"a" * 20_000),
        b"GET /v2/drivers/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", b"GET / HTTP/1.1\r\nhost: [::1\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n" + many + b"\r\n",
        head(b"POST", b"/v2/orders", b"content-length: 5", b"content-length: 6") + b"hello!",
        head(b"POST", b"/v2/orders", b"content-length: 5", b"transfer-encoding: chunked") + b"0\r\n\r\n",
        head(b"POST", b"/v2/orders", b"content-length: -5"),
        head(b"POST", b"/v2/orders", b"transfer-encoding: chunked") + b"zz\r\n",
        head(b"POST", b"/v2/orders", b"content-type: application/json", b"content-length: 9999999999"),
        head(b"POST", b"/v2/orders", b"content-type: application/json", b"content-length: 4") + b"\xff\xfe\x00\x01",
    )  # fmt: skip
    for request in odd:
        answer = raw(system.http, request)
        assert answer[:10] == b"HTTP/1.1 4", (request[:80], answer[:200])
    assert raw(system.http, b"GET /health HTTP/1.1\r\n", *[b"x: " + b"a" * 65_000] * 4)[:12] == b"HTTP/1.1 431"
    with ThreadPoolExecutor(2) as together:
        in_one = together.submit(system.http.post, "/v2/orders", content=b"[" * 100_000_000, headers=JSON)
        chunks = (b"x" * 1_000_000 for _ in range(100))
        in_many = together.submit(system.http.post, "/v2/orders", content=chunks, headers=JSON)
        for large in (in_one, in_many):
            problem(large.result(), 413, "too_large")
    assert system.http.get("/health").status_code == 200


def test_numbers_and_nesting_that_parsers_choke_on_are_told(system: System) -> None:
    for text in ("[" * 30_000, '{"a":' * 9_000, "1" * 60_000, "-" + "9" * 60_000, "1e999", '"\\ud800"', "\\", ""):
        answer = system.http.post("/v2/orders", content=text, headers=JSON)
        assert answer.status_code in (400, 422), (text[:20], answer.text)
    for value in (10**400, -1, 1e308, "1" * 5_000, "\x00", "\ud800", [], {}):
        answer = send(system.http, "/v2/orders", an_order(order_value_minor=value))
        assert answer.status_code == 422, answer.text
        answer = send(system.http, "/v2/orders", an_order(seller_id=value))
        assert answer.status_code == 422, answer.text


def test_who_is_slow_is_let_go(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_S", 0.5)
    with a_gateway(system, 1, body_timeout_s=0.5) as gateway:
        begun = head(b"POST", b"/v2/orders", b"content-type: application/json", b"content-length: 50")
        answer = raw(gateway, begun, *[b"x"] * 12, pause_s=0.1)
        assert answer[:12] == b"HTTP/1.1 408"
        assert b"body_too_slow" in answer
        assert raw(gateway, *[b"GET /heal"[at : at + 1] for at in range(9)], pause_s=0.1)[:12] == b"HTTP/1.1 408"
        assert raw(gateway)[:12] == b"HTTP/1.1 408"
        assert gateway.get("/health").status_code == 200


def test_two_gateways_count_together_and_each_alone_without_valkey(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.shell._VALKEY_S", 5.0)  # an answer that came too late was counted, and is asked again
    few = {"rate_write_per_s": 0.01, "rate_service_factor": 1}  # 20 at once
    with a_gateway(system, 1, **few) as one, a_gateway(system, 0, **few) as other:
        codes = [gateway.post(f"/v2/drivers/nobody{number}/shift/start").status_code
                 for number in range(11) for gateway in (one, other)]  # fmt: skip
        assert sorted(codes) == [404] * 20 + [429] * 2
        refused = other.post("/v2/drivers/nobody/shift/start")
        problem(refused, 429, "too_often")
        assert int(refused.headers["retry-after"]) > 10
        assert refused.headers["ratelimit-remaining"] == "0"
        assert one.get("/v2/drivers/nobody").headers["ratelimit-remaining"] == "99"
    before = REGISTRY.get_sample_value("baton_gateway_local_limits_total") or 0
    with a_gateway(system, 1, **few, valkey=f"redis://127.0.0.1:{free_port()}") as alone:
        codes = [alone.post(f"/v2/drivers/nobody{number}/shift/start").status_code for number in range(22)]
        assert codes == [404] * 20 + [429] * 2
    assert (REGISTRY.get_sample_value("baton_gateway_local_limits_total") or 0) >= before + 22


def test_a_key_has_one_answer_on_every_gateway_and_after_a_restart(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.shell.answers._LIMIT_S", 10.0)
    order, key = an_order(), {"idempotency-key": uuid.uuid4().hex}
    with a_gateway(system, 1) as one:
        with ThreadPoolExecutor(8) as together:
            asked = [together.submit(send, client, "/v2/orders/ready", order, **key)
                     for client in (one, system.http) * 4]  # fmt: skip
            told = [future.result() for future in asked]
        assert {answer.status_code for answer in told} == {201}
        assert len({answer.content for answer in told}) == 1
        assert sum("idempotency-replayed" not in answer.headers for answer in told) == 1
    name = told[0].json()["delivery_id"]
    system.post(f"/v2/orders/s1/{order['seller_order_id']}/cancel", {"reason": "done"})
    with a_gateway(system, 1) as restarted:
        again = send(restarted, "/v2/orders/ready", order, **key)
        assert (again.status_code, again.content) == (201, told[0].content)  # though it is cancelled by now
        assert again.headers["idempotency-replayed"] == "true"
        problem(send(restarted, "/v2/orders/ready", order | {"prep_s": 1}, **key), 422, "idempotency_key_reused")
        other = send(restarted, "/v2/orders/ready", order | {"prep_s": 1}, **key, **{"x-actor-id": "another"})
        assert other.status_code != 422, "keys belong to who asks"
    ready = [record for record in read_all(system.settings.kafka, [system.settings.namespace + "delivery.events"])
             if record.key.decode() == name and DeliveryCreated.__name__ == kind(record.value)]  # fmt: skip
    assert len(ready) == 1


def kind(value: bytes | None) -> str:
    from dispatch.contract import codec

    return type(codec.decode(value or b"")).__name__


def test_what_was_not_decided_is_not_kept_and_without_postgres_the_aggregate_remembers(system: System) -> None:
    key = {"idempotency-key": uuid.uuid4().hex}
    problem(system.post("/v2/orders/ready", {"seller_id": "s1"}, **key), 422, "invalid")
    order = an_order()
    right = system.post("/v2/orders/ready", order, **key)
    assert right.status_code == 201, right.text
    with a_gateway(system, 1, postgres=f"postgresql://nobody@127.0.0.1:{free_port()}/none") as alone:
        order, key = an_order(), {"idempotency-key": uuid.uuid4().hex}
        first, second = (send(alone, "/v2/orders/ready", order, **key) for _ in range(2))
        assert first.status_code == 201
        assert first.json() == second.json()


def test_one_that_ends_loses_no_request_and_tells_its_sockets(system: System) -> None:
    system.sign_on("gil")
    outcomes: list[int | str] = []
    stop = threading.Event()
    with a_gateway(system, 1, drain_s=1.0) as gateway:

        def ask() -> None:
            with httpx.Client(base_url=gateway.base_url, timeout=15) as client:
                while not stop.is_set():
                    try:
                        outcomes.append(client.post("/v2/drivers/gil/shift/start").status_code)
                    except httpx.ConnectError:
                        return
                    except httpx.HTTPError as error:
                        outcomes.append(type(error).__name__)

        url = f"ws://127.0.0.1:{gateway.base_url.port}/v2/drivers/gil/socket"
        with ThreadPoolExecutor(4) as together, connect(url) as listening:
            for _ in range(4):
                together.submit(ask)
            system.until(lambda: len(outcomes) > 20, "under load")
            before = len(outcomes)
            gateway.extensions["server"].should_exit = True  # type: ignore[attr-defined]
            system.until(lambda: gateway.get("/ready").json()["status"] == "draining", "told at /ready")
            with pytest.raises(ConnectionClosed) as closed:
                heard(listening, "NOTHING OF THE KIND")
            stop.set()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert len(outcomes) > before
    assert set(outcomes) <= {200, 409}, set(outcomes)


def test_browsers_ask_from_listed_pages_only(system: System) -> None:
    preflight = {
        "origin": APP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    with a_gateway(system, 1, cors_origins=APP, behind_tls=True) as gateway:
        allowed = gateway.options("/v2/orders", headers=preflight)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == APP
        assert (
            "access-control-allow-origin"
            not in gateway.options("/v2/orders", headers=preflight | {"origin": "https://evil.example"}).headers
        )
        read = gateway.get("/v2/drivers/nobody", headers={"origin": APP})
        assert read.headers["access-control-allow-origin"] == APP
        assert "x-request-id" in read.headers["access-control-expose-headers"]
        assert "max-age" in read.headers["strict-transport-security"]
        url = f"ws://127.0.0.1:{gateway.base_url.port}/v2/drivers/gil/socket"
        with pytest.raises(InvalidStatus) as refused:
            connect(url, origin="https://evil.example")  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403
        with connect(url, origin=APP):  # type: ignore[arg-type]
            assert gateway.get("/health").status_code == 200
    assert "access-control-allow-origin" not in system.http.get("/health", headers={"origin": APP}).headers
    foreign = system.http.post("/v2/drivers/gil/shift/start", headers={"origin": "https://evil.example"})
    problem(foreign, 403, "foreign_origin")


CANARIES = {"name": "Zephyrine Quillfeather", "phone": "+49 160 99887766", "address": "Nachtigallenweg 77",
            "note": "bell under the gargoyle"}  # fmt: skip
MARKS = ("Zephyrine", "Quillfeather", "99887766", "Nachtigallenweg", "gargoyle", "48.013579", "7.867531")
"""What of a customer must not be seen: also exact to the digit where the door is."""


def test_a_customer_is_in_no_log_metric_event_nor_anothers_answer(
    system: System, capfd: pytest.CaptureFixture[str]
) -> None:
    customer = {"name": CANARIES["name"], "phone": CANARIES["phone"]}
    dropoff = {"lat": 48.013579, "lng": 7.867531, "address": CANARIES["address"], "note": CANARIES["note"]}
    order = an_order(customer=customer, dropoff=dropoff)
    key = {"idempotency-key": uuid.uuid4().hex, "x-request-id": "canary-0001"}
    name = system.post("/v2/orders/ready", order, **key).json()["delivery_id"]
    told = [system.post("/v2/orders/ready", order, **key).text]
    wrong: list[dict[str, Any]] = [
        {**order, "customer": {**customer, "name": CANARIES["name"] * 30}}, {**order, "currency": CANARIES["name"]},
        {**order, "dropoff": {**dropoff, "lat": 948.013579}}, {**order, CANARIES["phone"]: 1},
    ]  # fmt: skip
    for body in wrong:
        assert system.post("/v2/orders/ready", body).status_code == 422
    system.http.get(f"/v2/drivers/{CANARIES['name']}", params={"phone": CANARIES["phone"]})
    system.http.get(f"/nowhere/{CANARIES['phone']}", headers={"x-actor-id": CANARIES["name"]})
    system.http.post("/v2/orders", content=json.dumps(order)[:-5], headers=JSON)
    system.http.post(f"/v2/orders?{CANARIES['phone']}", content=b"{", headers={"content-type": CANARIES["phone"]})
    told += [system.http.get(path).text for path in (f"/v2/deliveries/{name}", f"/v2/deliveries/{name}/audit",
                                                     "/v2/admin/unassigned-orders")]  # fmt: skip
    system.sign_on("canon")
    system.until(lambda: system.http.get("/v2/drivers/canon/offers").json()["offers"], "offered")
    told.append(system.http.get("/v2/drivers/canon/offers").text)
    system.post(f"/v2/orders/s1/{order['seller_order_id']}/cancel", {"reason": "end"})
    told.append(system.http.get("/metrics").text)
    told += capfd.readouterr()
    assert "canary-0001" in "".join(told), "the log was not looked at"
    for mark in MARKS:
        for text in told:
            assert mark not in text, (mark, text[max(0, text.find(mark) - 200) :][:400])
    personal = (topics.CONTACTS, topics.ORDERS_INBOUND)
    others = [system.settings.namespace + topic.name for topic in topics.CATALOGUE if topic not in personal]
    seen, written = set(), 0
    for record in read_all(system.settings.kafka, others):
        written += 1
        text = (record.value or b"").decode("latin-1") + record.key.decode("latin-1")
        seen |= {mark for mark in MARKS if mark in text}
    assert written > 50
    assert seen == set()


def test_the_metrics_name_doors_and_not_what_clients_sent(system: System) -> None:
    system.http.get("/v2/drivers/some-driver")
    system.http.get("/no/such/page")
    text = system.http.get("/metrics").text
    assert 'door="/v2/drivers/{driver_id}",method="GET",status="404"' in text
    assert 'baton_gateway_requests_total{door="unknown",method="other",status="404"}' in text
    assert "some-driver" not in text
