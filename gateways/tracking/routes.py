"""Doors of those who follow: status, place, links, streams, the live map."""

import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response

from dispatch.config import Settings
from dispatch.contract import identity
from gateways.access import principal
from gateways.access.principal import Principal
from gateways.commands import json, now_ms
from gateways.log_client import LogClient
from gateways.models import Id
from gateways.problems import unreachable
from gateways.reads import Reads
from gateways.tracking import words
from gateways.tracking.desk import Operations, Reader
from gateways.tracking.feed import Feed
from gateways.tracking.following import Following, position
from gateways.tracking.links import Links, unknown_order
from gateways.tracking.streams import OF_ONE, OF_SERVICE, EventStream, Readers, last_event_id
from projections import queries_tracking as queries

Token = Annotated[str, Path(description="As it stands in a tracking URL.")]
Still = Callable[[], Awaitable[str]]
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
_MAP_AT_ONCE = 5_000
_SERVICE = "order_service "
_NO_MORE = 204
"""Tells an EventSource not to come again."""


class Tracking:
    """All of it for one gateway, between `start` and `stop`."""

    def __init__(self, settings: Settings, log: LogClient, reads: Reads) -> None:
        base = settings.tracking_url or f"http://{settings.gateway_host}:{settings.gateway_port}/v2/track/"
        self.reads = reads
        self.links = Links(log, reads, base, settings.tracking_after_s)
        self.readers = Readers()
        self.operations = Operations(reads, settings.kafka, settings.namespace)
        self.feed = Feed(settings.kafka, settings.namespace, self.operations)

    def start(self) -> None:
        """Begins to read the log. On the event loop."""
        self.operations.start()
        self.feed.start()

    async def stop(self) -> None:
        """Ends it."""
        self.readers.let_all_go()
        self.feed.stop()
        await self.operations.stop()

    def parts(self) -> dict[str, str]:
        """For /ready."""
        return {"streams": self.feed.state}

    def open(self, app: FastAPI) -> None:
        """Adds the routes."""
        app.include_router(_of_orders(self))
        app.include_router(_of_links(self))
        app.include_router(_of_operations(self))

    async def row(self, delivery_id: str) -> dict[str, Any]:
        """A delivery with driver and place. Raises Problem 404."""
        row = await self.reads.ask(queries.status, delivery_id) if _UUID.fullmatch(delivery_id) else None
        if row is None:
            raise unknown_order()
        found: dict[str, Any] = row
        return found

    async def status(self, delivery_id: str, url: str | None) -> Response:
        """The answer with a delivery's status."""
        row = await self.row(delivery_id)
        return json(words.status(row, datetime.now(UTC), tracking_url=url))

    async def follow(self, request: Request, delivery_id: str, whose: str, still: Still, url: str | None) -> Response:
        """The answer that is a delivery's stream; 204 for a reader who has all of one that ended."""
        row = await self.row(delivery_id)
        last = position(last_event_id(request))
        if last is not None and row["ended_at"] is not None and last >= (row["version"], 0):
            return Response(status_code=_NO_MORE)
        following = Following(self.reads, self.feed, delivery_id, still, url)
        return self._stream("tracking", whose, following.waiting, following.messages(last), following.reason)

    def watch(self, request: Request, reader: Reader) -> Response:
        """The answer that is operations' stream."""
        if not self.operations.knows_the_log:
            raise unreachable("Kafka")
        who = principal.of(request)
        source = self.operations.messages(reader, last_event_id(request), _signed_in(who))
        return self._stream("operations", _name(who), reader.waiting, source, lambda: reader.waiting.over)

    def _stream(self, kind: str, whose: str, waiting: Any, source: Any, reason: Callable[[], str]) -> Response:
        self.readers.check(whose, OF_SERVICE if whose.startswith(_SERVICE) else OF_ONE)
        return EventStream(kind, source, reason, lambda: self.readers.one_more(whose, waiting))


def _of_orders(tracking: Tracking) -> APIRouter:
    router = APIRouter(tags=["tracking"])

    @router.get("/v2/orders/{delivery_id}/delivery-status")
    async def delivery_status(delivery_id: Id) -> Response:
        """Status in public words, driver and place from assignment to hand-over, both arrivals with their bands."""
        return await tracking.status(delivery_id, None)

    @router.get("/v2/orders/{seller_id}/{seller_order_id}/delivery-status")
    async def order_status(seller_id: Id, seller_order_id: Id) -> Response:
        """The same by the seller's own number."""
        return await tracking.status(identity.delivery_id(seller_id, seller_order_id), None)

    @router.get("/v2/deliveries/{delivery_id}/location")
    async def location(delivery_id: Id) -> Response:
        """Where its driver is, with accuracy in metres and age; null when nobody has it or knows."""
        row = await tracking.row(delivery_id)
        shown = row["status"] in queries.SHOWN
        where = words.location(row, datetime.now(UTC)) if shown else None
        return json({"delivery_id": delivery_id, "status": row["status"], "location": where})

    @router.get("/v2/orders/{delivery_id}/events")
    async def events(delivery_id: Id, request: Request) -> Response:
        """Server-sent events of one delivery, until it ends; Last-Event-ID goes on after what was read."""
        who = principal.of(request)
        return await tracking.follow(request, delivery_id, _name(who), _signed_in(who), None)

    return router


def _of_links(tracking: Tracking) -> APIRouter:
    router = APIRouter(tags=["tracking"])
    links = tracking.links

    @router.post("/v2/deliveries/{delivery_id}/tracking-links", status_code=201)
    async def link(delivery_id: Id, request: Request) -> Response:
        """A new link for the customer. Its token is shown now and never again; only its hash is kept."""
        await tracking.row(delivery_id)
        request.state.keep_answer = False  # the token is kept nowhere
        made = await links.issue(delivery_id, principal.of(request).subject)
        await links.opened(made)
        expires = words.iso(made.expires_at_ms)
        return json({"delivery_id": delivery_id, "tracking_url": made.url, "token": made.token, "expires_at": expires},
                    201)  # fmt: skip

    @router.delete("/v2/deliveries/{delivery_id}/tracking-links")
    async def revoke(delivery_id: Id, request: Request) -> Response:
        """None of the delivery's links opens anything from some seconds on."""
        await tracking.row(delivery_id)
        revoked = await links.revoke(delivery_id, principal.of(request).subject)
        return json({"delivery_id": delivery_id, "revoked": revoked})

    @router.get("/v2/track/{token}")
    async def track(token: Token, request: Request) -> Response:
        """The delivery that a tracking URL is about."""
        return await tracking.status(principal.of(request).delivery_id, links.url_of(token))

    @router.get("/v2/track/{token}/events")
    async def track_events(token: Token, request: Request) -> Response:
        """The same as server-sent events."""

        async def still() -> str:
            return "" if await links.still(token) else "link_ended"

        delivery_id = principal.of(request).delivery_id
        return await tracking.follow(request, delivery_id, f"link {delivery_id}", still, links.url_of(token))

    return router


def _of_operations(tracking: Tracking) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/v2/admin/events")
    async def watch(
        request: Request,
        zone: Annotated[list[str], Query(max_length=100, description="Only these; may come several times.")] = [],  # noqa: B006
        locations: bool = False,
    ) -> Response:
        """Server-sent events for operations. With `locations`, where drivers are, once a second."""
        return tracking.watch(request, Reader(frozenset(zone), locations))

    @router.get("/v2/admin/live-map")
    async def live_map(
        south: Annotated[float, Query(ge=-90, le=90)] = -90, north: Annotated[float, Query(ge=-90, le=90)] = 90,
        west: Annotated[float, Query(ge=-180, le=180)] = -180, east: Annotated[float, Query(ge=-180, le=180)] = 180,
        limit: Annotated[int, Query(ge=1, le=_MAP_AT_ONCE)] = 2_000,
    ) -> Response:  # fmt: skip
        """Drivers on duty with place, state and deliveries in hand, and orders that wait, within a box."""
        drivers, waiting = await tracking.reads.ask(queries.live_map, (south, north, west, east), limit)
        now = datetime.now(UTC)
        return json({
            "at": words.iso(now_ms()),
            "drivers": [words.on_map(row, now) for row in drivers],
            "waiting": [words.waiting_on_map(row, now) for row in waiting],
            "more": limit in (len(drivers), len(waiting)),
        })  # fmt: skip

    return router


def _name(who: Principal) -> str:
    return f"{who.role} {who.subject}"


def _signed_in(who: Principal) -> Still:
    """Whether the token that opened a stream has not ended."""

    async def still() -> str:
        ended = who.expires_at_ms is not None and time.time() * 1000 >= who.expires_at_ms
        return "token_ended" if ended else ""

    return still
