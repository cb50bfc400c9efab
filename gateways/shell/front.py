"""The outer shell: an id for every request, limits, headers of every answer, one log line, one count.

Whatever a handler did not expect ends here as a problem without its message, which may quote personal data.
"""

import asyncio
import re
import time
import uuid
from typing import Any

import structlog
from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from dispatch.config import Settings
from dispatch.log import logs
from dispatch.metrics import gateway as metrics
from gateways import problems
from gateways.access.doors import Door
from gateways.problems import Problem
from gateways.shell import bodies, heads, origins
from gateways.shell.draining import Drain
from gateways.shell.rates import Refusals, address_of
from gateways.shell.routing import DoorIndex

BODY_MAX = 65_536
"""Bytes, where no door says otherwise."""
_CLIENT_GONE = 499
_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_OF_EVERY_ANSWER = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_OF_THE_PROCESS = ("/health", "/ready", "/metrics")
_LOGGED_FROM = {"all": 0, "failures": 400, "none": 1_000}
logger = logs.get("gateways.shell")


class BrokenOff(Exception):
    """An answer that had begun cannot be ended; what was wrong is in the log."""


class Front:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, settings: Settings, drain: Drain, index: DoorIndex) -> None:
        self._app, self._drain, self._index = app, drain, index
        self._origins = origins.allowed_from(settings.cors_origins)
        self._body_timeout_s, self._timeout_s = settings.body_timeout_s, settings.request_timeout_s
        self._in_flight_max, self._in_flight = settings.requests_at_once, 0
        self._headers = (*_OF_EVERY_ANSWER, _HSTS) if settings.behind_tls else _OF_EVERY_ANSWER
        self._logged_from = _LOGGED_FROM[settings.access_log]
        self._refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        asked = heads.one(scope["headers"], b"x-request-id")
        state["request_id"] = asked if _ID.match(asked) else uuid.uuid4().hex
        state["door"] = self._index.find("SOCKET" if scope["type"] == "websocket" else scope["method"], scope["path"])
        with structlog.contextvars.bound_contextvars(request_id=state["request_id"]):
            await (self._socket if scope["type"] == "websocket" else self._request)(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = heads.refused(dict(scope)) or origins.refused("SOCKET", scope["headers"], self._origins)
        if problem is not None:
            metrics.REQUESTS.labels(_named(scope), "SOCKET", problem.status).inc()
            await problems.refuse(problem, scope, receive, send)
            return
        metrics.SOCKETS.inc()
        try:
            await self._app(scope, receive, send)
        except WebSocketDisconnect:
            return
        except Problem as raised:
            await problems.refuse(raised, scope, receive, send)
        except Exception as error:  # noqa: BLE001  # as for requests: the server would print its message
            problems.log_fault(HTTPConnection(scope), error)
            raise BrokenOff from None
        finally:
            metrics.SOCKETS.dec()

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        answer = _Answer(scope, send, self._headers, closing=self._drain.begun)
        self._in_flight += 1
        metrics.IN_FLIGHT.inc()
        try:
            await self._answered(scope, receive, answer)
        finally:
            self._in_flight -= 1
            metrics.IN_FLIGHT.dec()
            self._note(scope, answer.status or _CLIENT_GONE, time.perf_counter() - begun)

    async def _answered(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        request = Request(scope)
        try:
            problem = self._refused(scope)
            if problem is None:
                await self._handled(scope, receive, answer)
                if answer.status == 401:
                    self._refusals.note(address_of(scope))
                return
        except Problem as raised:
            problem = raised
        except bodies.ClientGone:
            return
        except Exception as error:  # noqa: BLE001  # the last place: what goes on from here is printed with its message
            if answer.status:
                problems.log_fault(request, error)
                raise BrokenOff from None
            await (await problems.on_fault(request, error))(scope, receive, answer.send)
            return
        await problems.respond(request, problem)(scope, receive, answer.send)

    def _refused(self, scope: Scope) -> Problem | None:
        if (problem := heads.refused(dict(scope))) is not None:
            problem.headers = {"connection": "close"}
            return problem
        if scope["path"] in _OF_THE_PROCESS:
            return None
        if self._in_flight > self._in_flight_max:
            return problems.overloaded()
        return self._refusals.refused(address_of(scope)) or origins.refused(
            scope["method"], scope["headers"], self._origins
        )

    async def _handled(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        """The handler's answer, once the body is whole and within the time of a request. A stream has no end."""
        door: Door | None = scope["state"]["door"]
        limit = door.body_max if door is not None else BODY_MAX
        body = await bodies.whole(scope["headers"], receive, limit, self._body_timeout_s)
        if (problem := bodies.too_deep(body)) is not None:
            raise problem
        scope["state"]["body"] = body
        deadline = asyncio.timeout(None if door is not None and door.rate == "stream" else self._timeout_s)
        try:
            async with deadline:
                await self._app(scope, bodies.replayed(body, receive), answer.send)
        except TimeoutError as error:
            if answer.status or not deadline.expired():
                raise
            problem = Problem(504, "timed_out", f"There was no answer within {self._timeout_s:g} s; try again.")
            problem.headers = {"retry-after": "1"}
            raise problem from error

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        row: Door | None = scope["state"]["door"]
        door, method = _named(scope), scope["method"] if row else "other"
        metrics.REQUESTS.labels(door, method, status).inc()
        if row is None or row.rate != "stream":  # a stream lasts as long as its reader likes
            metrics.SECONDS.labels(door).observe(seconds)
        if status < self._logged_from or (status == 200 and door in _OF_THE_PROCESS):
            return
        role = getattr(scope["state"].get("principal"), "role", "")
        logger.info("request", door=door, method=method, status=status, ms=round(seconds * 1000, 1), role=role)


class _Answer:
    """What goes out, with the headers of every answer added where the handler set none of its own."""

    def __init__(self, scope: Scope, send: Send, headers: tuple[tuple[bytes, bytes], ...], *, closing: bool) -> None:
        self._send, self._closing = send, closing
        self._headers = (*headers, (b"x-request-id", scope["state"]["request_id"].encode()))
        self.status = 0

    async def send(self, message: Message) -> None:
        """One message of the handler."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given: list[Any] = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            given += [header for header in self._headers if header[0] not in names]
            if self._closing and b"connection" not in names:
                given.append((b"connection", b"close"))
            message = {**message, "headers": given}
        await self._send(message)


def _named(scope: Scope) -> str:
    door: Door | None = scope["state"]["door"]
    return door.path if door is not None else "unknown"
