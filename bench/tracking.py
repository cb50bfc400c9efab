"""Following deliveries on the whole of Baton: how soon the status is answered, and how soon an event is on a stream.

The order service that asks is signed in, and owns what it asks for; every delivery has a driver with a place.
"""

import asyncio
import datetime
import statistics
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psycopg

from bench.town import Town, now_ms
from dispatch.config import Settings
from dispatch.contract import topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records.system import DriverLocation
from gateways.access import local_key

Figures = dict[str, float]
RATE, SECONDS = 300, 30
DELIVERIES, FOLLOWED = 400, 200
_WARM_S = 3.0
_LIMIT_S = 60.0
_HELD = "SELECT delivery_id::text, driver_id, offer_id::text FROM deliveries WHERE status = 'assigned'"


def run(status: dict[str, Any]) -> Figures:
    """ms by HTTP; ms from the event's moment to the stream's reader."""
    return asyncio.run(_Followers(status).measured())


class _Followers:
    """One order service that asks, and follows."""

    def __init__(self, status: dict[str, Any]) -> None:
        part = next(part for part in status["parts"] if part["name"] == "gateway")
        self._url = str(part["address"]).removesuffix("/ready")
        self._postgres = status["addresses"]["postgres"]
        self._town = Town(status["addresses"]["kafka"], seed=9)
        settings = Settings()  # type: ignore[call-arg]
        key = local_key.of(Path(".baton/bench").resolve(), settings.sign_in_issuer, settings.sign_in_audience)
        signed = key.token("order_service", "bench", sellers=["*"]) if key else ""
        self._headers = {"authorization": f"Bearer {signed}"} if signed else {}
        self._late: list[float] = []

    async def measured(self) -> Figures:
        """Deliveries in hand first; then the status at a steady rate; then streams while drivers set out."""
        held = await asyncio.to_thread(self._in_hand)
        async with aiohttp.ClientSession(
            self._url, headers=self._headers, connector=aiohttp.TCPConnector(limit=0)
        ) as session:
            names = [row[0] for row in held]
            await self._asked(session, names, RATE, _WARM_S)
            took = await self._asked(session, names, RATE, SECONDS)
            streams = [asyncio.create_task(self._follow(session, name)) for name in names[:FOLLOWED]]
            await asyncio.sleep(5)
            began = time.monotonic()
            for name, driver, offer in held[:FOLLOWED]:
                ids = {"delivery_id": name, "driver_id": driver, "offer_id": offer}
                command = dc.ReportProgress(
                    command_id=str(uuid.uuid4()), at_ms=now_ms(), actor_type="driver", actor_id=driver,
                    correlation_id="bench", step="enroute_to_pickup", reply_to=0, **ids,
                )  # fmt: skip
                self._town.send(topics.DELIVERY_COMMANDS, name, command)
                await asyncio.sleep(0.02)
            await asyncio.to_thread(self._town.flush)
            while len(self._late) < len(streams) and time.monotonic() - began < _LIMIT_S:
                await asyncio.sleep(0.1)
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
        cuts, pushed = statistics.quantiles(took, n=100), statistics.quantiles(self._late, n=100)
        return {
            "status asked a second": float(RATE),
            "status answered": float(len(took)),
            "status, p50 ms": cuts[49] * 1000,
            "status, p99 ms": cuts[98] * 1000,
            "status, longest ms": max(took) * 1000,
            "streams": float(len(streams)),
            "status events heard": float(len(self._late)),
            "decided to stream, p50 ms": pushed[49],
            "decided to stream, p99 ms": pushed[98],
        }

    def _in_hand(self) -> list[tuple[str, str, str]]:
        """Deliveries that drivers hold, each driver with a place."""
        drivers = self._town.sign_on(DELIVERIES)
        names = [self._town.order_ready() for _ in range(DELIVERIES)]
        self._town.flush()
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            known = "SELECT count(*) FROM deliveries"
            _until(lambda: connection.execute(known).fetchone() == (len(names),), "every delivery is known")
            for name, driver in zip(names, drivers, strict=True):
                command = dc.AssignDriver(
                    command_id=str(uuid.uuid4()), at_ms=now_ms(), actor_type="admin", actor_id="bench",
                    correlation_id="bench", delivery_id=name, driver_id=driver, note="bench",
                )  # fmt: skip
                self._town.send(topics.DELIVERY_COMMANDS, name, command)
                ping = DriverLocation(driver_id=driver, lat=48.0, lng=7.85, accuracy_m=8, at_ms=now_ms())
                self._town.send(topics.DRIVER_LOCATIONS, driver, ping)
            self._town.flush()
            wanted = min(FOLLOWED + 50, DELIVERIES)
            _until(lambda: len(connection.execute(_HELD).fetchall()) >= wanted, "drivers hold deliveries")
            time.sleep(3)
            return connection.execute(_HELD).fetchall()

    async def _asked(self, session: aiohttp.ClientSession, names: list[str], rate: int, seconds: float) -> list[float]:
        """Asks at a rate, whether or not answers come; seconds of each from when it was due."""
        took: list[float] = []
        began = time.perf_counter()

        async def one(name: str, due_s: float) -> None:
            async with session.get(f"/v2/orders/{name}/delivery-status") as answer:
                said = orjson.loads(await answer.read())
                if answer.status != 200 or said["location"] is None:
                    raise RuntimeError(f"the status is {answer.status}, {said}")
            took.append(time.perf_counter() - due_s)

        asking = []
        for number in range(round(rate * seconds)):
            due_s = began + number / rate
            if (ahead_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(ahead_s)
            asking.append(asyncio.create_task(one(names[number % len(names)], due_s)))
        await asyncio.gather(*asking)
        return took

    async def _follow(self, session: aiohttp.ClientSession, name: str) -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        async with session.get(f"/v2/orders/{name}/events", timeout=timeout) as answer:
            if answer.status != 200:
                raise RuntimeError(f"a stream is answered {answer.status}")
            async for line in answer.content:
                if line.startswith(b"data: ") and b'"enroute_to_pickup"' in line:
                    said = orjson.loads(line[6:])
                    at = time.time() * 1000
                    self._late.append(at - _ms(said["at"]))
                    return


def _ms(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp() * 1000


def _until(true: Any, what: str) -> None:
    end = time.monotonic() + _LIMIT_S
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {_LIMIT_S:.0f} s: {what}")
        time.sleep(0.05)
