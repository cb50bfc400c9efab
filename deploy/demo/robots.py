"""Robo-drivers: they sign on, hold a socket, move, accept, refuse, ignore, give up, rest and lose their network."""

import asyncio
import math
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from deploy.demo.city import driver_places
from deploy.demo.driver_api import DriverApi, Sign, Unanswered
from deploy.demo.profile import Character, Profile

_PACE_M_PER_S = {"bicycle": 4.2, "scooter": 6.1, "motorbike": 7.8, "car": 6.7}
_DETOUR = 1.35
_METRES_PER_DEGREE = 111_320
_PING_EVERY_S = 90.0
"""City seconds between pings; well below the five minutes after which a driver counts as offline."""


@dataclass
class Fleet:
    """Settings and tallies of one run."""

    speed: float
    profile: Profile
    tally: Counter[str] = field(default_factory=Counter)

    async def live(self, city_s: float) -> None:
        """Waits so many city seconds."""
        await asyncio.sleep(city_s / self.speed)


class Robot:
    """One driver: a task that reads the socket, a task that pings, and one job at a time."""

    def __init__(self, api: DriverApi, fleet: Fleet, character: Character, place: tuple[float, float]) -> None:
        self._api, self._fleet, self._character = api, fleet, character
        self._lat, self._lng = place
        self._network = asyncio.Event()
        self._network.set()
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[str] = set()

    async def run(self) -> None:
        """Works until cancelled."""
        await self._insist(self._sign_on())
        pings = asyncio.create_task(self._ping())
        try:
            while True:
                await self._network.wait()
                try:
                    await self._listen()
                except Unanswered:
                    self._fleet.tally["socket lost"] += 1
                await asyncio.sleep(0.2)
        finally:
            pings.cancel()
            for job in self._jobs.values():
                job.cancel()

    async def _sign_on(self) -> None:
        character = self._character
        taken = await self._api.sign_on(
            lat=self._lat, lng=self._lng, vehicle=character.vehicle, rating=character.rating
        )
        self._fleet.tally["signed on" if taken else "sign-on refused"] += 1

    async def _listen(self) -> None:
        async for message in self._api.socket():
            if not self._network.is_set():
                return
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        offer_id = message.get("offer_id", "")
        match message.get("type"):
            case "DELIVERY_OFFERED_V2" if offer_id not in self._waiting:
                self._waiting.add(offer_id)
                self._start(f"answer {offer_id}", self._answer(message))
            case "DELIVERY_ASSIGNED":
                self._waiting.discard(offer_id)
                self._start(offer_id, self._deliver(message))
            case "OFFER_ENDED":
                self._waiting.discard(offer_id)
            case "ASSIGNMENT_ENDED" if job := self._jobs.get(offer_id):
                if message.get("why") not in ("completed", "COMPLETED"):
                    self._fleet.tally["assignment taken away"] += 1
                    job.cancel()

    def _start(self, name: str, work: Any) -> None:
        if name in self._jobs:
            work.close()
            return
        job: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._jobs[name] = job
        job.add_done_callback(lambda done: self._over(name, done))

    def _over(self, name: str, job: asyncio.Task[None]) -> None:
        self._jobs.pop(name, None)
        if not job.cancelled() and (error := job.exception()):
            self._fleet.tally[f"error: {error!r}"[:120]] += 1

    async def _answer(self, offer: dict[str, Any]) -> None:
        what = self._character.answer()
        await self._fleet.live(self._character.thinking_s())
        if what == "accept":
            taken = await self._insist(self._api.accept(offer))
            self._fleet.tally["accepted" if taken else "accept came too late"] += 1
        elif what == "refuse":
            await self._insist(self._api.reject(offer, self._character.refusal()))
            self._fleet.tally["refused"] += 1
        else:
            self._fleet.tally["ignored"] += 1

    async def _deliver(self, job: dict[str, Any]) -> None:
        api, fleet = self._api, self._fleet
        if not await self._insist(api.progress(job, "enroute_to_pickup")):
            return
        if self._character.gives_up():
            await fleet.live(60)
            await self._insist(api.give_up(job, "flat tyre"))
            fleet.tally["gave up"] += 1
            return
        if self._character.loses_network():
            await self._lose_network()
        pickup, dropoff = job["pickup"], job["dropoff"]
        await self._travel(pickup["lat"], pickup["lng"])
        for step, wait_s in (("arrived_at_pickup", self._character.handling_s()), ("picked_up", 10.0)):
            if not await self._insist(api.progress(job, step)):
                return
            await fleet.live(wait_s)
        if not await self._insist(api.progress(job, "enroute_to_dropoff")):
            return
        await self._travel(dropoff["lat"], dropoff["lng"])
        if not await self._insist(api.progress(job, "arrived_at_dropoff")):
            return
        await fleet.live(self._character.handling_s())
        if await self._insist(api.progress(job, "delivered")):
            fleet.tally["delivered"] += 1
        if self._character.takes_break():
            await self._insist(api.take_break(self._character.break_s() / 60 / fleet.speed))
            fleet.tally["took a break"] += 1

    async def _lose_network(self) -> None:
        self._fleet.tally["lost the network"] += 1
        self._network.clear()
        await self._fleet.live(self._character.network_gone_s())
        self._network.set()

    async def _travel(self, lat: float, lng: float) -> None:
        """Moves there in small steps, at the vehicle's pace."""
        while True:
            north = (lat - self._lat) * _METRES_PER_DEGREE
            east = (lng - self._lng) * _METRES_PER_DEGREE * math.cos(math.radians(lat))
            left_m = math.hypot(north, east)
            if left_m < 1:
                return
            step_m = min(left_m, _PACE_M_PER_S[self._character.vehicle] / _DETOUR * 10)
            await self._fleet.live(10 * step_m / (_PACE_M_PER_S[self._character.vehicle] / _DETOUR * 10))
            self._lat += (lat - self._lat) * step_m / left_m
            self._lng += (lng - self._lng) * step_m / left_m

    async def _ping(self) -> None:
        while True:
            await self._fleet.live(_PING_EVERY_S)
            if self._network.is_set():
                try:
                    await self._api.ping(self._lat, self._lng)
                except Unanswered:
                    self._fleet.tally["ping lost"] += 1

    async def _insist(self, call: Any) -> Any:
        """Makes one call once the network is there; an unanswered one is told in the tally and counts as a no."""
        await self._network.wait()
        try:
            return await call
        except Unanswered:
            self._fleet.tally["unanswered"] += 1
            self._api.start_over()  # a job ends with this; the present state begins it again
            return False


async def drive(
    count: int, gateway_url: str, fleet: Fleet, seed: int, prefix: str = "robo", sign: Sign | None = None
) -> None:
    """Runs so many drivers until cancelled; the fleet's tally tells what they did."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with (
        httpx.AsyncClient(base_url=gateway_url, timeout=15, limits=limits) as client,
        asyncio.TaskGroup() as group,
    ):
        for number, place in enumerate(driver_places(count, seed), 1):
            api = DriverApi(client, gateway_url, f"{prefix}-{number:03}", sign)
            character = Character(fleet.profile, seed * 100_003 + number)
            group.create_task(Robot(api, fleet, character, place).run())
            await asyncio.sleep(0.01)


def run(
    count: int, gateway_url: str, *, speed: float, seed: int, seconds: float | None = None, sign: Sign | None = None
) -> Counter[str]:
    """Runs the drivers for so long, or until interrupted (SIGINT, SIGTERM); gives the tally."""
    fleet = Fleet(speed, Profile())

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        driving = asyncio.create_task(drive(count, gateway_url, fleet, seed, sign=sign))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({driving, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        driving.cancel()
        stopped.cancel()
        for ended in await asyncio.gather(driving, stopped, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, asyncio.CancelledError):
                raise ended

    asyncio.run(main())
    return fleet.tally
