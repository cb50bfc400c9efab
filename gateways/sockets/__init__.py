"""The drivers' sockets: what the log says to a driver, told once, from whichever gateway the driver is connected to.

`feed` reads the log, `recent` keeps what was told lately, `positions` are the ids of messages, `connection` sends,
`sessions` is the registry over all gateways, `beginning` the state told first, `words` the messages, `hub` it all.
"""

from fastapi import APIRouter, WebSocket

from gateways.access import principal
from gateways.models import Id
from gateways.sockets.broadcasts import Broadcasts, broadcast_routes
from gateways.sockets.hub import Sockets, Terms

__all__ = ["Broadcasts", "Sockets", "Terms", "broadcast_routes", "routes"]


def routes(sockets: Sockets) -> APIRouter:
    """The router."""
    router = APIRouter()

    @router.websocket("/v2/drivers/{driver_id}/socket")
    @router.websocket("/drivers/{driver_id}/socket")
    async def driver_socket(socket: WebSocket, driver_id: Id) -> None:
        await sockets.serve(socket, driver_id, principal.of(socket))

    return router
