"""Drivers' sockets of one gateway: what each costs at rest, and how soon an offer in the log is on its socket.

Offers are written straight to the topic `offers`; the whole of Baton runs beside. The clients are in this process.
"""

import asyncio
import gc
import resource
import statistics
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil

from bench.town import Town, now_ms
from dispatch.config import Settings
from dispatch.contract import topics
from dispatch.contract.records.offers import OfferCreated
from dispatch.contract.records.shared import OfferTerms
from gateways.access import local_key

Figures = dict[str, float]
SOCKETS, RATE, SECONDS = 5_000, 200, 30
_AT_ONCE = 50
"""Connections opened at a time."""
_SETTLED_S = 25.0
"""Memory is read after every socket beat at least once."""
_WARM = 400
_LIMIT_S = 30.0


def run(status: dict[str, Any], sockets: int = SOCKETS, rate: int = RATE, seconds: float = SECONDS) -> Figures:
    """KB a socket; ms from the topic to the socket."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return asyncio.run(_Riders(status).measured(sockets, rate, seconds))


class _Riders:
    """Connected drivers who only listen."""

    def __init__(self, status: dict[str, Any]) -> None:
        part = next(part for part in status["parts"] if part["name"] == "gateway")
        self._url, self._gateway = str(part["address"]).removesuffix("/ready"), psutil.Process(part["pid"])
        self._town = Town(status["addresses"]["kafka"])
        settings = Settings()  # type: ignore[call-arg]
        folder = Path(".baton/bench").resolve()
        self._key = local_key.of(folder, settings.sign_in_issuer, settings.sign_in_audience)
        self._open: list[aiohttp.ClientWebSocketResponse] = []
        self._written: dict[str, float] = {}
        self._late: list[float] = []
        self._repeated = self._begun = 0

    async def measured(self, sockets: int, rate: int, seconds: float) -> Figures:
        """Opens all, rests, reads the memory, then writes offers at the rate."""
        names = [f"rider-{uuid.uuid4().hex[:8]}-{number}" for number in range(sockets)]
        async with aiohttp.ClientSession(self._url, connector=aiohttp.TCPConnector(limit=0)) as session:
            await self._connected(session, names[0])  # what the first one loads is not a socket's
            before, began, cpu = self._gateway.memory_info().rss, time.monotonic(), self._cpu_s()
            gate = asyncio.Semaphore(_AT_ONCE)

            async def opened(name: str) -> None:
                async with gate:
                    await self._connected(session, name)

            await asyncio.gather(*(opened(name) for name in names[1:]))
            opened_s = time.monotonic() - began
            await self._until(lambda: self._begun == sockets, "every socket began")
            listening = [asyncio.create_task(self._listen(socket)) for socket in self._open]
            opened_cpu = self._cpu_s() - cpu
            await asyncio.sleep(_SETTLED_S)
            at_rest, cpu = self._gateway.memory_info().rss, self._cpu_s()
            await asyncio.sleep(5)
            rest_cpu = (self._cpu_s() - cpu) / 5
            gc.freeze()
            await self._offers(names, rate, _WARM / rate)
            self._late.clear()
            cpu, began = self._cpu_s(), time.monotonic()
            sent = await self._offers(names, rate, seconds)
            cpu_share = (self._cpu_s() - cpu) / (time.monotonic() - began)
            loaded = self._gateway.memory_info().rss
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
        cuts = statistics.quantiles(self._late, n=100)
        return {
            "sockets": float(sockets),
            "opened a second": sockets / opened_s,
            "CPU ms to open one": opened_cpu / sockets * 1000,
            "KB a socket, at rest": (at_rest - before) / 1024 / (sockets - 1),
            "KB a socket, after the load": (loaded - before) / 1024 / (sockets - 1),
            "share of a core at rest": rest_cpu,
            "offers a second": float(rate),
            "offers sent": float(sent),
            "heard twice": float(self._repeated),
            "topic to socket, p50 ms": cuts[49] * 1000,
            "topic to socket, p99 ms": cuts[98] * 1000,
            "topic to socket, longest ms": max(self._late) * 1000,
            "share of a core under the load": cpu_share,
        }

    async def _connected(self, session: aiohttp.ClientSession, name: str) -> None:
        signed = {"authorization": f"Bearer {self._key.token('driver', name)}"} if self._key else {}
        socket = await session.ws_connect(f"/v2/drivers/{name}/socket", headers=signed, max_msg_size=1 << 20)
        first = orjson.loads(await socket.receive_str())
        if first["type"] != "READY":
            raise RuntimeError(f"a new driver's first message is {first}")
        self._begun += 1
        self._open.append(socket)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            heard_s = time.perf_counter()
            said = orjson.loads(message.data)
            if said["type"] == "DELIVERY_OFFERED_V2":
                written_s = self._written.pop(said["offer_id"], None)
                if written_s is None:
                    self._repeated += 1
                else:
                    self._late.append(heard_s - written_s)

    async def _offers(self, names: list[str], rate: int, seconds: float) -> int:
        """So many a second, evenly, each to the next driver; waits until the last is heard. Gives how many."""
        count, began = round(rate * seconds), time.perf_counter()
        for number in range(count):
            if (ahead_s := number / rate - (time.perf_counter() - began)) > 0:
                await asyncio.sleep(ahead_s)
            offer = _offer(names[number % len(names)])
            self._written[offer.offer_id] = time.perf_counter()
            self._town.send(topics.OFFERS, offer.driver_id, offer)
        await self._until(lambda: not self._written, "every offer heard")
        return count

    def _cpu_s(self) -> float:
        spent = self._gateway.cpu_times()
        return float(spent.user + spent.system)

    @staticmethod
    async def _until(true: Any, what: str) -> None:
        end = time.monotonic() + _LIMIT_S
        while not true():
            if time.monotonic() > end:
                raise RuntimeError(f"not within {_LIMIT_S:g} s: {what}")
            await asyncio.sleep(0.02)


def _offer(driver_id: str) -> OfferCreated:
    at_ms = now_ms()
    terms = OfferTerms(
        store_name="Anker am Markt", pickup_lat=48.0, pickup_lng=7.85, dropoff_lat=48.012, dropoff_lng=7.86,
        pickup_eta_ms=at_ms + 300_000, delivery_eta_ms=at_ms + 900_000, pickup_distance_m=1330, total_distance_m=4000,
        earning_minor=489, incentive_minor=0, currency="EUR", base_minor=200, distance_minor=189, time_minor=100,
    )  # fmt: skip
    name = str(uuid.uuid4())
    return OfferCreated(
        offer_id=name, delivery_id=name, driver_id=driver_id, terms=terms, at_ms=at_ms, expires_at_ms=at_ms + 30_000
    )
