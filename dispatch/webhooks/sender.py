"""Sends what is due: claims lines, posts their first messages, reports. Many at a time, few an endpoint."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from dispatch.config import Settings
from dispatch.log import logs
from dispatch.metrics.webhooks import ATTEMPTS, DISABLED, FIRST_TRY
from dispatch.webhooks import kinds, ledger
from dispatch.webhooks.ledger import Claimed, Tried
from dispatch.webhooks.post import Answer, Post, pause_s
from dispatch.webhooks.sealing import NotOurs, Seal
from dispatch.webhooks.targets import Resolve, resolved

AT_ONCE = 256
_IDLE_S = 0.1
_RECOVER_S, _FORGET_S = 1.0, 3_600.0
GONE = 410
logger = logs.get("dispatch.webhooks.sender")
Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]
Reached = Callable[[str], None]
"""Told each step, for tests that end the process there."""


class Sender:
    """`run` on a thread of its own until stopped; `wake` from any thread when there is something new."""

    def __init__(
        self, settings: Settings, seal: Seal, reached: Reached = lambda _step: None, resolve: Resolve = resolved
    ) -> None:
        self._settings, self._seal, self._reached, self._resolve = settings, seal, reached, resolve
        self._schedule = [float(one) for one in settings.webhook_retries_s.split()]
        self._claim_s = 2 * settings.webhook_timeout_s + 1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._new = asyncio.Event()
        self._recovered = self._forgot = 0.0
        self.state = "starting"

    def wake(self) -> None:
        """There is something to send."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._new.set)

    def run(self, stop: threading.Event) -> None:
        """Sends until stopped; waits for what is under way."""
        asyncio.run(self._run(stop))
        self.state = "stopped"

    async def _run(self, stop: threading.Event) -> None:
        pool: Pool = AsyncConnectionPool(
            self._settings.postgres, min_size=1, max_size=8, open=False, timeout=5, kwargs={"connect_timeout": 3}
        )
        await pool.open()
        post = Post(self._settings, AT_ONCE, self._resolve)
        under_way: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(AT_ONCE, "resolver"))  # a slow name server holds up its own
        try:
            while not stop.is_set():
                self._new.clear()
                claimed = await self._turn(pool, AT_ONCE - len(under_way))
                for one in claimed:
                    task = asyncio.create_task(self._send_safely(pool, post, one))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                if not claimed:
                    await self._rest()
            if under_way:
                await asyncio.wait(under_way)
        finally:
            self._loop = None
            await post.close()
            await pool.close()

    async def _rest(self) -> None:
        """Until there is something new, or a moment."""
        waiting = asyncio.create_task(self._new.wait())
        await asyncio.wait({waiting}, timeout=_IDLE_S)
        waiting.cancel()

    async def _turn(self, pool: Pool, free: int) -> list[Claimed]:
        try:
            async with pool.connection() as connection:
                now = time.monotonic()
                if now - self._recovered > _RECOVER_S:
                    self._recovered = now
                    await ledger.recover(connection, self._claim_s)
                if now - self._forgot > _FORGET_S:
                    self._forgot = now
                    await ledger.forget(connection)
                claimed = await ledger.claim(connection, free) if free else []
        except (psycopg.Error, PoolTimeout) as error:
            self._lost(error)
            await asyncio.sleep(0.5)
            return []
        self.state = "up"
        return claimed

    async def _send_safely(self, pool: Pool, post: Post, claimed: Claimed) -> None:
        """Whatever goes wrong in here leaves the claim without a report, which is seen to when it has lapsed."""
        try:
            self._reached("claimed")
            tried = await self._try(post, claimed) if claimed.message_id is not None else None
            self._reached("sent")
            async with pool.connection() as connection:
                reported = await ledger.report(connection, claimed, tried)
            self._reached("reported")
            if tried is not None:
                self._counted(claimed, reported)
            self._new.set()  # the line may go on
        except (psycopg.Error, PoolTimeout) as error:
            self._lost(error)
        except Exception as error:  # noqa: BLE001 -- one message must not end the sending of the others
            logger.error("webhook_failed", message=claimed.message_id, reason=type(error).__name__)

    async def _try(self, post: Post, claimed: Claimed) -> Tried:
        now, began = datetime.now(UTC), time.monotonic()
        try:
            kept = [claimed.secret, *([claimed.old_secret] if claimed.old_secret is not None else [])]
            secrets = [self._seal.opened(bytes(one), claimed.endpoint_id) for one in kept]
        except NotOurs as error:
            answer = Answer(None, f"not sent: the secret cannot be opened: {error}")
        else:
            self._reached("sending")
            answer = await self._posted(post, claimed, secrets, now)
        return self._judged(claimed, answer, now, round((time.monotonic() - began) * 1000))

    async def _posted(self, post: Post, claimed: Claimed, secrets: list[str], now: datetime) -> Answer:
        """A fault of ours counts as an attempt that failed, so that it does not go on without end."""
        assert claimed.message_id is not None
        assert claimed.body is not None
        try:
            return await post.send(claimed.url, claimed.message_id, claimed.body, secrets, now)
        except Exception as error:  # noqa: BLE001 -- as above
            logger.error("webhook_failed", message=claimed.message_id, reason=type(error).__name__)
            return Answer(None, f"not sent: {type(error).__name__}")

    def _judged(self, claimed: Claimed, answer: Answer, at: datetime, took_ms: int) -> Tried:
        if answer.taken:
            return Tried("sent", at, took_ms, answer.status)
        if claimed.event_type == kinds.TEST:  # once, and of no consequence
            return Tried("dead", at, took_ms, answer.status, answer.reason)
        if answer.status == GONE:
            return Tried("dead", at, took_ms, answer.status, answer.reason, disable="gone")
        pause = pause_s(self._schedule, (claimed.attempts or 0) + 1, answer.retry_after_s, random.random)
        if pause is None:
            return Tried("dead", at, took_ms, answer.status, answer.reason, disable="given_up")
        return Tried("failed", at, took_ms, answer.status, answer.reason, pause)

    def _counted(self, claimed: Claimed, reported: Tried | None) -> None:
        ATTEMPTS.labels(reported.outcome if reported else "lapsed").inc()
        first = claimed.attempts == 0 and claimed.round == 0  # not of a message that was asked for again
        if first and claimed.at is not None and claimed.event_type != kinds.TEST:
            FIRST_TRY.observe(max(0.0, (datetime.now(UTC) - claimed.at).total_seconds()))
        if reported is not None and reported.disable:
            DISABLED.labels(reported.disable).inc()
            logger.warning("webhook_disabled", endpoint=claimed.endpoint_id, reason=reported.disable)

    def _lost(self, error: psycopg.Error | PoolTimeout) -> None:
        reason = ledger.cause(error) if isinstance(error, psycopg.Error) else "no connection"
        self.state = f"postgres: {reason}"
        logger.warning("postgres_unreachable", reason=reason)
