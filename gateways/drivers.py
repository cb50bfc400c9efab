"""Doors for drivers: sign-on, shifts, breaks, offers, progress."""

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from dispatch.contract import topics
from dispatch.contract.limits import check
from dispatch.contract.personal import OF_DRIVER
from dispatch.contract.records import delivery_commands as deliveries
from dispatch.contract.records import driver_commands as drivers
from dispatch.contract.records.system import Contact
from gateways.commands import DELIVERIES, DRIVERS, Commander, json
from gateways.commerce.proof_doors import stepped
from gateways.models import (
    BreakBody,
    EndShiftBody,
    ExtendBody,
    FailBody,
    HeldBody,
    Id,
    OfferAnswer,
    ProgressBody,
    RejectBody,
    SignOnBody,
    ZonePreferenceBody,
)
from gateways.problems import Problem
from gateways.reads import Reads
from gateways.sockets import Sockets
from projections import queries_proof

_MINUTE_MS = 60_000
_HEARD_S, _AGAIN_S = 1.0, 0.02
"""So long an offer that is not known may still be heard of; so often it is looked for."""
PERSONAL = ("name", "phone", "language")
"""What a driver tells of themselves goes to the contacts, never into a command."""


def routes(commander: Commander, reads: Reads, sockets: Sockets) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["drivers"])
    _duty(router, commander, reads)
    _offers(router, commander, reads, sockets)
    _hands(router, commander, reads)
    return router


def _duty(router: APIRouter, commander: Commander, reads: Reads) -> None:
    async def asked(request: Request, driver_id: str, kind: type[Any], **fields: Any) -> Response:
        header = await commander.header(request, "driver", driver_id, driver_id)
        command = kind(**header, driver_id=driver_id, **fields)
        return await commander.decided(DRIVERS, driver_id, command, where=f"/v2/drivers/{driver_id}")

    @router.post("/v2/drivers/{driver_id}/sign-on")
    async def sign_on(driver_id: Id, body: SignOnBody, request: Request) -> Response:
        """Known and available from now on."""
        answer = await asked(request, driver_id, drivers.SignOn, **body.model_dump(exclude=set(PERSONAL)))
        if any(getattr(body, name) for name in PERSONAL):
            told = {name: getattr(body, name) for name in PERSONAL}
            contact = Contact(subject_id=OF_DRIVER + driver_id, address="", **told)
            check(contact)
            await commander.log.put(topics.CONTACTS, contact.subject_id, contact)
        return answer

    @router.post("/v2/drivers/{driver_id}/shift/start")
    async def start_shift(driver_id: Id, request: Request) -> Response:
        """Back to work."""
        return await asked(request, driver_id, drivers.StartShift)

    @router.post("/v2/drivers/{driver_id}/shift/end")
    @router.post("/v2/drivers/{driver_id}/availability/end-shift")
    async def end_shift(
        driver_id: Id, request: Request, body: Annotated[EndShiftBody | None, Body()] = None
    ) -> Response:
        """At once, or after the delivery in hand."""
        after = body.after_delivery if body else False
        return await asked(request, driver_id, drivers.EndShift, after_delivery=after)

    @router.post("/v2/drivers/{driver_id}/availability/take-break")
    async def take_break(driver_id: Id, body: BreakBody, request: Request) -> Response:
        """A break of so many minutes."""
        duration_ms = round(body.minutes * _MINUTE_MS)
        return await asked(request, driver_id, drivers.TakeBreak, duration_ms=duration_ms, reason=body.reason)

    @router.post("/v2/drivers/{driver_id}/availability/extend-break")
    async def extend_break(driver_id: Id, body: ExtendBody, request: Request) -> Response:
        """So many minutes more."""
        return await asked(request, driver_id, drivers.ExtendBreak, extra_ms=round(body.minutes * _MINUTE_MS))

    @router.put("/v2/drivers/{driver_id}/zone-preferences/{zone}")
    async def zone_preference(driver_id: Id, zone: Id, body: ZonePreferenceBody, request: Request) -> Response:
        """Whether the driver prefers a zone, works there as everywhere, or never."""
        return await asked(request, driver_id, drivers.SetZonePreference, zone=zone, preference=body.preference)

    @router.get("/v2/drivers/{driver_id}/zone-preferences")
    async def zone_preferences(driver_id: Id) -> Response:
        """The zones that the driver prefers, and those in which they are never asked."""
        row = await reads.driver(driver_id)
        words = (("PREFERRED", row["preferred_in"]), ("UNAVAILABLE", row["unavailable_in"]))
        return json({"preferences": {zone: word for word, zones in words for zone in zones or ()}})

    @router.post("/v2/drivers/{driver_id}/availability/resume")
    async def resume(driver_id: Id, request: Request) -> Response:
        """Ends the break or begins the shift."""
        return await asked(request, driver_id, drivers.ResumeWork)


def _offers(router: APIRouter, commander: Commander, reads: Reads, sockets: Sockets) -> None:
    @router.get("/v2/drivers/{driver_id}/offers")
    async def offers(driver_id: Id, open_only: bool = True) -> Response:
        """The driver's offers, newest first."""
        return json({"offers": await reads.offers(driver_id, open_only=open_only)})

    @router.get("/v2/drivers/{driver_id}")
    async def driver(driver_id: Id) -> Response:
        """The driver as the read model knows them."""
        return json(await reads.driver(driver_id))

    async def answered(
        request: Request, names: tuple[str, str], body: OfferAnswer | None, kind: type[Any], **fields: Any
    ) -> Response:
        driver_id, offer_id = names
        delivery_id = (body and body.delivery_id) or await about(offer_id, sockets, reads)
        if not delivery_id:
            raise Problem(404, "unknown_offer", "No offer of this id is known.")
        header = await commander.header(request, "driver", driver_id, delivery_id)
        command = kind(**header, delivery_id=delivery_id, driver_id=driver_id, offer_id=offer_id, **fields)
        return await commander.decided(DELIVERIES, delivery_id, command, where=f"/v2/deliveries/{delivery_id}")

    @router.post("/v2/drivers/{driver_id}/offers/{offer_id}/accept")
    async def accept(
        driver_id: Id, offer_id: Id, request: Request, body: Annotated[OfferAnswer | None, Body()] = None
    ) -> Response:
        """Takes the offer; refused when it is over, saying why."""
        return await answered(request, (driver_id, offer_id), body, deliveries.AcceptOffer)

    @router.post("/v2/drivers/{driver_id}/offers/{offer_id}/reject")
    async def reject(driver_id: Id, offer_id: Id, body: RejectBody, request: Request) -> Response:
        """Refuses the offer; it goes to the next driver."""
        names, fields = (driver_id, offer_id), {"reason": body.reason, "note": body.note}
        return await answered(request, names, body, deliveries.RejectOffer, **fields)


async def about(offer_id: str, sockets: Sockets, reads: Reads, limit_s: float = _HEARD_S) -> str | None:
    """Which delivery an offer is about; None: nobody knows.

    A driver's answer may be here before this gateway has read of the offer, which another one told them of: what is
    neither heard nor in the tables is waited for.
    """
    found = sockets.delivery_of(offer_id) or await reads.delivery_of(offer_id)
    ends = time.monotonic() + limit_s
    while not found and time.monotonic() < ends:
        await asyncio.sleep(_AGAIN_S)
        found = sockets.delivery_of(offer_id)
    return found or await reads.delivery_of(offer_id)


def _hands(router: APIRouter, commander: Commander, reads: Reads) -> None:
    @router.get("/v2/drivers/{driver_id}/deliveries/{delivery_id}")
    async def in_hand(driver_id: Id, delivery_id: Id) -> Response:
        """A delivery with customer and exact place, for the driver who holds it and while they do."""
        held = await reads.in_hand(driver_id, delivery_id)
        proof = await reads.ask(queries_proof.wanted, delivery_id)
        return json(held | {"proof": proof}, headers={"cache-control": "no-store"})

    async def held(request: Request, names: tuple[str, str], body: Any, kind: type[Any]) -> Response:
        driver_id, delivery_id = names
        header = await commander.header(request, "driver", driver_id, delivery_id)
        command = kind(**header, delivery_id=delivery_id, driver_id=driver_id, **body.model_dump())
        return await commander.decided(DELIVERIES, delivery_id, command, where=f"/v2/deliveries/{delivery_id}")

    @router.post("/v2/drivers/{driver_id}/deliveries/{delivery_id}/progress")
    async def progress(driver_id: Id, delivery_id: Id, body: ProgressBody, request: Request) -> Response:
        """The next step; the last with the proof that the order asks for: `proof_ref`, `signature_ref` or `pin`."""
        return await stepped(commander, request, (driver_id, delivery_id), body)

    @router.post("/v2/drivers/{driver_id}/deliveries/{delivery_id}/fail")
    async def fail(driver_id: Id, delivery_id: Id, body: FailBody, request: Request) -> Response:
        """It cannot be completed."""
        return await held(request, (driver_id, delivery_id), body, deliveries.FailDelivery)

    @router.post("/v2/drivers/{driver_id}/deliveries/{delivery_id}/return")
    async def bring_back(driver_id: Id, delivery_id: Id, body: HeldBody, request: Request) -> Response:
        """The goods are back at the store."""
        return await held(request, (driver_id, delivery_id), body, deliveries.ReturnDelivery)

    @router.post("/v2/drivers/{driver_id}/deliveries/{delivery_id}/give-up")
    async def give_up(driver_id: Id, delivery_id: Id, body: HeldBody, request: Request) -> Response:
        """The driver cancels."""
        return await held(request, (driver_id, delivery_id), body, deliveries.GiveUpDelivery)
