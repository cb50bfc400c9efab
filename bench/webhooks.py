"""Webhooks: how soon after an event a seller's server has it, while other sellers' servers hang or refuse.

First try: from the time of the event, as the message says it, to the request at the seller's server. On this machine,
by http on the loopback: a TLS handshake and the way to the seller come on top.
"""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psycopg
from aiohttp import web

from bench import whole
from bench.town import Town
from dispatch.config import Settings
from gateways.access import local_key

Figures = dict[str, float]
RATE, SECONDS, WARM = 50, 20, 200
"""Orders a second, for so long; orders before that, which are not counted."""
BAD = 20
"""Other sellers, with as many orders together as the good one: half of their servers hang, half refuse."""
WAITING, STEPS = 1_000, 3
"""Deliveries of which a seller was not told while away, and messages of each."""
_LIMIT_S = 60.0

_BODY = '{"timestamp": "2026-11-29T00:00:00.000Z"}'
_WAITING_LINES = (
    "INSERT INTO webhook_lines (endpoint_id, line, state, due_at)"
    " SELECT endpoint_id, %(line)s, 'pending', now() FROM webhook_endpoints WHERE seller_id = 'away'"
    " ON CONFLICT DO NOTHING"
)
_WAITING_MESSAGES = (
    "INSERT INTO webhook_messages (message_id, endpoint_id, line, event_type, sequence, body, at, state)"
    " SELECT %(message_id)s, endpoint_id, %(line)s, 'delivery.created', %(sequence)s, %(body)s, now(), 'pending'"
    " FROM webhook_endpoints WHERE seller_id = 'away'"
)


@contextmanager
def running() -> Iterator[dict[str, Any]]:
    """A stack that may send to this machine."""
    before = os.environ.get("BATON_WEBHOOK_LOOPBACK")
    os.environ["BATON_WEBHOOK_LOOPBACK"] = "true"
    try:
        with whole.running() as status:
            yield status
    finally:
        if before is None:
            del os.environ["BATON_WEBHOOK_LOOPBACK"]
        else:
            os.environ["BATON_WEBHOOK_LOOPBACK"] = before


def first_tries(status: dict[str, Any]) -> Figures:
    """Percentiles in ms of every message's first request; messages a second."""
    return asyncio.run(_first_tries(status))


def backlog(status: dict[str, Any]) -> Figures:
    """Messages a second to one seller's server that was away, and answers at once."""
    return asyncio.run(_backlog(status))


class _Shop:
    """Servers of sellers: one answers, one hangs, one refuses."""

    def __init__(self) -> None:
        self.late_ms: dict[str, float] = {}
        """By the message's id, of the first request."""

    async def good(self, request: web.Request) -> web.Response:
        now, body = time.time(), await request.read()
        said = datetime.fromisoformat(orjson.loads(body)["timestamp"])
        self.late_ms.setdefault(request.headers["webhook-id"], (now - said.timestamp()) * 1000)
        return web.Response(status=204)

    async def hanging(self, _request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response(status=204)

    async def refusing(self, _request: web.Request) -> web.Response:
        return web.Response(status=500)


async def _first_tries(status: dict[str, Any]) -> Figures:
    async with _open() as (shop, url):
        return await _measured(status, shop, url)


async def _backlog(status: dict[str, Any]) -> Figures:
    async with _open() as (shop, url):
        await _registered(status, [("away", f"{url}/good")])
        rows = [
            {"message_id": str(uuid.uuid4()), "line": f"line {line}", "sequence": step, "body": _BODY}
            for line in range(WAITING) for step in range(STEPS)
        ]  # fmt: skip
        with psycopg.connect(status["addresses"]["postgres"]) as connection:
            for statement in (_WAITING_LINES, _WAITING_MESSAGES):
                connection.cursor().executemany(statement, rows)
            connection.commit()
            began = time.monotonic()
        while len(shop.late_ms) < len(rows):
            if time.monotonic() - began > 10 * _LIMIT_S:
                raise RuntimeError(f"{len(shop.late_ms)} messages of {len(rows)} came")
            await asyncio.sleep(0.02)
        return {
            "messages that waited for one seller": float(len(rows)),
            "of them told a second": len(rows) / (time.monotonic() - began),
        }


@asynccontextmanager
async def _open() -> AsyncIterator[tuple[_Shop, str]]:
    """The servers, and where they are."""
    shop, app = _Shop(), web.Application()
    for name in ("good", "hanging", "refusing"):
        app.router.add_post(f"/{name}", getattr(shop, name))
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield shop, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _measured(status: dict[str, Any], shop: _Shop, url: str) -> Figures:
    kafka = status["addresses"]["kafka"]
    good, bad = Town(kafka), [Town(kafka, seed=number + 2) for number in range(BAD)]
    await _registered(status, [(good.seller_id, f"{url}/good")] + [
        (town.seller_id, f"{url}/{'hanging' if number % 2 else 'refusing'}") for number, town in enumerate(bad)
    ])  # fmt: skip
    for number in range(WARM):
        (good if number % 2 else bad[number % BAD]).order_ready()
    good.flush()
    for town in bad:
        town.flush()
    await _quiet(shop)
    shop.late_ms.clear()
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < SECONDS:
        while sent < passed * RATE:
            good.order_ready()
            bad[sent % BAD].order_ready()
            sent += 1
        await asyncio.sleep(0.01)
    good.flush()
    await _quiet(shop)
    late = sorted(shop.late_ms.values())
    if len(late) < sent:
        raise RuntimeError(f"{len(late)} messages of {sent} orders came")
    return {
        "orders of the good seller": float(sent),
        "endpoints of other sellers that hang or refuse": float(BAD),
        "messages": float(len(late)),
        "first try after the event, p50 ms": late[len(late) // 2],
        "first try after the event, p99 ms": late[int(len(late) * 0.99)],
        "first try after the event, most ms": late[-1],
        "share within 1 s, %": 100 * sum(one <= 1000 for one in late) / len(late),
        **await asyncio.to_thread(_parts, status["addresses"]["postgres"], good.seller_id),
    }


def _parts(postgres: str, seller_id: str) -> Figures:
    """Where the time goes, of the good seller's messages since the warm-up: deciding and reading, and then sending."""
    with psycopg.connect(postgres) as connection:
        row = connection.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM m.taken_at - m.at)),"
            " percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM a.at - m.taken_at))"
            " FROM webhook_messages m JOIN webhook_endpoints e USING (endpoint_id)"
            " JOIN webhook_attempts a USING (message_id)"
            " WHERE e.seller_id = %s AND m.at > now() - make_interval(secs => %s)",
            (seller_id, SECONDS + 5),
        ).fetchone()
    assert row is not None
    names = ("from the event to its row", "from the row to the request")
    return {
        f"{name}, {word} ms": part[number] * 1000
        for name, part in zip(names, row, strict=True)
        for number, word in enumerate(("p50", "p99"))
    }


async def _registered(status: dict[str, Any], wanted: list[tuple[str, str]]) -> None:
    gateway = next(part["address"] for part in status["parts"] if part["name"] == "gateway")
    settings = Settings()
    key = local_key.of(Path(".baton/bench").resolve(), settings.sign_in_issuer, settings.sign_in_audience)
    signed = {"authorization": f"Bearer {key.token('order_service', 'bench', sellers=['*'])}"} if key else {}
    async with aiohttp.ClientSession(gateway, headers=signed) as session:
        for seller, url in wanted:
            body = {"seller_id": seller, "url": url, "reason": "bench"}
            async with session.post("/v2/webhooks/endpoints", json=body) as answer:
                if answer.status != 201:
                    raise RuntimeError(f"the gateway answered {answer.status}: {await answer.text()}")


async def _quiet(shop: _Shop) -> None:
    """Until nothing more has come for two seconds."""
    end, seen, since = time.monotonic() + _LIMIT_S, -1, time.monotonic()
    while time.monotonic() < end:
        if len(shop.late_ms) != seen:
            seen, since = len(shop.late_ms), time.monotonic()
        elif seen > 0 and time.monotonic() - since > 2:
            return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"still {seen} messages and no end within {_LIMIT_S:g} s")
