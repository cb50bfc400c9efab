"""The whole of Baton on this machine, as `baton up` starts it: latencies under a steady rate, and what it sustains.

Ready to offer: from giving an order to Kafka to reading the offer on the driver's socket. Accept to reply: the HTTP
request. Audit: from the decision's time to the row being visible to another connection, asked every 50 ms.
"""

import asyncio
import math
import shutil
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil
import psycopg
from confluent_kafka import Consumer

from bench.town import Town
from deploy.local.servers import Addresses
from deploy.local.stack import StackOptions, down, plan, up
from dispatch.contract import codec, topics
from dispatch.contract.records.delivery_events import DeliveryCompleted, ReservationFailed
from dispatch.contract.records.offers import OfferCreated
from dispatch.log.collector import rest_the_collector
from gateways.access import local_key

Figures = dict[str, float]
_SETTLE_S = 15.0
_IN_FLIGHT = 400
_ASK_S = 0.05
_WARM = (100, 60)
"""Orders a second, for so many seconds: a broker that has just started compiles its own code first, for a minute."""
_FOLDER = Path(".baton/bench")


@contextmanager
def running() -> Iterator[dict[str, Any]]:
    """A stack of its own, removed afterwards."""
    folder = _FOLDER.resolve()
    down(folder)
    shutil.rmtree(folder, ignore_errors=True)
    status = up(folder, plan(Addresses(), StackOptions(), folder), lambda _text: None)
    try:
        yield status
    finally:
        down(folder)
        shutil.rmtree(folder, ignore_errors=True)


def latencies(status: dict[str, Any], rates: Sequence[int], seconds: int, drivers: int) -> Figures:
    """Percentiles in ms at each rate of orders a second."""
    return asyncio.run(_latencies(status, rates, seconds, drivers))


async def _latencies(status: dict[str, Any], rates: Sequence[int], seconds: int, drivers: int) -> Figures:
    kafka, postgres = status["addresses"]["kafka"], status["addresses"]["postgres"]
    gateway = next(part["address"] for part in status["parts"] if part["name"] == "gateway")
    town = Town(kafka)
    names = await asyncio.to_thread(town.sign_on, drivers)
    await asyncio.sleep(2)
    figures: Figures = {}
    async with aiohttp.ClientSession(gateway, connector=aiohttp.TCPConnector(limit=0)) as session:
        crowd = Crowd(town, session)
        listening = [asyncio.create_task(crowd.drive(name)) for name in names]
        try:
            await asyncio.wait_for(crowd.all_connected(drivers), 60)
            rest_the_collector()  # or it walks two thousand sockets again and again, on the same two cores
            await crowd.orders(*_WARM)
            await crowd.settled(_SETTLE_S)
            for rate in rates:
                crowd.forget()
                audit = AuditWatch(postgres)
                used, began = cpu(status), time.monotonic()
                await crowd.orders(rate, seconds)
                sent_s = time.monotonic() - began
                left = await crowd.settled(_SETTLE_S)
                figures |= crowd.figures(rate, sent_s, left)
                figures |= {f"at {rate}/s, audit row visible, {word} ms": ms for word, ms in audit.end().items()}
                spent, seconds_in_all = cpu(status), time.monotonic() - began
                figures |= {f"at {rate}/s, cores, {name}": (spent[name] - used[name]) / seconds_in_all for name in used}
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
    return figures


class Crowd:
    """Drivers on their sockets. Each takes every offer at once, and delivers at once."""

    def __init__(self, town: Town, session: aiohttp.ClientSession) -> None:
        self._town, self._session = town, session
        key = local_key.of(_FOLDER.resolve(), "baton-local", "baton")
        assert key is not None, "the stack has a key of its own"
        self._key = key
        self._connected = 0
        self._ready: dict[str, float] = {}
        self._offered: list[float] = []
        self._replied: list[float] = []
        self._refused = self._unanswered = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def drive(self, name: str) -> None:
        """One driver."""
        path = f"/v2/drivers/{name}/socket"
        async with self._session.ws_connect(path, headers=self._signed(name), max_msg_size=1 << 20) as socket:
            self._connected += 1
            async for message in socket:
                heard = orjson.loads(message.data)
                if heard["type"] == "DELIVERY_OFFERED_V2":
                    if (ready_at := self._ready.pop(heard["delivery_id"], None)) is not None:
                        self._offered.append(time.perf_counter() - ready_at)
                    task = asyncio.create_task(self._take(name, heard))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def all_connected(self, count: int) -> None:
        """Waits for the last socket."""
        while self._connected < count:
            await asyncio.sleep(0.05)

    async def orders(self, rate: int, seconds: float) -> None:
        """Orders become ready at this rate, evenly."""
        began = time.perf_counter()
        for number in range(math.ceil(rate * seconds)):
            late_s = time.perf_counter() - began - number / rate
            if late_s < 0:
                await asyncio.sleep(-late_s)
            at = time.perf_counter()
            self._ready[self._town.order_ready()] = at
            if late_s > 0 and number % 10 == 0:
                await asyncio.sleep(0)

    async def settled(self, limit_s: float) -> int:
        """Waits until every order was offered; gives how many were not."""
        until = time.monotonic() + limit_s
        while (self._ready or self._tasks) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        return len(self._ready)

    def forget(self) -> None:
        """Begins anew."""
        self._ready.clear()
        self._offered.clear()
        self._replied.clear()
        self._refused = self._unanswered = 0

    def figures(self, rate: int, sent_s: float, left: int) -> Figures:
        """What was seen."""
        orders = len(self._offered) + left
        figures: Figures = {
            f"at {rate}/s, orders": orders,
            f"at {rate}/s, orders sent a second": orders / sent_s,
            f"at {rate}/s, not offered {_SETTLE_S:g} s after the last": left,
            f"at {rate}/s, accepts not decided in time or refused": self._refused,
            f"at {rate}/s, accepts unanswered": self._unanswered,
        }
        for name, seen in (("ready to offer", self._offered), ("accept to reply", self._replied)):
            figures |= {f"at {rate}/s, {name}, {word} ms": ms for word, ms in percentiles(seen).items()}
        return figures

    def _signed(self, name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key.current('driver', name)}"}

    async def _take(self, name: str, offer: dict[str, Any]) -> None:
        held = {"delivery_id": offer["delivery_id"], "offer_id": offer["offer_id"], "driver_id": name}
        began = time.perf_counter()
        path = f"/v2/drivers/{name}/offers/{held['offer_id']}/accept"
        try:
            body = {"delivery_id": held["delivery_id"]}
            async with self._session.post(path, json=body, headers=self._signed(name)) as answer:
                await answer.read()
        except aiohttp.ClientError:
            self._unanswered += 1
            return
        self._replied.append(time.perf_counter() - began)
        if answer.status == 200:
            self._town.carried_out(held)
        else:
            self._refused += 1


class AuditWatch:
    """How long after its decision a row of the audit table is seen by another connection."""

    def __init__(self, postgres: str) -> None:
        self._stop = threading.Event()
        self._seen: list[float] = []
        self._thread = threading.Thread(target=self._watch, args=(postgres,))
        self._thread.start()

    def end(self) -> Figures:
        """Percentiles in ms."""
        self._stop.set()
        self._thread.join()
        return percentiles(self._seen)

    def _watch(self, postgres: str) -> None:
        last = (
            "SELECT topic, partition, (SELECT max(record_offset) FROM delivery_audit_logs l"
            " WHERE l.topic = followed.topic AND l.partition = followed.partition)"
            " FROM (SELECT DISTINCT topic, partition FROM projection_offsets) followed"
        )
        newer = (  # in the order of the index, or a planner without statistics reads the whole table each time
            "SELECT seen.topic, seen.partition, newer.record_offset, extract(epoch FROM newer.at)"
            " FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS seen (topic, partition, upto)"
            " CROSS JOIN LATERAL (SELECT record_offset, at FROM delivery_audit_logs l WHERE l.topic = seen.topic"
            " AND l.partition = seen.partition AND l.record_offset > seen.upto"
            " ORDER BY l.topic, l.partition, l.record_offset LIMIT 10000) newer"
        )
        with psycopg.connect(postgres, autocommit=True) as connection:
            known = {
                (topic, number): offset for topic, number, offset in connection.execute(last) if offset is not None
            }
            while not self._stop.wait(_ASK_S):
                asked = ([topic for topic, _ in known], [number for _, number in known], list(known.values()))
                for topic, number, place, at in connection.execute(newer, asked).fetchall():
                    self._seen.append(time.time() - float(at))
                    known[topic, number] = max(place, known[topic, number])


def percentiles(seconds: Sequence[float]) -> Figures:
    """p50, p95 and p99 in ms; nothing for fewer than 100 values."""
    if len(seconds) < 100:
        return {}
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1000, "p95": cuts[94] * 1000, "p99": cuts[98] * 1000}


def cpu(status: dict[str, Any]) -> Figures:
    """CPU seconds so far of each process: what is spent, whoever else is on the machine."""
    own = psutil.Process().cpu_times()
    used = {"the bench itself": own.user + own.system}
    for part in status["parts"]:
        if part["pid"]:
            process = psutil.Process(part["pid"])
            used[part["name"]] = sum(map(_spent_s, (process, *process.children(recursive=True))))
    return used


def _spent_s(process: psutil.Process) -> float:
    """Nothing for one that ended a moment ago, as Postgres' own do."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def sustained(status: dict[str, Any], deliveries: int, drivers: int) -> Figures:
    """Whole deliveries a second, from ready to delivered and in the tables, with so many in flight all the time."""
    kafka, postgres = status["addresses"]["kafka"], status["addresses"]["postgres"]
    town = Town(kafka, seed=2)
    town.sign_on(drivers)
    time.sleep(2)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": f"bench-{time.time_ns()}",
                         "isolation.level": "read_committed", "auto.offset.reset": "latest",
                         "fetch.wait.max.ms": 20})  # fmt: skip
    consumer.subscribe([topics.OFFERS.name, topics.DELIVERY_EVENTS.name])
    until = time.monotonic() + 20
    while not consumer.assignment() and time.monotonic() < until:
        consumer.poll(0.1)
    consumer.poll(1.0)  # where it begins is looked up with the first fetch
    sent = done = denied = 0
    ours: set[str] = set()
    used, began = cpu(status), time.monotonic()
    try:
        while done < deliveries:
            while sent < deliveries and sent - done < _IN_FLIGHT:
                ours.add(town.order_ready())
                sent += 1
            for message in consumer.consume(1_000, 0.02):
                record = codec.decode(message.value()) if message.error() is None else None
                if isinstance(record, OfferCreated) and record.delivery_id in ours:
                    held = {"delivery_id": record.delivery_id, "offer_id": record.offer_id,
                            "driver_id": record.driver_id}  # fmt: skip
                    town.accepted(held)
                    town.carried_out(held)
                elif isinstance(record, ReservationFailed) and record.delivery_id in ours:
                    denied += 1
                elif isinstance(record, DeliveryCompleted) and record.delivery_id in ours:
                    done += 1
            if time.monotonic() - began > 240:
                raise RuntimeError(f"{done} of {deliveries} deliveries within 240 s")
        decided_s = time.monotonic() - began
    finally:
        consumer.close()
    with psycopg.connect(postgres, autocommit=True) as connection:
        query = "SELECT count(*) FROM deliveries WHERE status = 'delivered' AND delivery_id = ANY(%s::uuid[])"
        while True:
            row = connection.execute(query, (list(ours),)).fetchone()
            if row and row[0] >= deliveries:
                break
            time.sleep(0.05)
    seconds, spent = time.monotonic() - began, cpu(status)
    return {f"CPU ms a delivery, {name}": (spent[name] - used[name]) / deliveries * 1000 for name in used} | {
        "whole deliveries": float(deliveries),
        "drivers who were asked for and denied": float(denied),
        "whole deliveries a second, decided": deliveries / decided_s,
        "whole deliveries a second, in the tables": deliveries / seconds,
    }
