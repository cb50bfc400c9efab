"""Where answers to an Idempotency-Key are kept: a table of Postgres, a day long, for all instances.

Keys are digests and bodies come sealed: nothing personal can be read here. Postgres may be away; then
requests go on without, for the aggregate itself remembers what it decided (docs/decisions/0012).
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from dispatch.log import logs
from dispatch.metrics import gateway as metrics

KEPT_S = 86_400
_LIMIT_S = 1.0
_AWAY_S = 2.0
"""After a failure Postgres is left alone so long: a frozen one would cost every request its limit."""
_CLEAN_EVERY_S = 60.0
_CLEAN_AT_ONCE = 5_000
_CLAIM = """
INSERT INTO idempotent_answers AS held (key, payload, claim, claimed_until, expires_at)
VALUES (%s, %s, %s, now() + %s * interval '1 second', now() + %s * interval '1 second')
ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, claim = excluded.claim,
  claimed_until = excluded.claimed_until, expires_at = excluded.expires_at, status = NULL, headers = NULL, body = NULL
WHERE held.expires_at < now()
  OR (held.status IS NULL AND held.claimed_until < now() AND held.payload = excluded.payload)
RETURNING key
"""
_HELD = "SELECT payload, status, headers, body FROM idempotent_answers WHERE key = %s"
_KEEP = "UPDATE idempotent_answers SET status = %s, headers = %s, body = %s WHERE key = %s AND claim = %s"
_RELEASE = "UPDATE idempotent_answers SET claimed_until = now() WHERE key = %s AND claim = %s"
_FORGET = "DELETE FROM idempotent_answers WHERE key = %s AND claim = %s"
_CLEAN = """
DELETE FROM idempotent_answers WHERE key IN (
  SELECT key FROM idempotent_answers WHERE expires_at < now() LIMIT %s FOR UPDATE SKIP LOCKED)
"""
logger = logs.get("gateways.shell")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody was here before with this key."""

    same_payload: bool
    answer: Answer | None
    """None: it is still being worked on."""


class StoreAway(Exception):
    """Postgres does not answer; the request goes on without."""


class Answers:
    """The table. Every call is bounded by a second and raises StoreAway when it is not answered."""

    def __init__(self, dsn: str, lease_s: float) -> None:
        self._lease_s = lease_s
        self._away_until = 0.0
        self._cleaning: asyncio.Task[None] | None = None
        self._pool = AsyncConnectionPool(
            dsn, min_size=0, max_size=4, open=False, timeout=_LIMIT_S, num_workers=1, reconnect_timeout=2,
            kwargs={"autocommit": True, "options": "-c synchronous_commit=off"},
        )  # fmt: skip

    async def open(self) -> None:
        """Opens the pool; connections are made when needed."""
        await self._pool.open()
        self._cleaning = asyncio.create_task(self._clean())

    async def close(self) -> None:
        """Closes the pool."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        await self._pool.close()

    async def claim(self, key: bytes, payload: bytes, claim: bytes) -> Held | None:
        """None: it is ours to answer, until the lease ends. Else what is there already."""

        async def ask(connection: AsyncConnection[Any]) -> Held | None:
            taken = await connection.execute(_CLAIM, (key, payload, claim, self._lease_s, KEPT_S))
            if await taken.fetchone() is not None:
                return None
            row = await (await connection.execute(_HELD, (key,))).fetchone()
            if row is None:  # it was given back between the two statements
                return Held(True, None)
            known, status, headers, body = row
            if status is None:
                return Held(known == payload, None)
            return Held(known == payload, Answer(status, tuple(map(tuple, json.loads(headers))), body))

        return await self._bounded(ask)

    async def keep(self, key: bytes, claim: bytes, answer: Answer) -> None:
        """This answer is given from now on."""
        await self._execute(_KEEP, answer.status, json.dumps(answer.headers), answer.body, key, claim)

    async def release(self, key: bytes, claim: bytes) -> None:
        """The outcome is not known: the same payload may be tried again at once, no other."""
        await self._execute(_RELEASE, key, claim)

    async def forget(self, key: bytes, claim: bytes) -> None:
        """Nothing was decided: the key is free."""
        await self._execute(_FORGET, key, claim)

    async def _execute(self, statement: str, *arguments: Any) -> None:
        async def ask(connection: AsyncConnection[Any]) -> None:
            await connection.execute(statement.encode(), arguments)

        await self._bounded(ask)

    async def _bounded(self, ask: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
        """Ends in time also when a frozen server does not let a statement be cancelled: it is given up, not awaited."""
        if time.monotonic() < self._away_until:
            raise StoreAway("Postgres was away a moment ago")
        asking = asyncio.create_task(self._asked(ask))
        try:
            done, _ = await asyncio.wait({asking}, timeout=_LIMIT_S)
        finally:
            asking.cancel()
        if done and asking.exception() is None:
            return asking.result()
        error = asking.exception() if done else TimeoutError(f"no answer within {_LIMIT_S:g} s")
        if error is not None and not isinstance(error, (psycopg.Error, PoolTimeout, TimeoutError)):
            raise error
        self._away_until = time.monotonic() + _AWAY_S
        logger.warning("postgres_unreachable", reason=type(error).__name__)
        raise StoreAway(str(error)) from error

    async def _asked(self, ask: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
        async with self._pool.connection(_LIMIT_S) as connection:
            return await ask(connection)

    async def _clean(self) -> None:
        """Takes away what is over, a few thousand at a time."""
        while True:
            await asyncio.sleep(_CLEAN_EVERY_S)
            try:
                await self._execute(_CLEAN, _CLEAN_AT_ONCE)
            except StoreAway:
                metrics.UNCLEANED.inc()


def digest(*parts: str) -> bytes:
    """One key from several words, kept apart by a byte that none of them may hold."""
    return hashlib.sha256("\x00".join(parts).encode(errors="replace")).digest()
