"""Server-sent events: what waits for one reader, how it is written, and when a reader is let go.

The format is that of the HTML standard, section 9.2: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dispatch.metrics.gateway import STREAMS, STREAMS_ENDED
from gateways.problems import Problem

WAITING = 500
"""Messages that may wait for one reader."""
SEND_S = 20.0
"""How long a reader may take nothing at all."""
OF_ONE, OF_SERVICE, OF_ALL = 10, 500, 5_000
"""Streams of one person or link at once, of one order service, and of one gateway."""
HEARTBEAT = b": here\n\n"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no", "content-type": "text/event-stream; charset=utf-8"}


def message(name: str, data: Any, event_id: str = "") -> bytes:
    """One message. Without an id the reader's Last-Event-ID stays as it was."""
    head = f"id: {event_id}\nevent: {name}\ndata: " if event_id else f"event: {name}\ndata: "
    return head.encode() + orjson.dumps(data) + b"\n\n"


def closed(reason: str) -> bytes:
    """The last message: why the stream ends."""
    return message("closed", {"reason": reason})


class Waiting:
    """What waits for one reader, bounded. On the event loop only."""

    def __init__(self, most: int = WAITING) -> None:
        self._most = most
        self._items: deque[Any] = deque()
        self._there = asyncio.Event()
        self.place: Any = None
        """The last place of the driver who is followed; one that was not read yet makes room for the next."""
        self.over = ""
        """Why the reader is let go."""

    def put(self, item: Any) -> None:
        """Adds one; a reader for whom too many wait is let go, and what waited is dropped."""
        if self.over:
            return
        if len(self._items) >= self._most:
            self.end("too_slow")
            return
        self._items.append(item)
        self._there.set()

    def put_place(self, place: Any) -> None:
        """In place of the one before."""
        if not self.over:
            self.place = place
            self._there.set()

    def end(self, reason: str) -> None:
        """Lets the reader go, with a reason."""
        self.over = self.over or reason
        self._items.clear()
        self._there.set()

    async def some(self, within_s: float) -> list[Any]:
        """All that waits, once something does or the time is over."""
        if not self._items and not self.over:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._there.wait(), max(0.0, within_s))
        self._there.clear()
        items = list(self._items)
        self._items.clear()
        return items


class Readers:
    """Counts streams, and lets all go when the gateway ends."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._waiting: set[Waiting] = set()
        self._ending = False

    @contextmanager
    def one_more(self, whose: str, waiting: Waiting) -> Iterator[None]:
        """While a stream is open."""
        self._open[whose] += 1
        self._waiting.add(waiting)
        try:
            yield
        finally:
            self._waiting.discard(waiting)
            self._open[whose] -= 1
            if not self._open[whose]:
                del self._open[whose]

    def check(self, whose: str, most: int = OF_ONE) -> None:
        """Raises Problem 429 or 503 when there is no room for one more."""
        if self._ending or len(self._waiting) >= OF_ALL:
            problem = Problem(503, "no_room", f"This gateway has {len(self._waiting)} streams; try again.")
        elif self._open[whose] >= most:
            problem = Problem(429, "too_many_streams", f"{most} streams are open already; close one first.")
        else:
            return
        problem.headers = {"retry-after": "5"}
        raise problem

    def let_all_go(self) -> None:
        """Every stream ends with a reason; readers come again elsewhere with their Last-Event-ID."""
        self._ending = True
        for waiting in list(self._waiting):
            waiting.end("gateway_ends")


class EventStream(Response):
    """A response that goes on until its source ends, the reader is gone, or takes nothing for SEND_S."""

    def __init__(self, kind: str, source: AsyncIterator[bytes], done: Callable[[], str],
                 room: Callable[[], AbstractContextManager[None]]) -> None:  # fmt: skip
        super().__init__(b"", 200, HEADERS)
        del self.headers["content-length"]
        self._kind, self._source, self._done, self._room = kind, source, done, room
        self.send_s = SEND_S

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Writes until one side ends."""
        with self._room():
            await self._serve(receive, send)

    async def _serve(self, receive: Receive, send: Send) -> None:
        STREAMS.labels(self._kind).inc()
        reason = "reader_gone"
        writing = asyncio.create_task(self._write(send))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({writing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                reason = writing.result() or self._done()
        finally:
            for side in (writing, gone):
                side.cancel()
            await asyncio.gather(writing, gone, return_exceptions=True)
            await self._source.aclose()  # type: ignore[attr-defined]
            STREAMS.labels(self._kind).dec()
            STREAMS_ENDED.labels(self._kind, reason).inc()

    async def _write(self, send: Send) -> str:
        """Why it ended, as far as writing shows; empty: the source ended."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for chunk in self._source:
                async with asyncio.timeout(self.send_s):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            return "took_nothing"
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return ""


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def last_event_id(request: Request) -> str:
    """What the reader has already; empty: nothing."""
    return request.headers.get("last-event-id", "")
