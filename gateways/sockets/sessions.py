"""Which connection is a driver's live one, over all gateways: a hash a driver in Redis, told of by a channel.

Redis may lose all of it: each connection writes itself again at its next beat; until then two may live side by side.
Without Redis the rule holds within each gateway.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from dispatch.log import logs

STALE_MS = 60_000
"""A session that did not beat for so long is over: its gateway was killed."""
_DAY_S = 86_400
_TIMEOUT_S = 0.5
_AGAIN_S = 1.0
_ACKED = "acked:"
_TOGETHER = 250
"""So many sessions are written by one question: Valkey does nothing else meanwhile."""
_BEAT = """
local known = {}
for i, key in ipairs(KEYS) do
  local at = 4 * i - 2
  redis.call('HSET', key, ARGV[at], ARGV[at + 1])
  if ARGV[at + 3] ~= '' then redis.call('HSET', key, ARGV[at + 2], ARGV[at + 3]) end
  redis.call('EXPIRE', key, ARGV[1])
  known[i] = redis.call('HGETALL', key)
end
return known
"""
logger = logs.get("gateways.sockets.sessions")


@dataclass(frozen=True, slots=True)
class Session:
    """A connection as every gateway sees it."""

    connection_id: str
    device: str
    opened_at_ms: int
    beat_at_ms: int
    slot: int
    """The gateway that holds it."""


def superseded(sessions: Iterable[Session], devices: int) -> list[str]:
    """Connections that have to end: the older ones of a device, and those of the devices that are too many."""
    newest: dict[str, Session] = {}
    gone = []
    for session in sorted(sessions, key=lambda one: (one.opened_at_ms, one.connection_id), reverse=True):
        if session.device in newest or len(newest) >= devices:
            gone.append(session.connection_id)
        else:
            newest[session.device] = session
    return gone


class Sessions:
    """The registry. `end` closes a connection of this gateway, if it is one."""

    def __init__(self, address: str, namespace: str, slot: int, devices: int, end: Callable[[str, str], None]) -> None:
        self._name, self._slot, self._devices, self._end = f"{namespace}sockets", slot, devices, end
        self._client = redis.Redis.from_url(
            address, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        ) if address else None  # fmt: skip
        self._listener = redis.Redis.from_url(address) if address else None
        self._done: dict[str, float] = {}
        self._opened_ms = 0
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listens for connections that other gateways end."""
        if self._listener is not None:
            self._listening = asyncio.create_task(self._listen(self._listener))

    async def stop(self) -> None:
        """Closes the connections to Redis."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        for client in (self._client, self._listener):
            if client is not None:
                await client.aclose()

    async def opened_ms(self) -> int:
        """When a connection was opened, by one clock for all gateways. Later than any before it of this gateway: two of
        one millisecond would end each other by chance, the new one as likely as the old.
        """
        now_ms = await self._now_ms()
        self._opened_ms = max(self._opened_ms + 1, now_ms)
        return self._opened_ms

    async def _now_ms(self) -> int:
        """Redis' clock; without it this machine's."""
        if self._client is not None:
            try:
                seconds, micros = await self._client.time()
                return int(seconds) * 1000 + int(micros) // 1000
            except redis.RedisError as error:
                logger.warning("index_unreachable", reason=str(error))
        return time.time_ns() // 1_000_000

    async def beat(self, mine: Sequence[tuple[str, Session, str]]) -> None:
        """Writes sessions of this gateway (driver, session, what was acknowledged) and ends whatever is superseded."""
        if self._client is None or not mine:
            return
        try:
            for begin in range(0, len(mine), _TOGETHER):
                part = mine[begin : begin + _TOGETHER]
                await self._end_superseded(part, await self._written(self._client, part))
        except redis.RedisError as error:
            logger.warning("index_unreachable", reason=str(error))

    async def _written(
        self, client: "redis.Redis", mine: Sequence[tuple[str, Session, str]]
    ) -> list[dict[bytes, bytes]]:
        """Every session of these drivers, these among them."""
        args: list[str | bytes | int] = [_DAY_S]
        for _, session, acked in mine:
            said = orjson.dumps([session.device, session.opened_at_ms, session.beat_at_ms, session.slot])
            args += (session.connection_id, said, _ACKED + session.device, acked)
        known = await client.eval(_BEAT, len(mine), *(self._key(driver_id) for driver_id, _, _ in mine), *args)
        return [dict(zip(fields[::2], fields[1::2], strict=True)) for fields in known]

    async def _end_superseded(self, mine: Sequence[tuple[str, Session, str]], known: list[dict[bytes, bytes]]) -> None:
        assert self._client is not None
        pipe = self._client.pipeline(transaction=False)
        for (driver_id, session, _), fields in zip(mine, known, strict=True):
            every = list(_sessions(fields))
            live = [one for one in every if one.beat_at_ms > session.beat_at_ms - STALE_MS]
            gone = superseded(live, self._devices)
            if gone:
                pipe.publish(self._name, orjson.dumps([driver_id, gone]))
            stale = {one.connection_id for one in every} - {one.connection_id for one in live}
            if stale or gone:
                pipe.hdel(self._key(driver_id), *stale, *gone)
        if len(pipe):
            await pipe.execute()

    async def leave(self, driver_id: str, connection_id: str, device: str, acked: str) -> None:
        """The connection is over; what its device acknowledged is remembered for a day."""
        if self._client is None:
            return
        try:
            pipe = self._client.pipeline(transaction=False)
            pipe.hdel(self._key(driver_id), connection_id)
            if acked:
                pipe.hset(self._key(driver_id), _ACKED + device, acked)
            await pipe.execute()
        except redis.RedisError as error:
            logger.warning("index_unreachable", reason=str(error))

    async def acked(self, driver_id: str, device: str) -> str:
        """What the device acknowledged last; empty: not known."""
        if self._client is None:
            return ""
        try:
            found: Any = await self._client.hget(self._key(driver_id), _ACKED + device)
        except redis.RedisError as error:
            logger.warning("index_unreachable", reason=str(error))
            return ""
        return found.decode() if found else ""

    async def turn(self, name: str, every_s: int) -> int:
        """Seconds until what is done at most so often may be done again; 0: now, and it counts as done."""
        if self._client is not None:
            try:
                if await self._client.set(f"{self._name}:{name}", "1", nx=True, ex=every_s):
                    return 0
                return max(1, int(await self._client.ttl(f"{self._name}:{name}")))
            except redis.RedisError as error:
                logger.warning("index_unreachable", reason=str(error))
        done_s = self._done.get(name, -math.inf)
        left_s = done_s + every_s - time.monotonic()
        if left_s > 0:
            return math.ceil(left_s)
        self._done[name] = time.monotonic()
        return 0

    def _key(self, driver_id: str) -> str:
        return f"{self._name}:{driver_id}"

    async def _listen(self, listener: "redis.Redis") -> None:
        while True:
            try:
                async with listener.pubsub() as channel:
                    await channel.subscribe(self._name)
                    async for message in channel.listen():
                        if message["type"] == "message":
                            driver_id, gone = orjson.loads(message["data"])
                            for connection_id in gone:
                                self._end(driver_id, connection_id)
            except (redis.RedisError, OSError) as error:
                logger.warning("index_unreachable", reason=str(error))
            await asyncio.sleep(_AGAIN_S)


def _sessions(fields: dict[bytes, bytes]) -> Iterable[Session]:
    for name, value in fields.items():
        if not name.startswith(_ACKED.encode()):
            yield Session(name.decode(), *orjson.loads(value))
