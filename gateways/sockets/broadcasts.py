"""Operations tell drivers something: all who are on their shift, or those in a zone. The streams process finds them."""

import uuid
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from dispatch.contract import topics
from dispatch.contract.limits import check
from dispatch.contract.records.system import BroadcastRequested
from gateways.access import principal
from gateways.commands import json, now_ms
from gateways.log_client import LogClient
from gateways.models import Body, Identifier
from gateways.problems import Problem
from gateways.sockets.sessions import Sessions

EVERY_S = 60
"""A zone, or everybody, is told at most so often."""
EVERYBODY = "all"


class BroadcastBody(Body):
    """What drivers are told. Without a zone: all who are on their shift."""

    text: Annotated[str, Field(min_length=1, max_length=500)]
    zone_id: Identifier | None = None
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class Broadcasts:
    """Puts broadcasts into the log, not too often, and to no zone that is not there."""

    def __init__(self, log: LogClient, sessions: Sessions, knows_zone: Callable[[str], bool]) -> None:
        self._log, self._sessions, self._knows_zone = log, sessions, knows_zone

    async def tell(self, body: BroadcastBody, actor_id: str) -> str:
        """Gives the broadcast's id. Raises Problem: 404 for a zone that is not known, 429 with Retry-After."""
        if body.zone_id is not None and not self._knows_zone(body.zone_id):
            raise Problem(404, "unknown_zone", "No zone of this id is known.")
        record = BroadcastRequested(
            broadcast_id=str(uuid.uuid4()), zone=body.zone_id or "", text=body.text, reason=body.reason,
            at_ms=now_ms(), actor_id=actor_id,
        )  # fmt: skip
        check(record)
        to = body.zone_id or EVERYBODY
        if left_s := await self._sessions.turn(f"broadcast to {to}", EVERY_S):
            problem = Problem(429, "broadcast_too_soon", f"{to} was told something just now; again in {left_s} s.")
            problem.headers = {"retry-after": str(left_s)}
            raise problem
        await self._log.put(topics.ZONE_REQUESTS, to, record)
        return record.broadcast_id


def broadcast_routes(broadcasts: Broadcasts) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["admin"])

    @router.post("/v2/admin/broadcasts", status_code=202)
    async def broadcast(body: BroadcastBody, request: Request) -> Response:
        """Tells drivers on their shift something, on their sockets and by their notices."""
        broadcast_id = await broadcasts.tell(body, principal.of(request).subject)
        return json({"broadcast_id": broadcast_id, "outcome": "taken"}, 202)

    return router
