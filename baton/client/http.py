"""The two clients: one that waits, one that awaits. They retry, sign in, and raise problems as exceptions."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import httpx

from baton.client.calls import Answer, Call, Retries, path
from baton.client.doors import Drivers, Operations, Orders, Tracking
from baton.client.errors import Unreachable, problem
from baton.client.socket import DriverSocket
from baton.client.streams import Event, Reading

_AGENT = "baton-client"
_AGAIN_S = 0.2


class Baton:
    """A client that waits. `token`: a JWT or an API key; empty: for doors that ask for none. Limits in seconds."""

    def __init__(
        self, url: str, token: str = "", *, timeout_s: float = 15.0, retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self.url, self._token, self._retries = url.rstrip("/"), token, retries or Retries()
        self._http = httpx.Client(
            base_url=self.url, timeout=timeout_s, headers=_headers(token), transport=transport, follow_redirects=False
        )
        self.orders: Orders[Answer] = Orders(self.send)
        self.drivers: Drivers[Answer] = Drivers(self.send)
        self.operations: Operations[Answer] = Operations(self.send)
        self.tracking: Tracking[Answer] = Tracking(self.send)

    def __enter__(self) -> "Baton":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends its connections."""
        self._http.close()

    def send(self, call: Call) -> Answer:
        """The answer to a call of your own. Raises Unreachable, or the ProblemAnswer of its status."""
        tried = 0
        while True:
            tried += 1
            failure: Exception
            status, retry_after = None, ""
            try:
                answer = self._http.request(call.method, call.path, **_parts(call))
            except httpx.TransportError as error:
                failure = Unreachable(f"{call.method} {call.path} had no answer: {error!r}")
                failure.__cause__ = error
            else:
                if answer.is_success:
                    return _read(answer)
                failure = problem(answer.status_code, _problem(answer), answer.headers.get("x-request-id", ""))
                status, retry_after = answer.status_code, answer.headers.get("retry-after", "")
            wait_s = self._retries.after(tried, status, retry_after, random.random())
            if wait_s is None:
                raise failure
            time.sleep(wait_s)

    def follow(
        self, delivery_id: str = "", *, token: str = "", silence_s: float = 30.0, known_s: float = 5.0
    ) -> Iterator[Event]:
        """What happens to a delivery, until it ends: by its id, or by the token of a tracking link.

        Goes on where it was after a broken connection. A delivery that was ordered just now may not be known for a
        moment: that is waited for, `known_s` at most. Raises as `send` does."""
        reading, where, until = Reading(), _stream(delivery_id, token), time.monotonic() + known_s
        tried = 0
        while not reading.over:
            try:
                with self._http.stream("GET", where, headers=reading.headers(), timeout=silence_s) as answer:
                    if answer.status_code == 204:
                        return
                    if answer.status_code == 404 and time.monotonic() < until:
                        time.sleep(_AGAIN_S)
                        continue
                    if not answer.is_success:
                        answer.read()
                        raise problem(answer.status_code, _problem(answer), answer.headers.get("x-request-id", ""))
                    for line in answer.iter_lines():
                        if (event := reading.line(line)) is not None:
                            tried = 0
                            yield event
            except httpx.TransportError as error:
                tried += 1
                wait_s = self._retries.after(tried, None, "", random.random())
                if wait_s is None:
                    raise Unreachable(f"{where} broke off: {error!r}") from error
                time.sleep(wait_s)
            else:
                tried += 1
                wait_s = self._retries.after(tried, None, "", random.random())
                if wait_s is None:
                    return
                time.sleep(wait_s)

    def socket(self, driver_id: str, *, since: str = "", device: str = "") -> DriverSocket:
        """A driver's socket, to be iterated."""
        return DriverSocket(self.url, driver_id, self._token, since=since, device=device)


class AsyncBaton:
    """A client that awaits, with the same doors."""

    def __init__(
        self, url: str, token: str = "", *, timeout_s: float = 15.0, retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        self.url, self._retries = url.rstrip("/"), retries or Retries()
        self._http = httpx.AsyncClient(
            base_url=self.url, timeout=timeout_s, headers=_headers(token), transport=transport, follow_redirects=False
        )
        self.orders: Orders[Awaitable[Answer]] = Orders(self.send)
        self.drivers: Drivers[Awaitable[Answer]] = Drivers(self.send)
        self.operations: Operations[Awaitable[Answer]] = Operations(self.send)
        self.tracking: Tracking[Awaitable[Answer]] = Tracking(self.send)

    async def __aenter__(self) -> "AsyncBaton":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends its connections."""
        await self._http.aclose()

    async def send(self, call: Call) -> Answer:
        """The answer to a call of your own. Raises as Baton.send."""
        tried = 0
        while True:
            tried += 1
            failure: Exception
            status, retry_after = None, ""
            try:
                answer = await self._http.request(call.method, call.path, **_parts(call))
            except httpx.TransportError as error:
                failure = Unreachable(f"{call.method} {call.path} had no answer: {error!r}")
                failure.__cause__ = error
            else:
                if answer.is_success:
                    return _read(answer)
                failure = problem(answer.status_code, _problem(answer), answer.headers.get("x-request-id", ""))
                status, retry_after = answer.status_code, answer.headers.get("retry-after", "")
            wait_s = self._retries.after(tried, status, retry_after, random.random())
            if wait_s is None:
                raise failure
            await asyncio.sleep(wait_s)

    async def follow(
        self, delivery_id: str = "", *, token: str = "", silence_s: float = 30.0, known_s: float = 5.0
    ) -> AsyncIterator[Event]:
        """As Baton.follow, on one connection: after a broken one Unreachable is raised."""
        reading, where, until = Reading(), _stream(delivery_id, token), time.monotonic() + known_s
        try:
            while True:
                async with self._http.stream("GET", where, headers=reading.headers(), timeout=silence_s) as answer:
                    if answer.is_success:
                        async for line in answer.aiter_lines():
                            if (event := reading.line(line)) is not None:
                                yield event
                        return
                    await answer.aread()
                    if answer.status_code != 404 or time.monotonic() >= until:
                        raise problem(answer.status_code, _problem(answer), answer.headers.get("x-request-id", ""))
                await asyncio.sleep(_AGAIN_S)
        except httpx.TransportError as error:
            raise Unreachable(f"{where} broke off: {error!r}") from error


def _headers(token: str) -> dict[str, str]:
    return {"user-agent": _AGENT} | ({"authorization": f"Bearer {token}"} if token else {})


def _parts(call: Call) -> dict[str, Any]:
    headers = dict(call.headers or {}) | ({"idempotency-key": call.key} if call.key else {})
    body = {} if call.body is None else {"json": call.body}
    return {"headers": headers, "params": call.params, **body}


def _read(answer: httpx.Response) -> Answer:
    read = answer.json() if answer.content else {}
    return read if isinstance(read, dict) else {"items": read}


def _problem(answer: httpx.Response) -> dict[str, Any]:
    """The body of an error; one that is no problem (of a proxy before the gateway) in its form."""
    try:
        read = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        read = None
    return read if isinstance(read, dict) else {"detail": answer.text[:200]}


def _stream(delivery_id: str, token: str) -> str:
    return path("/v2/track/{}/events", token) if token else path("/v2/orders/{}/events", delivery_id)
