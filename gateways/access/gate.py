"""The gate: before any handler runs, it finds the request's door in the table and lets through whoever may.

It looks at the application's own routes, in the router's order and with the router's patterns, so that the door it
judges by is the route that will answer. A route without a row keeps the gateway from starting.
"""

import re
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette._utils import get_route_path
from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from dispatch.log.errors import Misconfigured
from gateways import problems
from gateways.access.doors import DOORS, Door
from gateways.access.ownership import NEEDS, Asked, Deliveries, check, wants_body
from gateways.access.principal import NOBODY
from gateways.access.sign_in import SignIn
from gateways.problems import Problem


@dataclass(frozen=True, slots=True)
class Doorway:
    """A route of the application with its rows in the table."""

    pattern: re.Pattern[str]
    doors: dict[str, Door]
    """By method; SOCKET for a WebSocket."""


def doorways(app: FastAPI, table: Iterable[Door] = DOORS) -> list[Doorway]:
    """Every route with its doors. Raises Misconfigured for a route without one, and for rows that contradict it."""
    rows: dict[tuple[str, str], Door] = {}
    for door in table:
        if (door.method, door.path) in rows:
            raise Misconfigured(f"{door.method} {door.path} is in the table of doors twice")
        needed = NEEDS.get(door.owner)
        if needed and f"{{{needed}}}" not in door.path:
            raise Misconfigured(f"{door.method} {door.path} is owned by {door.owner}, but names no {{{needed}}}")
        rows[door.method, door.path] = door
    found = []
    for route in iter_route_contexts(app.routes):
        if route.path is None or isinstance(route.original_route, Mount):
            raise Misconfigured(f"a mounted application at {route.path} cannot be guarded; give it routes")
        methods = (route.methods or {"SOCKET"}) - {"HEAD"}
        missing = [method for method in sorted(methods) if (method, route.path) not in rows]
        if missing:
            raise Misconfigured(f"{missing[0]} {route.path} has no row in gateways/access/doors.py")
        doors = {method: rows[method, route.path] for method in methods}
        if "HEAD" in (route.methods or ()):
            doors["HEAD"] = doors["GET"]
        found.append(Doorway(route.path_regex, doors))
    return found


class Gate:
    """Lets a request through to its handler with `state.principal` and `state.door` set, or answers it."""

    def __init__(self, app: ASGIApp, sign_in: SignIn, deliveries: Deliveries) -> None:
        self._app, self._sign_in, self._deliveries = app, sign_in, deliveries
        self._doorways: list[Doorway] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one socket's opening, or the process' life, at whose start the table is held to the routes."""
        if self._doorways is None:
            self._doorways = doorways(scope["app"])
        found = self._found(scope)
        if found is None:  # no such page, or not with this method: the router says so
            await self._app(scope, receive, send)
            return
        door, path = found
        connection = HTTPConnection(scope)
        try:
            receive = await self._open(door, path, connection, receive)
        except Problem as problem:
            await problems.refuse(problem, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _found(self, scope: Scope) -> tuple[Door, dict[str, str]] | None:
        if scope["type"] not in ("http", "websocket"):
            return None
        method = "SOCKET" if scope["type"] == "websocket" else scope["method"]
        asked = get_route_path(scope)
        for doorway in self._doorways or ():
            if method in doorway.doors and (match := doorway.pattern.match(asked)):
                return doorway.doors[method], match.groupdict()
        return None

    async def _open(self, door: Door, path: dict[str, str], connection: HTTPConnection, receive: Receive) -> Receive:
        """Where the rest of the request is read from. Raises Problem."""
        sign_in = self._sign_in
        connection.state.door = door
        signs_in = door.roles and "token" not in path
        who = await sign_in.who(connection) if signs_in or sign_in.open else NOBODY
        body = None
        if wants_body(door, who):
            body, receive = await _read(receive, door.body_max)
        asked = Asked(path, QueryParams(connection.scope.get("query_string", b"")), body)
        connection.state.principal = await check(door, who, asked, self._deliveries, sign_in)
        return receive


async def _read(receive: Receive, body_max: int) -> tuple[bytes, Receive]:
    """The body, and a place where it is read from again."""
    kept: list[MutableMapping[str, Any]] = []
    size = 0
    while True:
        message = await receive()
        kept.append(message)
        size += len(message.get("body", b""))
        if size > body_max:
            raise Problem(413, "too_large", f"The body has more than {body_max} bytes.")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    body = b"".join(message.get("body", b"") for message in kept)

    async def again() -> MutableMapping[str, Any]:
        return kept.pop(0) if kept else await receive()

    return body, again
