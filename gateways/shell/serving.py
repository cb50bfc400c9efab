"""The server under the application: uvicorn with limits that it has not, and an end that lets requests finish."""

import asyncio
import logging
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dispatch.config import Settings
from dispatch.log import logs
from gateways.shell.draining import Drain

HEAD_S = 10.0
"""A request's head is whole within this, also the first after a connection was made."""
HEAD_BYTES_MAX = 65_536
"""Of a head that has not ended; of a whole one gateways.shell.heads asks less."""
KEEP_ALIVE_S = 15
LAST_S = 0.5
"""So long a connection without a request is kept open at the end."""
SOCKET_MESSAGE_MAX = 65_536
_TOO_MUCH = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)  # fmt: skip
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
logger = logs.get("gateways.shell")


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose head is too long or too slow; httptools would gather it without an end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head, self._head_bytes = True, 0
        self._asked, self._ending = False, False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A head is awaited from here on."""
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        """The next request of the connection."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._await_head()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head, self._asked = False, True
        self._end_timer()
        super().on_headers_complete()
        if self._ending and self.cycle is not None:  # a socket has none
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        """Counts what is not yet a head."""
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._end_with(_TOO_MUCH)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._end_timer()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends. Who has just connected is about to ask, and is still answered."""
        if not self._asked and not self.transport.is_closing():
            self._ending = True
            self.loop.call_later(LAST_S, self._end_unasked)
        else:
            super().shutdown()

    def _end_unasked(self) -> None:
        if not self._asked and not self.transport.is_closing():
            self.transport.close()

    def _await_head(self) -> None:
        self._end_timer()
        self._head_timer = self.loop.call_later(HEAD_S, self._end_with, _TOO_SLOW)

    def _end_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_with(self, answer: bytes) -> None:
        """A request before it on the same connection that is not answered yet has the right of way."""
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(answer)
            self.transport.close()


class Server(uvicorn.Server):
    """Goes on listening for a moment after it was asked to end, with /ready at 503."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now; asked ten times a second."""
        ending = await super().on_tick(counter)
        if not ending or self.force_exit:
            return ending
        if not self._drain.begun:
            logger.info("draining", in_flight=len(self.server_state.tasks))
            self._drain.begin()
        return self._drain.over


def _is_no_fault(record: logging.LogRecord) -> bool:
    """uvicorn takes a socket that was answered with a problem for one that the application forgot."""
    return "without completing handshake" not in record.getMessage()


def server(app: FastAPI, settings: Settings, **more: Any) -> Server:
    """The server of an application made by `create_app`."""
    config = uvicorn.Config(
        app,
        host=settings.gateway_host,
        port=settings.gateway_port,
        log_level="warning",
        access_log=False,
        http=BoundedProtocol,
        ws="websockets-sansio",
        ws_max_size=SOCKET_MESSAGE_MAX,
        ws_per_message_deflate=False,  # a compressor a socket is 40 KB, for messages of a few hundred bytes
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies.split() or None,
        limit_concurrency=settings.connections_max,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_limit_s,
        **more,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_fault)
    return Server(config, app.state.drain)
