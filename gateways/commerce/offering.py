"""The door that searches and offers at once, for who does not want to wait for the next try."""

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from dispatch.contract.records import delivery_commands as deliveries
from dispatch.contract.records.shared import ActorType
from dispatch.contract.records.system import Reply
from gateways.access import principal
from gateways.commands import DELIVERIES, Commander, json, pending
from gateways.commands import told as decided
from gateways.commerce.bodies import OfferBody
from gateways.models import Id
from gateways.problems import Problem
from gateways.reads import Reads

OFFER_S = 2.0
"""How long is waited for what the search leads to."""
_AGAIN_S = 0.05
_ASKED = ("offered", "assigned")


def routes(commander: Commander, reads: Reads) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["deliveries"])

    @router.post("/v2/deliveries/{delivery_id}/offers")
    async def offer(delivery_id: Id, request: Request, body: Annotated[OfferBody | None, Body()] = None) -> Response:
        """Searches now and offers it to the best driver; 409 when it does not wait for one.

        Operations may name the driver, with a note: who is named gets it without an offer.
        """
        who = principal.of(request)
        actor: ActorType = "order_service" if who.role == "order_service" else "admin"
        header = await commander.header(request, actor, who.subject, delivery_id)
        command: Any = deliveries.SearchAgain(**header, delivery_id=delivery_id)
        if body is not None and body.driver_id is not None:
            if actor != "admin":
                raise Problem(403, "role_not_allowed", "Only operations name a driver.")
            if not body.note.strip():
                wrong = [{"field": "note", "seen": body.note, "reason": "is wanted where a driver is named"}]
                raise Problem(422, "invalid", "note: is wanted where a driver is named", errors=wrong)
            command = deliveries.AssignDriver(
                **header, delivery_id=delivery_id, driver_id=body.driver_id, note=body.note
            )
        reply = await commander.ask(DELIVERIES, delivery_id, command)
        where = f"/v2/deliveries/{delivery_id}"
        if reply is None:
            return pending(command, where)
        row = await _led_to(reads, delivery_id, reply)
        return json({**decided(command, reply), **_made(row)}, 201 if row["status"] in _ASKED else 200)

    return router


async def _led_to(reads: Reads, delivery_id: str, reply: Reply) -> dict[str, Any]:
    """The delivery once somebody was asked, or when the time is over; never as it was before the decision."""
    until = time.monotonic() + OFFER_S
    while True:
        row = await _row(reads, delivery_id)
        known = row if row is not None and row["version"] >= reply.version else None
        if known is not None and (known["status"] in _ASKED or known["retry_at"] is not None):
            return known
        if time.monotonic() > until:
            return known or {"status": reply.status, "offer_id": None, "driver_id": None}
        await asyncio.sleep(_AGAIN_S)


async def _row(reads: Reads, delivery_id: str) -> dict[str, Any] | None:
    """As the read model has it; None: it does not know it yet."""
    try:
        return await reads.delivery(delivery_id)
    except Problem as problem:
        if problem.status != 404:
            raise
        return None


def _made(row: dict[str, Any]) -> dict[str, Any]:
    asked = row["status"] in _ASKED
    return {
        "status": row["status"],
        "offer_id": row["offer_id"] if asked else None,
        "driver_id": row["driver_id"] if asked else None,
        "why_not": None if asked else row.get("unassigned_reason"),
    }
