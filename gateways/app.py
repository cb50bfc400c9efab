"""The application: routes, errors, health, limits on bodies."""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio as redis
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from dispatch import __version__
from dispatch.config import Settings
from dispatch.contract.errors import OutOfLimits
from gateways import admin, drivers, locations, orders, problems, sockets
from gateways.access.api_keys import ApiKeys
from gateways.access.gate import Gate
from gateways.access.sign_in import sign_in_of
from gateways.commands import Commander, json
from gateways.log_client import LogClient
from gateways.reads import Reads
from gateways.rules import RulesInForce

LARGEST_BODY = 65_536


class Bounded:
    """Refuses bodies too large or of no stated length, and words whatever a handler did not expect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; a socket passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, begun = Request(scope), False

        async def sent(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        if (refusal := _refused(request)) is not None:
            await problems.respond(request, refusal)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            if begun:
                raise
            await (await problems.on_fault(request, error))(scope, receive, send)


def _refused(request: Request) -> problems.Problem | None:
    length = request.headers.get("content-length", "0")
    if "chunked" in request.headers.get("transfer-encoding", ""):
        return problems.Problem(411, "length_required", "The body comes in chunks; it is wanted with a content-length.")
    if not length.isdigit() or int(length) > LARGEST_BODY:
        return problems.Problem(413, "too_large", f"The body has {length} bytes; at most {LARGEST_BODY} are taken.")
    return None


def create_app(settings: Settings) -> FastAPI:
    """The gateway of these settings; it connects when it starts."""
    reads = Reads(settings.postgres)
    listeners = sockets.Sockets(reads)
    log = LogClient(settings.kafka, settings.namespace, settings.slot, listeners)
    in_force = RulesInForce(settings.kafka, settings.namespace)
    places = locations.Locations(log, in_force.rules)
    listeners.heard_by(places)
    keys = redis.Redis.from_url(settings.valkey, socket_timeout=0.2) if settings.valkey else None
    commander = Commander(log, keys, settings.namespace, settings.reply_timeout_s)

    api_keys = ApiKeys(settings.kafka, settings.namespace)
    sign_in = sign_in_of(settings, api_keys)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await reads.open()
        in_force.start()
        api_keys.start()
        log.start()
        yield
        in_force.stop()
        api_keys.stop()
        log.stop()
        await reads.close()
        if keys is not None:
            await keys.aclose()

    app = FastAPI(title="Baton", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    for kind, handler in (
        (problems.Problem, problems.on_problem), (OutOfLimits, problems.on_limits),
        (RequestValidationError, problems.on_validation), (HTTPException, problems.on_http),
    ):  # fmt: skip
        app.add_exception_handler(kind, handler)

    app.state.sign_in = sign_in
    app.add_middleware(Gate, sign_in=sign_in, deliveries=reads)
    app.add_middleware(Bounded)

    async def parts() -> dict[str, str]:
        return {**log.parts(), "postgres": await reads.state()}

    @app.get("/health")
    async def health() -> Response:
        states = await parts()
        word = "up" if all(state == "up" for state in states.values()) else "degraded"
        return json({"status": word, "parts": states})

    @app.get("/ready")
    async def ready() -> Response:
        states = await parts()
        up = all(state == "up" for state in states.values())
        return json({"status": "up" if up else "degraded", "parts": states}, 200 if up else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.include_router(orders.routes(commander))
    app.include_router(drivers.routes(commander, reads, listeners))
    app.include_router(locations.routes(places))
    app.include_router(admin.routes(commander, reads))
    app.include_router(sockets.routes(listeners))
    return app
