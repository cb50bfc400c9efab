"""A driver's socket: messages in order, each once, over broken connections and restarts of the gateway."""

import json
import random
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from threading import Event
from typing import Any
from urllib.parse import quote, urlencode

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from baton.client.errors import BatonError, Unreachable, problem

Message = dict[str, Any]
_FOR_GOOD = (4401, 4403, 4409, 1008)
"""Closed with these, coming again by itself would not help: no token, not allowed, another device took over."""
_KNOWN = 1_000


class Closed(BatonError):
    """The gateway ended the connection and does not want it again."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code}: {reason}")
        self.code, self.reason = code, reason


class DriverSocket:
    """Iterate it for messages: READY, DELIVERY_OFFERED_V2, DELIVERY_ASSIGNED ... Comes again by itself, and goes on
    after the last message that was heard. Not for use by several threads but `send` and `close`."""

    def __init__(
        self, url: str, driver_id: str, token: str = "", *, since: str = "", device: str = "", tries: int = 8
    ) -> None:
        self._url = f"{'ws' + url.removeprefix('http')}/v2/drivers/{quote(driver_id, safe='')}/socket"
        self._token, self.since, self._device, self._tries = token, since, device, tries
        self._live: ClientConnection | None = None
        self._seen: deque[str] = deque(maxlen=_KNOWN)
        self._ended = Event()

    def __enter__(self) -> "DriverSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Message]:
        tried = 0
        while not self._ended.is_set():
            try:
                with self._connecting() as live:
                    self._live = live
                    for text in live:
                        tried = 0
                        if (message := self._new(json.loads(text))) is not None:
                            yield message
                    code, reason = live.close_code or 1006, live.close_reason or ""
            except ConnectionClosed as closed:
                code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
            except (OSError, InvalidHandshake) as error:
                _raise_refused(error)
                code, reason = 1006, repr(error)
            self._live = None
            if self._ended.is_set():
                return
            if code in _FOR_GOOD:
                raise Closed(code, reason)
            tried += 1
            if tried >= self._tries:
                raise Unreachable(f"the socket broke off {tried} times: {code} {reason}")
            time.sleep(min(5.0, 0.1 * 2.0**tried) * (0.5 + random.random() / 2))

    def send(self, message: Message) -> None:
        """Says something: PING, LOCATION, ACK, TOKEN. Raises Unreachable while there is no connection."""
        live = self._live
        if live is None:
            raise Unreachable("the socket is not connected now")
        try:
            live.send(json.dumps(message))
        except ConnectionClosed as error:
            raise Unreachable("the socket broke off") from error

    def acknowledge(self, message: Message) -> None:
        """Heard and kept: another device or process goes on after it, with `since="acked"`."""
        if message.get("id"):
            self.send({"type": "ACK", "id": message["id"]})

    def close(self) -> None:
        """Ends it, and the iteration."""
        self._ended.set()
        if self._live is not None:
            self._live.close()

    def _connecting(self) -> AbstractContextManager[ClientConnection]:
        asked = {name: value for name, value in (("since", self.since), ("device", self._device)) if value}
        where = f"{self._url}?{urlencode(asked)}" if asked else self._url
        headers = {"authorization": f"Bearer {self._token}"} if self._token else None
        return connect(where, additional_headers=headers, open_timeout=10, max_size=2**20)

    def _new(self, message: Message) -> Message | None:
        """The message, unless it was heard before."""
        place = str(message.get("id") or "")
        if not place:
            return message
        told = f"{place} {message.get('type')}"
        if told in self._seen:
            return None
        self._seen.append(told)
        self.since = place
        return message


def _raise_refused(error: Exception) -> None:
    """Raises the problem of an opening that was refused for good."""
    if isinstance(error, InvalidStatus) and 400 <= error.response.status_code < 500:
        try:
            body = json.loads(error.response.body or b"{}")
        except ValueError:
            body = {}
        raise problem(error.response.status_code, body if isinstance(body, dict) else {}) from error
