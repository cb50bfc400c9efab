"""One driver's connection: what waits to be sent, and its end. At rest it has no task but the one that listens."""

import asyncio
from collections import deque
from typing import Any

import orjson
from fastapi import WebSocket, WebSocketDisconnect

from dispatch.metrics.gateway import MESSAGES, SOCKETS_CLOSED, SOCKETS_ENDED
from gateways.sockets.positions import Position
from gateways.sockets.words import Message

QUEUE = 256
"""Messages that may wait for one reader."""
CLOSE_S = 5.0
"""How long a reader who takes nothing may keep the closing waiting."""
UNAUTHORIZED, TOO_SLOW, REPLACED, RESTARTING = 4401, 4008, 4409, 1012
_HOW = {UNAUTHORIZED: "expired", TOO_SLOW: "dropped", REPLACED: "replaced", RESTARTING: "restarted"}
_LOST = 1006
"""What the server says of a connection that ended without a close frame."""
Waiting = bytes | asyncio.Task[bytes]
"""A message, or one that waits for its contact."""


class Connection:
    """An accepted socket. `tell` never waits; the task that sends lives while there is something to send."""

    __slots__ = (
        "_closed",
        "_closing",
        "_outbox",
        "_sender",
        "_socket",
        "_task",
        "acked",
        "beat_at_s",
        "connection_id",
        "device",
        "driver_id",
        "expires_at_ms",
        "fault",
        "later",
        "opened_at_ms",
        "over",
        "position",
        "signed_in",
        "told",
        "warned",
    )  # fmt: skip

    def __init__(self, socket: WebSocket, driver_id: str, device: str, connection_id: str, position: Position) -> None:
        self._socket, self.driver_id, self.device, self.connection_id = socket, driver_id, device, connection_id
        self.position = position
        self.later: list[tuple[int, int, Any]] | None = []
        """What is heard before the beginning is told: topic, offset, record. None: it is told."""
        self.told: frozenset[tuple[str, str]] = frozenset()
        """What the beginning told of: "offer" or "held", and the offer's id."""
        self.acked = ""
        self.opened_at_ms = 0
        self.signed_in = ("", "")
        """Role and subject of whoever opened it: only their tokens renew it."""
        self.expires_at_ms: int | None = None
        self.warned = False
        self.beat_at_s = 0.0
        self._outbox: deque[Waiting] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._closing: tuple[int, str] | None = None
        self._closed = False
        """The other side was told."""
        self._task = asyncio.current_task()
        self.over = False
        """The listening task was ended from here: by a reader who takes nothing, or by a fault."""
        self.fault: BaseException | None = None

    def tell(self, message: Message | Waiting) -> None:
        """Queues a message; a reader who lets too many wait is dropped."""
        if self._closing is not None:
            return
        if len(self._outbox) >= QUEUE:
            self.close(TOO_SLOW, "too slow a reader")
            return
        self._outbox.append(orjson.dumps(message) if isinstance(message, dict) else message)
        if self._sender is None:
            self._wake()

    def crowded(self) -> bool:
        """Whether so much waits that an answer would be one too many."""
        return len(self._outbox) >= QUEUE - 1

    def close(self, code: int, reason: str) -> None:
        """Ends it, with a reason, as soon as what is being sent is sent; what waits is dropped."""
        if self._closing is None:
            self._closing = code, reason
            self._outbox.clear()
            SOCKETS_CLOSED.labels(str(code)).inc()
            if self._sender is None:
                self._wake()
            asyncio.get_running_loop().call_later(CLOSE_S, self._give_up)

    def ended(self, code: int | None) -> None:
        """Counts how it ended; the code of the other side's end, None: it did not come to that."""
        if self.fault is not None:
            how = "fault"
        elif self._closing is not None:
            how = _HOW.get(self._closing[0], "fault")
        else:
            how = _HOW.get(code or 0, "lost" if code in (_LOST, None) else "left")
        SOCKETS_ENDED.labels(how).inc()

    def leave(self) -> None:
        """The other side is gone: nothing is sent any more."""
        self._closing, self._closed = self._closing or (1000, ""), True
        self._outbox.clear()
        if self._sender is not None:
            self._sender.cancel()

    def failed(self, task: "asyncio.Task[None]") -> None:
        """Of a task that works for this connection: a fault ends it, and is not passed over."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.fault = fault
            self._end()

    def _wake(self) -> None:
        self._sender = asyncio.create_task(self._send())
        self._sender.add_done_callback(self._rest)

    def _rest(self, sender: "asyncio.Task[None]") -> None:
        self._sender = None
        self.failed(sender)
        left = self._outbox or (self._closing is not None and not self._closed)
        if left and self.fault is None and not sender.cancelled():
            self._wake()

    def _give_up(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            self._end()

    def _end(self) -> None:
        self.over = True
        if self._task is not None:
            self._task.cancel()

    async def _send(self) -> None:
        try:
            while self._outbox:
                message = self._outbox.popleft()
                whole = message if isinstance(message, bytes) else await asyncio.shield(message)
                await self._socket.send_text(whole.decode())
                MESSAGES.inc()
            if self._closing is not None:
                self._closed = True
                await self._socket.close(*self._closing)
        except WebSocketDisconnect:
            self._closed = True
            self._outbox.clear()
