"""Who is near a place, asked beside the event loop: what is asked at the same time goes in one round trip."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from dispatch.core.facts import SearchNeed, SearchResult
from gateways.problems import Problem

MOST_WAITING = 256
"""Questions at once; more are told to come again."""


class Index(Protocol):
    """The index of drivers."""

    def search(self, needs: Sequence[SearchNeed]) -> Sequence[SearchResult]:
        """All answers, in order; never raises."""

    def close(self) -> None:
        """Lets connections go."""


class Near:
    """Asks the index in one thread, batch after batch."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="near")
        self._waiting: list[tuple[SearchNeed, asyncio.Future[SearchResult]]] = []
        self._asking: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Takes nothing more."""
        self._thread.submit(self._index.close)
        self._thread.shutdown(wait=False)

    async def search(self, need: SearchNeed) -> SearchResult:
        """The answer. Raises Problem 503 when too many wait."""
        if len(self._waiting) >= MOST_WAITING:
            problem = Problem(503, "busy", "Too many ask who is near at the moment; try again.")
            problem.headers = {"retry-after": "1"}
            raise problem
        answer: asyncio.Future[SearchResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((need, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await answer

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                found = await loop.run_in_executor(self._thread, self._index.search, [need for need, _ in batch])
            except Exception as error:  # noqa: BLE001 - everybody who asked is told
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), result in zip(batch, found, strict=True):
                if not answer.done():
                    answer.set_result(result)
