"""Doors to what shows a hand-over: a driver's step with its proof, an admin's word instead, and what came."""

from typing import Any

from fastapi import APIRouter, Request, Response

from dispatch.contract.records import delivery_commands as deliveries
from dispatch.contract.records.system import Reply
from dispatch.inputs.pins import Pins
from gateways.access import principal
from gateways.commands import DELIVERIES, Commander, json, outcome
from gateways.models import AdminNoteBody, Id, ProgressBody
from gateways.problems import Problem
from gateways.reads import Reads
from projections import queries_proof


async def stepped(commander: Commander, request: Request, names: tuple[str, str], body: ProgressBody) -> Response:
    """A driver's step. Of a PIN the command carries the mark only."""
    driver_id, delivery_id = names
    pins: Pins = request.app.state.pins
    command = deliveries.ReportProgress(
        **await commander.header(request, "driver", driver_id, delivery_id),
        delivery_id=delivery_id,
        driver_id=driver_id,
        pin_mark=pins.mark(delivery_id, body.pin),
        **body.model_dump(exclude={"pin"}),
    )
    reply = await commander.ask(DELIVERIES, delivery_id, command)
    _took_the_pin(command, reply)
    return outcome(command, reply, f"/v2/deliveries/{delivery_id}")


def _took_the_pin(command: deliveries.ReportProgress, reply: Reply | None) -> None:
    """A wrong PIN is counted, which is a decision; for who said it, it is a refusal."""
    if command.step == "delivered" and reply is not None and reply.status != "delivered":
        raise Problem(409, "wrong_pin", "This is not the customer's PIN; after five wrong ones none is taken any more.")


def routes(commander: Commander, reads: Reads) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["deliveries"])

    @router.get("/v2/deliveries/{delivery_id}/proof")
    async def proof(delivery_id: Id) -> Response:
        """What was asked for, and what came at the store and at the door."""
        return json(shown(await reads.delivery(delivery_id)))

    @router.get("/v2/track/{token}/pin")
    async def pin(token: str, request: Request) -> Response:  # noqa: ARG001 - the gate has looked at the token
        """The PIN that the customer says at the door, for who has their tracking URL; null when none is wanted."""
        found = await reads.ask(queries_proof.pin, principal.of(request).delivery_id)
        return json({"pin": found}, headers={"cache-control": "no-store"})

    @router.post("/v2/admin/deliveries/{delivery_id}/deliver")
    async def deliver(delivery_id: Id, body: AdminNoteBody, request: Request) -> Response:
        """Takes it for delivered without a proof, as when a PIN is lost or locked; a driver must have the goods."""
        row = await reads.delivery(delivery_id)
        if not row["driver_id"] or not row["offer_id"]:
            raise Problem(409, "not_allowed_now", f"The delivery is {row['status']}; nobody has the goods.")
        command = deliveries.ReportProgress(
            **await commander.header(request, "admin", principal.of(request).subject, delivery_id),
            delivery_id=delivery_id,
            offer_id=str(row["offer_id"]),
            driver_id=row["driver_id"],
            step="delivered",
            note=body.note,
        )
        return await commander.decided(DELIVERIES, delivery_id, command, where=f"/v2/deliveries/{delivery_id}")

    return router


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """The proof in a delivery's row."""
    return {
        "delivery_id": row["delivery_id"],
        "status": row["status"],
        "wanted": row["proof_wanted"] or "none",
        "wrong_pins": row["wrong_pins"] or 0,
        "pickup": {
            "at": row["picked_up_at"],
            "photo_ref": row["pickup_photo_ref"],
            "signature_ref": row["pickup_signature_ref"],
        },
        "delivery": {
            "at": row["ended_at"] if row["status"] == "delivered" else None,
            "photo_ref": row["photo_ref"],
            "signature_ref": row["signature_ref"],
            "pin_checked": bool(row["pin_checked"]),
            "note": row["proof_note"],
        },
    }
