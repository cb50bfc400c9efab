"""Doors for sellers: where they are told what happens to their deliveries, what was tried, and telling it again."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from dispatch.config import Settings
from dispatch.contract import identity
from dispatch.webhooks import endpoints, kinds
from dispatch.webhooks.endpoints import Actor, Row, TooMany
from dispatch.webhooks.sealing import Seal, new_secret, seal_of
from dispatch.webhooks.targets import LONGEST_URL, Resolve, TargetRefused, check, resolved
from gateways.access import principal
from gateways.commands import json, now_ms
from gateways.models import Body, Identifier
from gateways.problems import Problem, unreachable
from gateways.reads import Reads

Url = Annotated[str, Field(min_length=1, max_length=LONGEST_URL, description="https://, of the public internet")]
EventType = Literal[kinds.TYPES]  # type: ignore[valid-type]
EventTypes = Annotated[list[EventType], Field(max_length=len(kinds.TYPES), description="Which are told; none: all.")]
Why = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$", description="Why; wanted of ops and admins.")]
Words = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
_SECRET = {"cache-control": "no-store"}


class EndpointBody(Body):
    """A new endpoint."""

    seller_id: Identifier
    url: Url
    event_types: EventTypes = Field([])
    description: Words = ""
    reason: Why = ""


class EndpointChange(Body):
    """What is to be otherwise."""

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Words | None = None
    reason: Why = ""


class WhyBody(Body):
    """Why, wanted of ops and admins."""

    reason: Why = ""


class EnableBody(WhyBody):
    """Whether what was missed is told now."""

    redeliver: bool = True


class Webhooks:
    """What the doors do. `resolve`: how a host's addresses are found."""

    def __init__(self, settings: Settings, reads: Reads, resolve: Resolve = resolved) -> None:
        self._settings, self._loopback = settings, settings.webhook_loopback
        self._reads, self._resolve = reads, resolve

    @cached_property
    def _seal(self) -> Seal:
        """Asked for when it is needed first: its key may be a file that is made then."""
        try:
            return seal_of(self._settings)
        except OSError as error:
            raise unreachable("The key that seals secrets") from error

    async def create(self, request: Request, body: EndpointBody) -> Row:
        """With its secret, which is not shown again."""
        actor = _actor(request, body.reason)
        _speaks_for(request, body.seller_id)
        target = await self._target(body.url)
        endpoint_id, secret = str(uuid.uuid4()), new_secret()
        row = {
            "endpoint_id": endpoint_id, "seller_id": body.seller_id, "url": target.url,
            "event_types": sorted(set(body.event_types)), "description": body.description,
            "secret": self._seal.sealed(secret, endpoint_id),
        }  # fmt: skip
        try:
            made = await self._reads.ask(endpoints.create, row, target.host, actor)
        except TooMany as error:
            detail = f"The seller has {endpoints.MOST_A_SELLER} endpoints; more are not taken."
            raise Problem(409, "too_many_endpoints", detail) from error
        return {**shown(made), "secret": secret}

    async def listed(self, request: Request, seller_id: str | None) -> list[Row]:
        """Those that the asker may see, of one seller if one is named."""
        who = principal.of(request)
        sellers = None if seller_id is None else [seller_id]
        if who.role == "order_service" and not who.all_sellers:
            sellers = sorted(who.sellers if seller_id is None else who.sellers & {seller_id})
        return [shown(row) for row in await self._reads.ask(endpoints.listed, sellers)]

    async def one(self, request: Request, endpoint_id: str) -> Row:
        """With what waits for it, and what was done with it."""
        found = await self._mine(request, endpoint_id)
        waiting = await self._reads.ask(endpoints.waiting, endpoint_id)
        changes = await self._reads.ask(endpoints.changes, endpoint_id)
        return {**shown(found), "messages": waiting, "changes": [shown(row) for row in changes]}

    async def change(self, request: Request, endpoint_id: str, body: EndpointChange) -> Row:
        """Another URL, other types, another description."""
        actor, was = _actor(request, body.reason), await self._mine(request, endpoint_id)
        values: Row = {}
        if body.url is not None:
            values["url"] = (await self._target(body.url)).url
        if body.event_types is not None:
            values["event_types"] = sorted(set(body.event_types))
        if body.description is not None:
            values["description"] = body.description
        host = _host(str(values.get("url", was["url"])))
        return shown(await self._reads.ask(endpoints.change, was, values, host, actor))

    async def delete(self, request: Request, endpoint_id: str, reason: str) -> None:
        """It is told nothing more."""
        actor, was = _actor(request, reason), await self._mine(request, endpoint_id)
        await self._reads.ask(endpoints.delete, was, _host(was["url"]), actor)

    async def rotate(self, request: Request, endpoint_id: str, reason: str) -> Row:
        """With the new secret, which is not shown again."""
        actor, was = _actor(request, reason), await self._mine(request, endpoint_id)
        secret = new_secret()
        sealed = self._seal.sealed(secret, endpoint_id)
        row = await self._reads.ask(endpoints.rotate, was, sealed, _host(was["url"]), actor)
        return {**shown(row), "secret": secret}

    async def enable(self, request: Request, endpoint_id: str, body: EnableBody) -> Row:
        """How many messages it is told now that it missed."""
        actor, was = _actor(request, body.reason), await self._mine(request, endpoint_id)
        await self._target(was["url"])

        async def enabled(connection: Any) -> int:
            return await endpoints.enable(connection, was, _host(was["url"]), actor, redeliver=body.redeliver)

        count = await self._reads.ask(enabled)
        return {**shown(await self._mine(request, endpoint_id)), "redelivered": count}

    async def test(self, request: Request, endpoint_id: str) -> Row:
        """Sends a message about nothing, once, to a disabled endpoint too."""
        was, at_ms = await self._mine(request, endpoint_id), now_ms()
        message = {
            "message_id": identity.derived("webhook test", str(uuid.uuid4())), "line": kinds.TEST_LINE,
            "event_type": kinds.TEST, "sequence": 0, "at": kinds.instant(at_ms),
            "body": kinds.test_body(endpoint_id, was["seller_id"], at_ms),
        }  # fmt: skip
        await self._reads.ask(endpoints.say, endpoint_id, message)
        return {"message_id": message["message_id"], "event_type": kinds.TEST}

    async def attempts(self, request: Request, endpoint_id: str, before: int | None, limit: int) -> Row:
        """The newest first; `next`: where the list goes on."""
        await self._mine(request, endpoint_id)
        rows = await self._reads.ask(endpoints.attempts, endpoint_id, before, limit)
        return {"attempts": [shown(row) for row in rows], "next": rows[-1]["attempt"] if len(rows) == limit else None}

    async def redeliver(self, request: Request, message_id: str, reason: str) -> Row:
        """Again, under the same `webhook-id`."""
        _actor(request, reason)
        found = await self._reads.ask(endpoints.message, message_id)
        if found is None or not _may(request, found["seller_id"]):
            raise Problem(404, "unknown_message", "No message of this id is known.")
        if found["endpoint_state"] != "enabled" and found["event_type"] != kinds.TEST:
            raise Problem(409, "endpoint_disabled", "The endpoint is disabled; enable it first.")
        await self._reads.ask(endpoints.redeliver, found)
        return {"message_id": message_id, "event_type": found["event_type"], "state": "pending"}

    async def _mine(self, request: Request, endpoint_id: str) -> Row:
        """The endpoint. Raises Problem: the same for what is not there and for what is another's."""
        found: Row | None = await self._reads.ask(endpoints.endpoint, endpoint_id)
        if found is None or not _may(request, found["seller_id"]):
            raise Problem(404, "unknown_endpoint", "No endpoint of this id is known.")
        return found

    async def _target(self, url: str) -> Any:
        try:
            return await check(url, loopback=self._loopback, resolve=self._resolve)
        except (TargetRefused, TimeoutError) as error:
            why = str(error) or "its host could not be looked up in time"
            wrong = [{"field": "url", "seen": url[:200], "reason": why}]
            raise Problem(422, "target_refused", f"url: {why}", errors=wrong) from error


EndpointId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")]


def routes(webhooks: Webhooks) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["webhooks"])
    one = "/v2/webhooks/endpoints/{endpoint_id}"

    @router.post("/v2/webhooks/endpoints")
    async def create_endpoint(body: EndpointBody, request: Request) -> Response:
        """Registers an address. The secret is shown here and never again."""
        made = await webhooks.create(request, body)
        return json(made, 201, {**_SECRET, "location": one.format(endpoint_id=made["endpoint_id"])})

    @router.get("/v2/webhooks/endpoints")
    async def list_endpoints(request: Request, seller_id: Annotated[Identifier | None, Query()] = None) -> Response:
        """Those of the sellers whom the asker speaks for."""
        return json({"endpoints": await webhooks.listed(request, seller_id)})

    @router.get(one)
    async def read_endpoint(endpoint_id: EndpointId, request: Request) -> Response:
        """One endpoint, what waits for it, and what was done with it."""
        return json(await webhooks.one(request, endpoint_id))

    @router.patch(one)
    async def change_endpoint(endpoint_id: EndpointId, body: EndpointChange, request: Request) -> Response:
        """Another URL, other event types, another description."""
        return json(await webhooks.change(request, endpoint_id, body))

    @router.delete(one)
    async def delete_endpoint(
        endpoint_id: EndpointId, request: Request, reason: Annotated[Why, Query()] = ""
    ) -> Response:
        """Tells it nothing more, and forgets what it was told."""
        await webhooks.delete(request, endpoint_id, reason)
        return Response(status_code=204)

    @router.post(f"{one}/rotate-secret")
    async def rotate_secret(endpoint_id: EndpointId, request: Request, body: WhyBody | None = None) -> Response:
        """A new secret, shown here and never again; the old one signs too for 24 hours."""
        return json(await webhooks.rotate(request, endpoint_id, body.reason if body else ""), 200, _SECRET)

    @router.post(f"{one}/test")
    async def test_endpoint(endpoint_id: EndpointId, request: Request) -> Response:
        """Sends a `webhook.test` event, once."""
        return json(await webhooks.test(request, endpoint_id), 202)

    @router.post(f"{one}/enable")
    async def enable_endpoint(endpoint_id: EndpointId, request: Request, body: EnableBody | None = None) -> Response:
        """Tells it again, and what it missed unless that is not wanted."""
        return json(await webhooks.enable(request, endpoint_id, body or EnableBody()))

    @router.get(f"{one}/attempts")
    async def list_attempts(
        endpoint_id: EndpointId,
        request: Request,
        before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """What was tried, the newest first."""
        return json(await webhooks.attempts(request, endpoint_id, before, limit))

    @router.post("/v2/webhooks/messages/{message_id}/redeliver")
    async def redeliver_message(message_id: EndpointId, request: Request, body: WhyBody | None = None) -> Response:
        """Sends a message again, under its old id."""
        return json(await webhooks.redeliver(request, message_id, body.reason if body else ""), 202)

    return router


def shown(row: Mapping[str, Any]) -> Row:
    """As JSON has it: moments in UTC."""
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value for name, value in row.items()
    }


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _may(request: Request, seller_id: str) -> bool:
    who = principal.of(request)
    return who.role != "order_service" or who.speaks_for(seller_id)


def _speaks_for(request: Request, seller_id: str) -> None:
    if not _may(request, seller_id):
        raise Problem(403, "not_yours", "This order service does not speak for that seller.")


def _actor(request: Request, reason: str) -> Actor:
    """Who does it, and why; people say why."""
    who = principal.of(request)
    if who.role != "order_service" and not reason.strip():
        wrong = [{"field": "reason", "seen": reason, "reason": "is wanted: a word on why"}]
        raise Problem(422, "invalid", "reason: is wanted: a word on why", errors=wrong)
    return Actor(who.actor_type, who.subject, reason)
