"""The application: routes, errors, health, and what stands before every handler."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from dispatch import __version__
from dispatch.config import Settings
from dispatch.contract.errors import OutOfLimits
from gateways import admin, drivers, locations, operations, orders, problems, sockets, webhooks
from gateways.access.api_keys import ApiKeys
from gateways.access.gate import Gate, doorways
from gateways.access.sign_in import sign_in_of
from gateways.commands import Commander, json
from gateways.commerce.service import Commerce
from gateways.documents import routes as documents
from gateways.log_client import LogClient
from gateways.reads import Reads
from gateways.rules import RulesInForce
from gateways.shell import Shell
from gateways.tracking.routes import Tracking


def create_app(settings: Settings) -> FastAPI:
    """The gateway of these settings; it connects when it starts."""
    reads = Reads(settings.postgres)
    listeners = sockets.Sockets(
        reads,
        sockets.Terms(settings.kafka, settings.namespace, settings.valkey, settings.slot, settings.socket_devices),
    )
    log = LogClient(settings.kafka, settings.namespace, settings.slot)
    in_force = RulesInForce(settings.kafka, settings.namespace)
    places = locations.Locations(log, in_force.rules)
    listeners.heard_by(places)
    commander = Commander(log, settings.reply_timeout_s)
    shell = Shell(settings)
    tracking = Tracking(settings, log, reads)
    shell.drain.on_begin(tracking.readers.let_all_go)
    commerce = Commerce(settings, in_force)

    api_keys = ApiKeys(settings.kafka, settings.namespace)
    sign_in = sign_in_of(settings, api_keys)
    sign_in.tracking = tracking.links.delivery_of
    shell.drain.on_begin(listeners.go)
    listeners.renew = None if sign_in.open else sign_in.token

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await reads.open()
        await shell.open()
        in_force.start()
        commerce.start()
        api_keys.start()
        log.start()
        listeners.start()
        tracking.start()
        yield
        await tracking.stop()
        await listeners.stop()
        in_force.stop()
        commerce.stop()
        api_keys.stop()
        await sign_in.close()
        log.stop()
        await shell.close()
        await reads.close()

    app = FastAPI(
        title="Baton", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    for kind, handler in (
        (problems.Problem, problems.on_problem), (OutOfLimits, problems.on_limits),
        (RequestValidationError, problems.on_validation), (HTTPException, problems.on_http),
    ):  # fmt: skip
        app.add_exception_handler(kind, handler)

    app.state.sign_in = sign_in
    app.state.pins = commerce.pins
    shell.stand_behind_the_gate(app)
    app.add_middleware(Gate, sign_in=sign_in, deliveries=reads)
    shell.stand_around(app)

    async def parts() -> dict[str, str]:
        return {**log.parts(), **listeners.parts(), **tracking.parts(), "postgres": await reads.state()}

    @app.get("/health")
    async def health() -> Response:
        states = await parts()
        word = "up" if all(state == "up" for state in states.values()) else "degraded"
        return json({"status": word, "parts": states})

    @app.get("/ready")
    async def ready() -> Response:
        if shell.drain.begun:
            return json({"status": "draining", "parts": {}}, 503)
        states = await parts()
        up = all(state == "up" for state in states.values())
        return json({"status": "up" if up else "degraded", "parts": states}, 200 if up else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.include_router(orders.routes(commander, tracking.links))
    app.include_router(drivers.routes(commander, reads, listeners))
    app.include_router(locations.routes(places))
    app.include_router(admin.routes(commander, reads))
    app.include_router(operations.routes(settings, commander, reads, commerce.zones_of))
    app.include_router(sockets.routes(listeners))
    app.include_router(sockets.broadcast_routes(sockets.Broadcasts(log, listeners.sessions, commerce.knows_zone)))
    app.include_router(commerce.routes(commander, reads))
    app.include_router(webhooks.routes(webhooks.Webhooks(settings, reads)))
    tracking.open(app)
    documents.attach(app)  # after all other routes
    doorways(app)  # a route without a row in the table of doors does not start
    return app
