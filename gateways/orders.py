"""Doors for order services: v1 `seller-order-ready`, v2 placed, ready, prep time, cancelled."""

import time
from typing import Any

from fastapi import APIRouter, Request, Response

from dispatch.contract import identity, topics
from dispatch.contract.limits import check
from dispatch.contract.personal import split
from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records.inbound import InboundOrderReady
from gateways.commands import DELIVERIES, Commander, json, now_ms
from gateways.models import CancelBody, Id, OrderBody, PrepTimeBody
from gateways.problems import refused

FIRST_OFFER_S = 2.0
"""How long a v1 client waits for what its order first led to."""


def routes(commander: Commander) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["orders"])

    @router.post("/events/seller-order-ready")
    async def seller_order_ready(body: OrderBody, request: Request) -> Response:
        """v1: an order is ready. Answers whether somebody was found at once."""
        command = await _ordered(commander, request, body, commands.MarkReady)
        commander.log.expect(command.command_id, "first_offer")
        until = time.monotonic() + FIRST_OFFER_S
        reply = await commander.log.ask(DELIVERIES, command.delivery_id, command, FIRST_OFFER_S)
        if reply is not None and reply.outcome == "refused":
            raise refused(reply.reason, reply.detail)
        answer: dict[str, Any] = {"assigned": False, "delivery_id": command.delivery_id}
        first = None
        if reply is not None and reply.outcome == "accepted":
            left_s = max(0.05, until - time.monotonic())
            first = await commander.log.wait(command.command_id, "first_offer", left_s)
        if first is not None and first.offer_id:
            answer |= {"assigned": True, "offer_id": first.offer_id}
        return json(answer)

    @router.post("/v2/orders", status_code=201)
    async def place(body: OrderBody, request: Request) -> Response:
        """An order was placed; it becomes ready later."""
        command = await _ordered(commander, request, body, commands.PlaceOrder)
        return await commander.decided(
            DELIVERIES, command.delivery_id, command, where=f"/v2/deliveries/{command.delivery_id}", created=True
        )

    @router.post("/v2/orders/ready", status_code=201)
    async def ready(body: OrderBody, request: Request) -> Response:
        """An order is ready, placed before or not."""
        command = await _ordered(commander, request, body, commands.MarkReady)
        return await commander.decided(
            DELIVERIES, command.delivery_id, command, where=f"/v2/deliveries/{command.delivery_id}", created=True
        )

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


async def _ordered(commander: Commander, request: Request, body: OrderBody, kind: type[Any]) -> Any:
    """The command of an order; its contact goes to the contacts topic, and nowhere else."""
    inbound = InboundOrderReady(**body.inbound("http", now_ms()))
    check(inbound)
    delivery_id, order, contact = split(inbound)
    header = await commander.header(request, "order_service", body.seller_id, delivery_id)
    command = kind(**header, delivery_id=delivery_id, order=order)
    check(command)
    commander.log.send(topics.CONTACTS, delivery_id, contact)
    return command


async def _known(
    commander: Commander, request: Request, names: tuple[str, str], kind: type[Any], **fields: Any
) -> Response:
    delivery_id = identity.delivery_id(*names)
    header = await commander.header(request, "order_service", names[0], delivery_id)
    command = kind(**header, delivery_id=delivery_id, **fields)
    return await commander.decided(DELIVERIES, delivery_id, command, where=f"/v2/deliveries/{delivery_id}")
