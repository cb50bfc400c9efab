"""What the shell refuses before a handler sees it, each part alone."""

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from gateways.access.doors import DOORS
from gateways.problems import Problem
from gateways.shell import bodies, heads, origins
from gateways.shell.rates import LocalRates, address_of
from gateways.shell.routing import DoorIndex

HOST = (b"host", b"localhost:8080")


def a_head(raw: bytes = b"/v2/orders", headers: tuple[tuple[bytes, bytes], ...] = (HOST,), query: bytes = b"") -> Any:
    from urllib.parse import unquote

    return {"type": "http", "method": "GET", "http_version": "1.1", "path": unquote(raw.decode("latin-1")),
            "raw_path": raw, "query_string": query, "headers": list(headers)}  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        b"/v2/drivers/a%2Fb/offers", b"/v2/drivers/a%2fb", b"/v2/drivers/a%5cb", b"/v2/drivers/a%00b", b"/v2/%",
        b"/v2/%zz", b"/v2/%c3%28", b"/v2/../health", b"/v2/./health", b"/v2/%2e%2e/health", b"/v2//orders", b"//health",
        b"/v2/a\\b", b"/v2/a%0ab", b"/v2/a%7fb", b"/..", b"/v2/drivers/..",
    ],
)  # fmt: skip
def test_a_path_that_two_programs_could_read_differently_is_refused(raw: bytes) -> None:
    problem = heads.refused(a_head(raw))
    assert problem is not None
    assert (problem.status, problem.code) == (400, "bad_path")


@pytest.mark.parametrize("raw", [b"/", b"/v2/orders", b"/v2/drivers/a%7Cb", b"/v2/drivers/a..b", b"/v2/orders/"])
def test_a_plain_path_passes(raw: bytes) -> None:
    assert heads.refused(a_head(raw)) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 400),
        ((HOST, HOST), 400),
        (((b"host", b"a b"),), 400),
        (((b"host", b"[::1"),), 400),
        (((b"host", b"user@evil"),), 400),
        ((HOST, (b"content-length", b"-1")), 400),
        ((HOST, (b"content-length", "٣".encode())), 400),
        ((HOST, (b"idempotency-key", b"a"), (b"idempotency-key", b"b")), 400),
        ((HOST, (b"content-encoding", b"gzip")), 415),
        ((HOST, *(((b"x-%d" % number), b"1") for number in range(100))), 431),
        ((HOST, (b"x-long", b"a" * 20_000)), 431),
    ],
)
def test_headers_that_cannot_be_right_are_refused(headers: tuple[tuple[bytes, bytes], ...], status: int) -> None:
    problem = heads.refused(a_head(headers=headers))
    assert problem is not None
    assert problem.status == status


def test_a_long_target_is_refused() -> None:
    problem = heads.refused(a_head(query=b"q=" + b"a" * 9_000))
    assert problem is not None
    assert problem.status == 414
    assert heads.refused(a_head(headers=((b"host", b"[::1]:80"),))) is None


async def read(
    parts: list[bytes], *, length: int | None = None, limit: int = 100, pause_s: float = 0, gone: bool = False
) -> bytes:
    """A body that comes in parts."""
    left = list(parts)

    async def receive() -> Message:
        await asyncio.sleep(pause_s)
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or gone}

    how = (b"transfer-encoding", b"chunked") if length is None else (b"content-length", str(length).encode())
    return await bodies.whole([how], receive, limit, 0.2)


def test_a_body_is_taken_in_chunks_and_whole() -> None:
    assert asyncio.run(read([b"ab", b"", b"cd"])) == b"abcd"
    assert asyncio.run(read([b"abcd"], length=4)) == b"abcd"
    assert asyncio.run(read([b"a" * 100])) == b"a" * 100


@pytest.mark.parametrize(
    ("given_body", "status"),
    [
        ({"parts": [b"a" * 101], "length": 101}, 413),
        ({"parts": [b"a" * 60, b"a" * 60]}, 413),
        ({"parts": [], "length": 100_000_000}, 413),
        ({"parts": [b"a" * 65_536] * 1_600}, 413),
        ({"parts": [b"a"] * 10, "pause_s": 0.05}, 408),
    ],
)
def test_a_body_too_large_or_too_slow_is_refused(given_body: Any, status: int) -> None:
    with pytest.raises(Problem) as raised:
        asyncio.run(read(**given_body))
    assert raised.value.status == status


def test_a_client_that_goes_is_told_nothing() -> None:
    with pytest.raises(bodies.ClientGone):
        asyncio.run(read([b"ab"], gone=True))


json_values = st.recursive(
    st.none() | st.booleans() | st.text(alphabet='a"\\[]{}', max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=2), inside, max_size=2),
    max_leaves=20,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(json_values, st.integers(0, 70))
def test_the_depth_is_that_of_the_parsed_text(value: Any, around: int) -> None:
    for _ in range(around):
        value = [value]
    deep = bodies.too_deep(json.dumps(value).encode())
    assert (deep is not None) == (depth(value) > bodies.DEPTH_MAX)


def test_deep_texts_that_are_no_json_end_too() -> None:
    assert bodies.too_deep(b"[" * 65_000) is not None
    assert bodies.too_deep(b'{"a":' * 10_000) is not None
    assert bodies.too_deep(b'"' + b"[" * 65_000) is None


def test_a_foreign_page_may_not_act_unless_it_is_listed() -> None:
    allowed = origins.allowed_from("https://ops.example https://app.example:8443")
    for origin, method, taken in (
        (b"https://ops.example", "POST", True),
        (b"https://evil.example", "POST", False),
        (b"https://ops.example.evil.example", "POST", False),
        (b"null", "DELETE", False),
        (b"https://evil.example", "SOCKET", False),
        (b"http://localhost:8080", "SOCKET", True),
        (b"http://localhost:8081", "SOCKET", False),
        (b"https://evil.example", "GET", True),
    ):
        assert (origins.refused(method, [HOST, (b"origin", origin)], allowed) is None) is taken, origin
    assert origins.refused("POST", [HOST], allowed) is None
    for wrong in ("*", "ops.example", "https://ops.example/", "ftp://x"):
        with pytest.raises(ValueError, match="no origin"):
            origins.allowed_from(wrong)


def test_every_door_is_found_by_a_path_of_it() -> None:
    index = DoorIndex()
    for door in DOORS:
        path = "/".join("x-1" if part.startswith("{") else part for part in door.path.split("/"))
        found = index.find(door.method, path)
        assert found is not None, door
        assert found.path.count("/") == door.path.count("/")
    assert index.find("GET", "/v2/drivers/ana") is not None
    assert index.find("GET", "/v2/drivers/") is None
    assert index.find("PATCH", "/v2/orders") is None
    assert index.find("GET", "/nowhere") is None


@given(st.lists(st.floats(0, 0.05), max_size=60))
def test_nobody_gets_more_than_the_burst_and_the_rate(pauses_s: list[float]) -> None:
    now_s, taken = 1_000.0, []
    rates = LocalRates(lambda: now_s)
    for pause_s in pauses_s:
        now_s += pause_s
        if rates.take("ana", 10, 5).taken:
            taken.append(now_s)
    for first, begun in enumerate(taken):
        for number, at in enumerate(taken[first:], 1):
            assert number <= 5 + math.floor((at - begun) * 10 + 1e-6)


def test_who_is_refused_is_told_when_to_come_again_and_then_is_taken() -> None:
    now_s = 0.0
    rates = LocalRates(lambda: now_s)
    assert [rates.take("ana", 2, 3).left for _ in range(3)] == [2, 1, 0]
    verdict = rates.take("ana", 2, 3)
    assert not verdict.taken
    assert verdict.wait_s == pytest.approx(0.5)
    assert rates.take("ben", 2, 3).taken
    now_s += verdict.wait_s
    assert rates.take("ana", 2, 3).taken


def test_addresses_of_one_customer_are_one() -> None:
    assert address_of({"client": ("192.0.2.7", 1)}) == "192.0.2.7"
    assert address_of({"client": ("2001:db8::1", 1)}) == address_of({"client": ("2001:db8::ffff:2", 1)})
    assert address_of({"client": ("2001:db8::1", 1)}) != address_of({"client": ("2001:db8:0:1::1", 1)})
    assert address_of({}) == "unknown"
