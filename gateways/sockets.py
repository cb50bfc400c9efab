"""The drivers' sockets: offers and their ends, assignments, availability. A slow reader is dropped with a reason."""

import asyncio
from collections import OrderedDict, defaultdict
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, WebSocket

from dispatch.contract.records.driver_events import DriverAvailabilityChanged
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated, OfferEnded
from dispatch.contract.records.shared import OfferTerms
from gateways.problems import Problem
from gateways.reads import Reads

QUEUE = 256
"""Messages that may wait for one reader."""
TOO_SLOW = 4008
_OFFERS_KNOWN = 20_000


class Sockets:
    """Who listens here. Messages of drivers connected elsewhere are passed over."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._open: defaultdict[str, set[asyncio.Queue[bytes | None]]] = defaultdict(set)
        self._offers: OrderedDict[str, str] = OrderedDict()

    def delivery_of(self, offer_id: str) -> str | None:
        """Which delivery a recent offer is about."""
        return self._offers.get(offer_id)

    def tell(self, record: Any) -> None:
        """Takes a record from the log; runs on the event loop."""
        if isinstance(record, OfferCreated):
            self._offers[record.offer_id] = record.delivery_id
            if len(self._offers) > _OFFERS_KNOWN:
                self._offers.popitem(last=False)
        queues = self._open.get(record.driver_id)
        if not queues:
            return
        message = orjson.dumps(worded(record))
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
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE)
        self._open[driver_id].add(queue)
        sender = asyncio.create_task(self._send(socket, driver_id, queue))
        try:
            while True:
                heard = await socket.receive()
                if heard["type"] == "websocket.disconnect" or sender.done():
                    return
        finally:
            sender.cancel()
            self._open[driver_id].discard(queue)
            if not self._open[driver_id]:
                self._open.pop(driver_id, None)

    async def _send(self, socket: WebSocket, driver_id: str, queue: "asyncio.Queue[bytes | None]") -> None:
        for present in await self._present(driver_id):
            await socket.send_text(orjson.dumps(present).decode())
        while True:
            message = await queue.get()
            if message is None:
                await socket.close(TOO_SLOW, "too slow a reader")
                return
            await socket.send_text(message.decode())

    async def _present(self, driver_id: str) -> list[dict[str, Any]]:
        """Offers and assignments from before the connection. Without the read model: none, and the log goes on."""
        try:
            offers = await self._reads.offers(driver_id, open_only=True)
            held = await self._reads.assignments(driver_id)
        except Problem:
            return []
        return [{"type": "DELIVERY_OFFERED_V2", **row} for row in offers] + [
            {"type": "DELIVERY_ASSIGNED", **row} for row in held
        ]


def routes(sockets: Sockets) -> APIRouter:
    """The router."""
    router = APIRouter()

    @router.websocket("/v2/drivers/{driver_id}/socket")
    @router.websocket("/drivers/{driver_id}/socket")
    async def driver_socket(socket: WebSocket, driver_id: str) -> None:
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
    }
