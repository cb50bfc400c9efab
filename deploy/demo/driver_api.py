"""What a driver's app says to the gateway, over HTTP and its socket."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

Sign = Callable[[str], str]
"""A token that holds now, for the driver of this id."""


class Unanswered(Exception):
    """The gateway could not be reached or did not know what to say; worth another try."""


class DriverApi:
    """One driver's calls. A refusal (409) is an answer; what cannot be reached raises Unanswered."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, driver_id: str, sign: Sign | None = None) -> None:
        self._client, self._driver_id, self._sign = client, driver_id, sign
        self._base = f"/v2/drivers/{driver_id}"
        self._socket_url = base_url.replace("http", "ws", 1) + f"{self._base}/socket"
        self._since = ""
        """The last message that was taken; the next connection goes on after it."""

    async def sign_on(self, *, lat: float, lng: float, vehicle: str, rating: float) -> bool:
        """Signs on with capacity 1. Whether it was taken."""
        body = {"lat": lat, "lng": lng, "vehicle": vehicle, "capacity": 1, "rating": rating}
        return await self._post("/sign-on", body)

    async def ping(self, lat: float, lng: float) -> None:
        """Says where the driver is."""
        await self._send("PUT", "/location", {"lat": lat, "lng": lng, "accuracy_m": 8})

    async def accept(self, offer: dict[str, Any]) -> bool:
        """Takes an offer. False: it was refused, the offer being over."""
        return await self._post(f"/offers/{offer['offer_id']}/accept", {"delivery_id": offer["delivery_id"]})

    async def reject(self, offer: dict[str, Any], reason: str) -> bool:
        """Refuses an offer."""
        body = {"delivery_id": offer["delivery_id"], "reason": reason}
        return await self._post(f"/offers/{offer['offer_id']}/reject", body)

    async def progress(self, held: dict[str, Any], step: str) -> bool:
        """Reports a step. False: it is this driver's no more."""
        body = {"offer_id": held["offer_id"], "step": step}
        return await self._post(f"/deliveries/{held['delivery_id']}/progress", body)

    async def give_up(self, held: dict[str, Any], note: str) -> bool:
        """Gives a delivery up before the pickup."""
        return await self._post(
            f"/deliveries/{held['delivery_id']}/give-up", {"offer_id": held["offer_id"], "note": note}
        )

    async def take_break(self, minutes: float) -> bool:
        """Asks for a break."""
        return await self._post("/availability/take-break", {"minutes": minutes, "reason": "rest"})

    async def socket(self) -> AsyncIterator[dict[str, Any]]:
        """The messages of one connection, until it closes: those missed since the last one, then all new ones.

        Raises Unanswered when it cannot be opened.
        """
        try:
            connection: ClientConnection = await connect(
                f"{self._socket_url}?since={self._since}",
                additional_headers=self._signed(),
                open_timeout=10,
                max_size=1 << 20,
            )
        except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError) as error:
            raise Unanswered(str(error)) from error
        try:
            async for message in connection:
                said = orjson.loads(message)
                yield said
                self._since = said.get("id", self._since)  # not before it was taken
        except ConnectionClosed:
            return
        finally:
            await connection.close()

    def start_over(self) -> None:
        """The next connection tells the whole present state."""
        self._since = ""

    def _signed(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._sign(self._driver_id)}"} if self._sign else {}

    async def _post(self, path: str, body: dict[str, Any]) -> bool:
        return (await self._send("POST", path, body)).status_code < 300

    async def _send(self, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        try:
            headers = {"content-type": "application/json", **self._signed()}
            answer = await self._client.request(method, self._base + path, content=orjson.dumps(body), headers=headers)
        except httpx.HTTPError as error:
            raise Unanswered(f"{method} {path}: {error!r}") from error
        if answer.status_code >= 500:
            raise Unanswered(f"{method} {path}: {answer.status_code}")
        return answer
