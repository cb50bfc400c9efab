"""The client without a gateway: when it asks again, what it raises, how it reads streams, what it believes."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import standardwebhooks

from baton.client import AsyncBaton, Baton, Conflict, Faulty, Retries, TooOften, Unavailable, Unreachable, verified
from baton.client.streams import Reading
from baton.client.webhooks import NotSigned

SOON = Retries(first_s=0.0, longest_s=0.01)
SECRET = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"


class Gateway:
    """Answers in turn; None: no answer."""

    def __init__(self, *answers: httpx.Response | None) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if answer is None:
            raise httpx.ConnectError("nobody is there", request=request)
        return answer

    def client(self) -> Baton:
        return Baton("http://baton", "a.b.c", retries=SOON, transport=httpx.MockTransport(self))


def a_problem(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "so it is"}, headers=headers)


def test_what_had_no_answer_is_sent_again_with_the_same_key() -> None:
    gateway = Gateway(
        None, a_problem(503, "unavailable"), a_problem(429, "too_often"), httpx.Response(201, json={"a": 1})
    )
    assert gateway.client().orders.ready({"seller_id": "s1"}) == {"a": 1}
    keys = {request.headers["idempotency-key"] for request in gateway.asked}
    assert len(gateway.asked) == 4
    assert len(keys) == 1
    assert all(request.headers["authorization"] == "Bearer a.b.c" for request in gateway.asked)
    assert [json.loads(request.content) for request in gateway.asked] == [{"seller_id": "s1"}] * 4


def test_it_ends_with_the_last_failure() -> None:
    with pytest.raises(Unreachable):
        Gateway(*[None] * 4).client().orders.delivery("x")
    with pytest.raises(Unavailable):
        Gateway(*[a_problem(503, "unavailable") for _ in range(4)]).client().orders.delivery("x")
    far = Gateway(a_problem(429, "too_often", **{"retry-after": "60"}))
    with pytest.raises(TooOften):
        far.client().orders.delivery("x")


def test_a_refusal_is_not_asked_again_and_says_its_code() -> None:
    gateway = Gateway(a_problem(409, "offer_expired", **{"x-request-id": "r-1"}))
    with pytest.raises(Conflict) as refused:
        gateway.client().drivers.accept("ana", "o/1")
    assert (refused.value.code, refused.value.status, refused.value.request_id) == ("offer_expired", 409, "r-1")
    assert gateway.asked[0].url.raw_path == b"/v2/drivers/ana/offers/o%2F1/accept"
    with pytest.raises(Faulty) as proxy:
        Gateway(httpx.Response(500, text="<html>")).client().orders.delivery("x")
    assert proxy.value.code == "http_error"


def test_the_one_that_awaits_does_the_same() -> None:
    gateway = Gateway(None, httpx.Response(200, json={"status": "assigned"}))

    async def ask() -> object:
        async with AsyncBaton("http://baton", retries=SOON, transport=httpx.MockTransport(gateway)) as baton:
            return await baton.orders.delivery("x")

    assert asyncio.run(ask()) == {"status": "assigned"}


def test_waits_grow_and_heed_what_the_gateway_says() -> None:
    retries = Retries(tries=5, first_s=1, longest_s=5)
    assert [retries.after(tried, None, "", 0.9999) for tried in (1, 2, 3, 4)] == pytest.approx([1, 2, 4, 5], rel=1e-3)
    assert retries.after(1, 503, "3", 0) == 3
    assert retries.after(1, 409, "", 0) is None
    assert retries.after(5, None, "", 0) is None


def test_a_stream_goes_on_after_its_last_id() -> None:
    first = (
        'id: 3\nevent: delivery_status_updated\ndata: {"status": "assigned"}\n\n: here\n\nid: 4\nevent: x\ndata: 1\n'
    )
    second = 'event: delivery_location_updated\ndata: {}\n\nevent: closed\ndata: {"reason": "delivery_ended"}\n\n'
    gateway = Gateway(
        a_problem(404, "unknown_order"), httpx.Response(200, text=first), httpx.Response(200, text=second)
    )
    said = [(event.name, event.data, event.id) for event in gateway.client().follow("d1")]
    assert said == [
        ("delivery_status_updated", {"status": "assigned"}, "3"), ("delivery_location_updated", {}, "3"),
    ]  # fmt: skip
    assert [request.headers.get("last-event-id") for request in gateway.asked] == [None, None, "3"], (
        "half a message is no message"
    )


def test_lines_of_several_kinds_are_read() -> None:
    reading = Reading()
    lines = ["retry: 10", "data: a", "data: b", ""]
    assert next(event for line in lines if (event := reading.line(line))).data == "a\nb"
    assert reading.line("") is None


def test_only_signed_webhooks_are_believed() -> None:
    body = json.dumps({"type": "delivery.assigned", "timestamp": "t", "data": {"delivery_id": "d1"}})
    now = datetime.now(UTC)
    signed = standardwebhooks.Webhook(SECRET).sign("m1", now, body)
    headers = {"Webhook-Id": "m1", "Webhook-Timestamp": str(int(now.timestamp())), "Webhook-Signature": signed}
    message = verified(SECRET, headers, body)
    assert (message.id, message.type, message.data) == ("m1", "delivery.assigned", {"delivery_id": "d1"})
    old = str(int((now - timedelta(minutes=6)).timestamp()))
    for wrong in ({"Webhook-Id": "m2"}, {"Webhook-Timestamp": old}, {"Webhook-Signature": "v1,AAAA"}):
        with pytest.raises(NotSigned):
            verified(SECRET, headers | wrong, body)
    with pytest.raises(NotSigned):
        verified(SECRET, headers, body.replace("d1", "d2"))
