"""What a delivery costs: CPU milliseconds by process at steady rates, which other load on the machine hardly moves."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import psutil

from bench.town import Town
from bench.whole import Crowd, Figures, cpu

_SETTLE_S = 15.0
_WARM = (100, 30)
"""Orders a second, for so many seconds: the broker compiles its own code first."""
_THREADS = 6
"""Of the broker's kinds of threads, so many are named."""


def cost(status: dict[str, Any], rates: Sequence[int], seconds: int, drivers: int) -> Figures:
    """By rate, by process, and for Kafka by kind of thread."""
    return asyncio.run(_cost(status, rates, seconds, drivers))


async def _cost(status: dict[str, Any], rates: Sequence[int], seconds: int, drivers: int) -> Figures:
    gateway = next(part["address"] for part in status["parts"] if part["name"] == "gateway")
    kafka = next((part["pid"] for part in status["parts"] if part["name"] == "kafka"), 0)
    town = Town(status["addresses"]["kafka"])
    names = await asyncio.to_thread(town.sign_on, drivers)
    await asyncio.sleep(2)
    figures: Figures = {}
    async with aiohttp.ClientSession(gateway, connector=aiohttp.TCPConnector(limit=0)) as session:
        crowd = Crowd(town, session)
        listening = [asyncio.create_task(crowd.drive(name)) for name in names]
        try:
            await asyncio.wait_for(crowd.all_connected(drivers), 60)
            await crowd.orders(*_WARM)
            await crowd.settled(_SETTLE_S)
            for rate in rates:
                crowd.forget()
                used, threads, began = cpu(status), _threads(kafka), time.monotonic()
                await crowd.orders(rate, seconds)
                sent_s = time.monotonic() - began
                left = await crowd.settled(_SETTLE_S)
                spent, after = cpu(status), _threads(kafka)
                figures |= crowd.figures(rate, sent_s, left)
                figures |= _a_delivery(f"at {rate}/s, CPU ms a delivery", used, spent, rate * seconds)
                kinds = _a_delivery(f"at {rate}/s, of Kafka's", threads, after, rate * seconds)
                figures |= dict(sorted(kinds.items(), key=lambda kind: -kind[1])[:_THREADS])
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
    return figures


def _a_delivery(what: str, before: Figures, after: Figures, deliveries: int) -> Figures:
    ms = {name: (after[name] - before.get(name, 0.0)) * 1000 / deliveries for name in after}
    in_all = {} if "Kafka's" in what else {f"{what}, in all": sum(ms.values())}
    return {f"{what}, {name}": spent for name, spent in ms.items()} | in_all


def _threads(pid: int) -> Figures:
    """CPU seconds so far of a process' threads, those of one kind together."""
    kinds: Figures = {}
    for thread in psutil.Process(pid).threads() if pid else ():
        try:
            name = psutil.Process(thread.id).name().rstrip("0123456789-# ")
        except psutil.NoSuchProcess:
            continue
        kinds[name] = kinds.get(name, 0.0) + thread.user_time + thread.system_time
    return kinds
