"""What a driver is told of a delivery in hand waits for whom it goes to, and no longer than it is in hand."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from dispatch.contract.records.offers import DeliveryAssigned
from gateways.reads import handed_over
from gateways.sockets.words import Message

AskContact = Callable[[str], Awaitable[dict[str, Any] | None]]


class Handing:
    """Assignments whose contact is not known yet, by offer. On the event loop."""

    def __init__(self, ask: AskContact) -> None:
        self._ask = ask
        self._over: dict[str, asyncio.Future[None]] = {}

    def telling(self, assigned: DeliveryAssigned, message: Message) -> "asyncio.Task[bytes]":
        """The message once its contact is known, or without it once the assignment has ended."""
        over = self._over.setdefault(assigned.offer_id, asyncio.get_running_loop().create_future())
        return asyncio.create_task(self._told(assigned, message, over))

    def ended(self, offer_id: str) -> None:
        """Whoever waits for its contact has no use for it, and no right to it, any more: what comes next is told."""
        if (over := self._over.pop(offer_id, None)) is not None:
            over.set_result(None)

    async def _told(self, assigned: DeliveryAssigned, message: Message, over: "asyncio.Future[None]") -> bytes:
        asked = asyncio.ensure_future(self._ask(assigned.delivery_id))
        either: list[asyncio.Future[Any]] = [asked, over]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            contact = None if over.done() else asked.result()
        finally:
            asked.cancel()
            if self._over.get(assigned.offer_id) is over:
                del self._over[assigned.offer_id]
        return orjson.dumps(handed_over(message, contact))
