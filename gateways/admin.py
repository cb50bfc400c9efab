"""Doors for operations: reassign, assign, pause, cancel, escalate; and what deliveries look like."""

from typing import Any

from fastapi import APIRouter, Request, Response

from dispatch.contract.records import delivery_commands as deliveries
from dispatch.contract.records import driver_commands as drivers
from gateways.access import principal
from gateways.commands import DELIVERIES, DRIVERS, Commander, json
from gateways.models import AdminNoteBody, AssignBody, CancelBody, Id, PauseBody, ReasonBody
from gateways.reads import Reads


def routes(commander: Commander, reads: Reads) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["admin"])
    _on_deliveries(router, commander)

    async def of_driver(request: Request, driver_id: str, command: type[Any], **fields: Any) -> Response:
        header = await commander.header(request, "admin", principal.of(request).subject, driver_id)
        made = command(**header, driver_id=driver_id, **fields)
        return await commander.decided(DRIVERS, driver_id, made, where=f"/v2/drivers/{driver_id}")

    @router.post("/v2/admin/drivers/{driver_id}/pause")
    async def pause(driver_id: Id, body: PauseBody, request: Request) -> Response:
        """Out of service until an admin lifts it; says what becomes of the delivery in hand."""
        return await of_driver(request, driver_id, drivers.PauseDriver, **body.model_dump())

    @router.post("/v2/admin/drivers/{driver_id}/unpause")
    async def unpause(driver_id: Id, body: ReasonBody, request: Request) -> Response:
        """In service again."""
        return await of_driver(request, driver_id, drivers.UnpauseDriver, reason=body.reason)

    @router.get("/v2/deliveries/{delivery_id}")
    async def delivery(delivery_id: Id) -> Response:
        """A delivery as the read model knows it."""
        return json(await reads.delivery(delivery_id))

    @router.get("/v2/deliveries/{delivery_id}/audit")
    @router.get("/v2/admin/deliveries/{delivery_id}/audit")
    async def audit(delivery_id: Id) -> Response:
        """Everything that happened to it, in order."""
        return json({"events": await reads.audit(delivery_id)})

    return router


def _on_deliveries(router: APIRouter, commander: Commander) -> None:
    async def of_delivery(request: Request, delivery_id: str, kind: type[Any], **fields: Any) -> Response:
        header = await commander.header(request, "admin", principal.of(request).subject, delivery_id)
        command = kind(**header, delivery_id=delivery_id, **fields)
        return await commander.decided(DELIVERIES, delivery_id, command, where=f"/v2/deliveries/{delivery_id}")

    @router.post("/v2/admin/assignments/{delivery_id}/reassign")
    async def reassign(delivery_id: Id, body: AdminNoteBody, request: Request) -> Response:
        """Takes it from its driver and searches again."""
        fields = {"reason": "admin_forced", "note": body.note}
        return await of_delivery(request, delivery_id, deliveries.ReassignDelivery, **fields)

    @router.post("/v2/admin/assignments/{delivery_id}/assign")
    async def assign(delivery_id: Id, body: AssignBody, request: Request) -> Response:
        """Names the driver."""
        return await of_delivery(request, delivery_id, deliveries.AssignDriver, **body.model_dump())

    @router.post("/v2/admin/deliveries/{delivery_id}/escalate")
    async def escalate(delivery_id: Id, body: AdminNoteBody, request: Request) -> Response:
        """The next level now."""
        return await of_delivery(request, delivery_id, deliveries.EscalateDelivery, note=body.note)

    @router.post("/v2/admin/deliveries/{delivery_id}/cancel")
    async def cancel(delivery_id: Id, body: CancelBody, request: Request) -> Response:
        """Ends it; with the goods taken, they go back."""
        return await of_delivery(request, delivery_id, deliveries.CancelDelivery, **body.model_dump())

    @router.post("/v2/admin/deliveries/{delivery_id}/fail")
    async def fail(delivery_id: Id, body: ReasonBody, request: Request) -> Response:
        """It cannot be completed."""
        return await of_delivery(request, delivery_id, deliveries.FailDelivery, reason=body.reason)

    @router.post("/v2/admin/deliveries/{delivery_id}/return")
    async def bring_back(delivery_id: Id, body: AdminNoteBody, request: Request) -> Response:
        """The goods are back at the store."""
        return await of_delivery(request, delivery_id, deliveries.ReturnDelivery, note=body.note)
