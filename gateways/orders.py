"""Doors for order services: v1 `seller-order-ready`, v2 placed, ready, prep time, cancelled."""

import time
from typing import Any

from fastapi import APIRouter, Request, Response

from dispatch.contract import identity, topics
from dispatch.contract.limits import check
from dispatch.contract.personal import split
from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records.inbound import InboundOrderReady
from dispatch.contract.records.system import Contact, Reply
from dispatch.inputs.pins import Pins
from gateways.commands import DELIVERIES, Commander, json, now_ms, outcome, told
from gateways.models import CancelBody, Id, OrderBody, PrepTimeBody
from gateways.tracking.links import Links

FIRST_OFFER_S = 2.0
"""How long a v1 client waits for what its order first led to."""


def routes(commander: Commander, links: Links) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["orders"])

    @router.post("/events/seller-order-ready")
    async def seller_order_ready(body: OrderBody, request: Request) -> Response:
        """v1: an order is ready. Answers whether somebody was found at once."""
        until = time.monotonic() + FIRST_OFFER_S
        command, contact = await _ordered(commander, request, body, commands.MarkReady)
        commander.log.expect(command.command_id, "first_offer")
        try:
            reply = await _taken(commander, command, contact, FIRST_OFFER_S)
            answer: dict[str, Any] = {"assigned": False, "delivery_id": command.delivery_id}
            if reply is not None and reply.outcome == "accepted":
                left_s = max(0.05, until - time.monotonic())
                first = await commander.log.wait(command.command_id, "first_offer", left_s)
                if first is not None and first.offer_id:
                    answer |= {"assigned": True, "offer_id": first.offer_id}
        finally:
            commander.log.forget(command.command_id, "first_offer")
        return json(answer)

    async def ordered(request: Request, body: OrderBody, kind: type[Any]) -> Response:
        command, contact = await _ordered(commander, request, body, kind)
        reply = await _taken(commander, command, contact)
        where = f"/v2/deliveries/{command.delivery_id}"
        if reply is None or reply.outcome != "accepted" or "idempotency-key" in request.headers:
            return outcome(command, reply, where, created=True)
        made = await links.issue(command.delivery_id, command.actor_id)  # not with a key, for such an answer is kept
        return json({**told(command, reply), "tracking_url": made.url}, 201)

    @router.post("/v2/orders", status_code=201)
    async def place(body: OrderBody, request: Request) -> Response:
        """An order was placed; it becomes ready later."""
        return await ordered(request, body, commands.PlaceOrder)

    @router.post("/v2/orders/ready", status_code=201)
    async def ready(body: OrderBody, request: Request) -> Response:
        """An order is ready, placed before or not."""
        return await ordered(request, body, commands.MarkReady)

    @router.post("/v2/orders/{seller_id}/{seller_order_id}/ready")
    async def placed_is_ready(seller_id: Id, seller_order_id: Id, request: Request) -> Response:
        """An order that was placed before is ready now."""
        return await _known(commander, request, (seller_id, seller_order_id), commands.MarkReady, order=None)

    @router.post("/v2/orders/{seller_id}/{seller_order_id}/cancel")
    async def cancel(seller_id: Id, seller_order_id: Id, body: CancelBody, request: Request) -> Response:
        """The order is not wanted any more; refused once the goods are with the driver."""
        names = (seller_id, seller_order_id)
        return await _known(commander, request, names, commands.CancelDelivery, **body.model_dump())

    @router.post("/v2/orders/{seller_id}/{seller_order_id}/prep-time")
    async def prep_time(seller_id: Id, seller_order_id: Id, body: PrepTimeBody, request: Request) -> Response:
        """The store's new estimate of preparation."""
        names = (seller_id, seller_order_id)
        return await _known(commander, request, names, commands.ChangePrepTime, prep_s=body.prep_s)

    return router


async def _ordered(commander: Commander, request: Request, body: OrderBody, kind: type[Any]) -> tuple[Any, Contact]:
    """The command of an order, and its contact, kept apart."""
    inbound = InboundOrderReady(**body.inbound("http", now_ms()))
    check(inbound)
    delivery_id, order, contact = split(inbound)
    pins: Pins = request.app.state.pins
    order, contact = pins.put(delivery_id, order, contact, body.customer.pin)
    header = await commander.header(request, "order_service", body.seller_id, delivery_id)
    return kind(**header, delivery_id=delivery_id, order=order), contact


async def _taken(commander: Commander, command: Any, contact: Contact, timeout_s: float | None = None) -> Reply | None:
    """Asks for the decision, then sends the contact: one that came with a refused order must not replace the true one.

    Undecided in time, it is sent too. Whoever gets no answer asks again, and so sends it again.
    """
    reply = await commander.ask(DELIVERIES, command.delivery_id, command, timeout_s)
    await commander.log.put(topics.CONTACTS, command.delivery_id, contact)
    return reply


async def _known(
    commander: Commander, request: Request, names: tuple[str, str], kind: type[Any], **fields: Any
) -> Response:
    delivery_id = identity.delivery_id(*names)
    header = await commander.header(request, "order_service", names[0], delivery_id)
    command = kind(**header, delivery_id=delivery_id, **fields)
    return await commander.decided(DELIVERIES, delivery_id, command, where=f"/v2/deliveries/{delivery_id}")
