"""Contacts for drivers who were given a delivery: asked for together, for the projector may be a moment behind."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from dispatch.log import logs
from gateways.problems import Problem

LIMIT_S = 1.0
"""How long a contact is waited for."""
_AGAIN_S = 0.03
Contact = dict[str, Any]
Ask = Callable[[Sequence[str], float], Awaitable[dict[str, Contact]]]
"""The contacts that are known of these deliveries, within so many seconds. Raises Problem."""
logger = logs.get("gateways.contacts")


class Contacts:
    """Many that wait at once cost one question, again and again until each is answered or too late."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._waiting: dict[str, tuple[asyncio.Future[Contact | None], float]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def of(self, delivery_id: str) -> Contact | None:
        """Whom it goes to; None when that is not known in time."""
        if delivery_id not in self._waiting:
            found: asyncio.Future[Contact | None] = asyncio.get_running_loop().create_future()
            self._waiting[delivery_id] = found, time.monotonic() + LIMIT_S
        future, _ = self._waiting[delivery_id]
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_until_told())
        return await asyncio.shield(future)

    async def _ask_until_told(self) -> None:
        try:
            while self._waiting:
                await self._ask_once()
                if self._waiting:
                    await asyncio.sleep(_AGAIN_S)
        except Exception as error:  # noqa: BLE001 -- it is theirs who wait
            for future, _ in self._waiting.values():
                future.set_exception(error)
            self._waiting.clear()

    async def _ask_once(self) -> None:
        asked = list(self._waiting)
        try:
            known = await self._ask(asked, LIMIT_S)
            upto = time.monotonic()
        except Problem as problem:
            logger.warning("postgres_unreachable", reason=problem.detail)
            known, upto = {}, float("inf")
        for delivery_id in asked:
            future, until = self._waiting[delivery_id]
            contact = known.get(delivery_id)
            if contact is not None or until <= upto:
                del self._waiting[delivery_id]
                future.set_result(contact)
