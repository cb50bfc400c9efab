"""The drivers' sockets: offers and their ends, assignments, availability. A slow reader is dropped with a reason."""

import asyncio
from collections import OrderedDict, defaultdict
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from dispatch.contract.records.driver_events import DriverAvailabilityChanged
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated, OfferEnded
from dispatch.contract.records.shared import OfferTerms
from gateways.locations import Locations
from gateways.models import Id
from gateways.problems import Problem
from gateways.reads import Reads, handed_over

QUEUE = 256
"""Messages that may wait for one reader."""
TOO_SLOW = 4008
_OFFERS_KNOWN = 20_000
ALIVE_EVERY_S = 20.0
_Waiting = bytes | asyncio.Task[bytes] | None
"""A message, one that waits for its contact, or None: too slow."""


class Sockets:
    """Who listens here. Messages of drivers connected elsewhere are passed over."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._locations: Locations | None = None
        self._open: defaultdict[str, set[asyncio.Queue[_Waiting]]] = defaultdict(set)
        self._offers: OrderedDict[str, str] = OrderedDict()

    def heard_by(self, locations: Locations) -> None:
        """Who takes what drivers say."""
        self._locations = locations

    def delivery_of(self, offer_id: str) -> str | None:
        """Which delivery a recent offer is about."""
        return self._offers.get(offer_id)

    def listens(self, driver_id: str) -> bool:
        """Whether the driver is connected here. From any thread."""
        return driver_id in self._open

    def tell(self, record: Any) -> None:
        """Takes a record from the log; runs on the event loop."""
        if isinstance(record, OfferCreated):
            self._offers[record.offer_id] = record.delivery_id
            if len(self._offers) > _OFFERS_KNOWN:
                self._offers.popitem(last=False)
        queues = self._open.get(record.driver_id)
        if not queues:
            return
        message: _Waiting = orjson.dumps(worded(record))
        if isinstance(record, DeliveryAssigned):
            message = asyncio.create_task(self._assigned(record))
        for queue in list(queues):
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(message)

    async def serve(self, socket: WebSocket, driver_id: str) -> None:
        """One connection, until either side ends it. What is open already is told first."""
        await socket.accept()
        queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE)
        self._open[driver_id].add(queue)
        sides = [
            asyncio.create_task(self._send(socket, driver_id, queue)),
            asyncio.create_task(self._listen(socket, driver_id, queue)),
        ]
        alive = asyncio.create_task(self._live(driver_id))
        try:
            done, _ = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            for side in done:
                side.result()
        finally:
            for side in (*sides, alive):
                side.cancel()
            self._open[driver_id].discard(queue)
            if not self._open[driver_id]:
                self._open.pop(driver_id, None)

    async def _send(self, socket: WebSocket, driver_id: str, queue: asyncio.Queue[_Waiting]) -> None:
        try:
            for present in await self._present(driver_id):
                await socket.send_text(orjson.dumps(present).decode())
            while True:
                message = await queue.get()
                if message is None:
                    await socket.close(TOO_SLOW, "too slow a reader")
                    return
                whole = message if isinstance(message, bytes) else await asyncio.shield(message)
                await socket.send_text(whole.decode())
        except WebSocketDisconnect:
            return

    async def _listen(self, socket: WebSocket, driver_id: str, queue: "asyncio.Queue[_Waiting]") -> None:
        """Until the other side is gone. To an answer a reader too slow for offers has no right."""
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            answer = self._locations.hear(driver_id, message.get("text") or "") if self._locations else None
            if answer is not None and not queue.full():
                queue.put_nowait(orjson.dumps(answer))

    async def _live(self, driver_id: str) -> None:
        """An open socket is a sign of life: one that does not answer the server's own pings is closed by it."""
        while self._locations is not None:
            self._locations.greet(driver_id)
            await asyncio.sleep(ALIVE_EVERY_S)

    async def _assigned(self, record: DeliveryAssigned) -> bytes:
        """The message once its contact is known. Only this driver's later messages wait for it."""
        return orjson.dumps(handed_over(worded(record), await self._reads.contact(record.delivery_id)))

    async def _present(self, driver_id: str) -> list[dict[str, Any]]:
        """Offers and assignments from before the connection. Without the read model: none, and the log goes on."""
        try:
            offers = await self._reads.offers(driver_id, open_only=True)
            held = await self._reads.assignments(driver_id)
        except Problem:
            return []
        contacts = await asyncio.gather(*(self._reads.contact(str(row["delivery_id"])) for row in held))
        return [{"type": "DELIVERY_OFFERED_V2", **row} for row in offers] + [
            {"type": "DELIVERY_ASSIGNED", **handed_over(row, contact)}
            for row, contact in zip(held, contacts, strict=True)
        ]


def routes(sockets: Sockets) -> APIRouter:
    """The router."""
    router = APIRouter()

    @router.websocket("/v2/drivers/{driver_id}/socket")
    @router.websocket("/drivers/{driver_id}/socket")
    async def driver_socket(socket: WebSocket, driver_id: Id) -> None:
        await sockets.serve(socket, driver_id)

    return router


def worded(record: Any) -> dict[str, Any]:
    """A record as a driver's app reads it."""
    at = iso(record.at_ms)
    match record:
        case OfferCreated():
            kind, more = (
                "DELIVERY_OFFERED_V2",
                {"expires_at": iso(record.expires_at_ms), **_terms(record.terms, record)},
            )
        case DeliveryAssigned():
            kind, more = "DELIVERY_ASSIGNED", {"how": record.how, **_terms(record.terms, record)}
        case OfferEnded():
            kind, more = "OFFER_ENDED", {"outcome": record.outcome, "why": record.why}
        case AssignmentEnded():
            kind, more = "ASSIGNMENT_ENDED", {"why": record.why}
        case DriverAvailabilityChanged():
            return {
                "type": "AVAILABILITY_CHANGED",
                "at": at,
                "from": record.from_availability,
                "to": record.to_availability,
                "reason": record.reason,
                "until": iso(record.until_ms) if record.until_ms else None,
            }
        case _:
            raise TypeError(f"a {type(record).__name__} is no message for a driver")
    return {"type": kind, "offer_id": record.offer_id, "delivery_id": record.delivery_id, "at": at, **more}


def iso(moment_ms: int) -> str:
    """ISO-8601, UTC."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _terms(terms: OfferTerms, record: Any) -> dict[str, Any]:
    return {
        "store_name": terms.store_name,
        "pickup": {"lat": terms.pickup_lat, "lng": terms.pickup_lng},
        "dropoff": {"lat": terms.dropoff_lat, "lng": terms.dropoff_lng},
        "pickup_in_min": round(max(0, terms.pickup_eta_ms - record.at_ms) / 60_000, 1),
        "delivery_at": iso(terms.delivery_eta_ms),
        "pickup_distance_km": round(terms.pickup_distance_m / 1000, 2),
        "total_distance_km": round(terms.total_distance_m / 1000, 2),
        "earning": {"amount_minor": terms.earning_minor, "currency": terms.currency},
        "incentive": {"amount_minor": terms.incentive_minor, "currency": terms.currency},
        "earning_parts": {
            "base_minor": terms.base_minor,
            "distance_minor": terms.distance_minor,
            "time_minor": terms.time_minor,
            "multiplier_percent": terms.multiplier_percent,
            "multiplier_minor": terms.multiplier_minor,
            "incentive_minor": terms.incentive_minor,
            "incentive_refused": terms.incentive_refused,
        },
    }
