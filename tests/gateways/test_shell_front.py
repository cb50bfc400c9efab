"""The outermost layer over handlers that fail, hang or break off, without servers."""

import asyncio
from typing import Any

import pytest
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dispatch.config import Settings
from gateways.access.doors import Door
from gateways.access.principal import Principal
from gateways.problems import Problem
from gateways.shell.draining import Drain
from gateways.shell.front import BrokenOff, Front
from gateways.shell.rates import Limited, LocalRates, Rates, Refusals
from gateways.shell.routing import DoorIndex

SECRET = "Zephyrine Quillfeather, +49 160 99887766"
START = {"type": "http.response.start", "status": 200, "headers": []}


def asked(app: ASGIApp, path: str = "/v2/orders", **settings: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    """What the front answers to a GET that this handler serves."""
    return asyncio.run(ask(front(app, **settings), path))


def front(app: ASGIApp, drain: Drain | None = None, **settings: Any) -> Front:
    return Front(app, Settings(**settings), drain or Drain(0), DoorIndex())


async def ask(app: Front, path: str) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "http_version": "1.1"}  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent[1:])


async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ValueError(SECRET)


async def breaks_off(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(START)
    raise ValueError(SECRET)


async def hangs(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.sleep(60)


async def serves(_scope: Scope, _receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.05)
    await send(START)
    await send({"type": "http.response.body", "body": b"ok"})


async def refuses(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({**START, "status": 401})
    await send({"type": "http.response.body", "body": b""})


def test_a_fault_is_logged_by_place_and_without_its_message(capfd: pytest.CaptureFixture[str]) -> None:
    with structlog.testing.capture_logs() as logged:
        status, _headers, body = asked(fails)
        with pytest.raises(BrokenOff) as broken:
            asked(breaks_off)
    assert (status, b'"code":"fault"' in body) == (500, True)
    assert [line["kind"] for line in logged if line["event"] == "fault"] == ["ValueError"] * 2
    assert broken.value.__suppress_context__
    assert SECRET not in f"{logged}{body!r}{capfd.readouterr()}"


def test_who_hangs_is_ended_and_told_as_504() -> None:
    status, headers, body = asked(hangs, request_timeout_s=0.05)
    assert (status, headers[b"retry-after"]) == (504, b"1")
    assert b"timed_out" in body


def test_more_than_can_be_worked_on_are_sent_away_but_health_is_told() -> None:
    async def crowd() -> list[int]:
        app = front(serves, requests_at_once=2)
        paths = ["/v2/orders"] * 5 + ["/health"]
        return [status for status, _, _ in await asyncio.gather(*(ask(app, path) for path in paths))]

    assert asyncio.run(crowd()) == [200, 200, 503, 503, 503, 200]


def test_one_that_drains_closes_every_connection_and_tells_whoever_asked() -> None:
    drain, told = Drain(0.0), []
    drain.on_begin(lambda: told.append("now"))

    async def two() -> list[bool]:
        app = front(serves, drain)
        before = await ask(app, "/v2/orders")
        drain.begin()
        drain.begin()
        after = await ask(app, "/v2/orders")
        return [b"connection" in headers for _, headers, _ in (before, after)]

    assert asyncio.run(two()) == [False, True]
    assert (told, drain.over) == (["now"], True)


def test_an_address_whose_sign_in_fails_without_end_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalRates.__init__, "__defaults__", (lambda: 100.0,))  # however long it takes

    async def many() -> list[int]:
        app = front(refuses)
        return [(await ask(app, "/v2/orders"))[0] for _ in range(60)]

    statuses = asyncio.run(many())
    assert statuses == [401] * 50 + [429] * 10
    assert Refusals().refused("192.0.2.1") is None


def test_the_handlers_own_headers_go_before() -> None:
    async def page(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"cache-control", b"max-age=60"), (b"content-security-policy", b"x")]})
        await send({"type": "http.response.body", "body": b""})

    _, headers, _ = asked(page, behind_tls=True)
    assert (headers[b"cache-control"], headers[b"content-security-policy"]) == (b"max-age=60", b"x")
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"strict-transport-security" in headers


def test_who_signed_in_is_counted_by_name_and_others_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalRates.__init__, "__defaults__", (lambda: 100.0,))  # however long it takes
    limited = Limited(serves_at_once, Rates(None, Settings(rate_write_per_s=1, rate_service_factor=3)))
    door = Door("POST", "/v2/orders", frozenset({"driver"}), rate="write")

    async def taken(principal: Principal, address: str) -> int:
        scope = {"type": "http", "client": (address, 1), "state": {"door": door, "principal": principal}}
        for number in range(100):
            try:
                await limited(scope, nothing, told)
            except Problem as problem:
                return number if (problem.status, problem.code) == (429, "too_often") else -1
        return 100

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert b"ratelimit-remaining" in dict(message["headers"])

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def all_of_them() -> list[int]:
        ana, ben = Principal("driver", "ana"), Principal("driver", "ben")
        nobody = Principal("customer", "nobody", signed_in=False)
        clara, dora = (Principal("customer", "customer", delivery_id=name) for name in ("d1", "d2"))
        asked = ((ana, "192.0.2.1"), (ana, "192.0.2.2"), (ben, "192.0.2.1"), (nobody, "192.0.2.1"),
                 (nobody, "192.0.2.1"), (nobody, "192.0.2.2"), (clara, "192.0.2.1"), (dora, "192.0.2.1"),
                 (Principal("order_service", "shop"), "192.0.2.1"))  # fmt: skip
        return [await taken(*one) for one in asked]

    assert asyncio.run(all_of_them()) == [20, 0, 20, 20, 0, 20, 20, 20, 20]


async def serves_at_once(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"ok"})
