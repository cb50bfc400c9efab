"""One request to a seller's server: signed, to an address that was checked, never redirected, within a time limit."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
from standardwebhooks import Webhook

from dispatch import __version__
from dispatch.config import Settings
from dispatch.webhooks.targets import CheckedNetwork, Resolve, TargetRefused, read, resolved

LARGEST_ANSWER = 16_384
"""Bytes that are read of an answer; they are dropped."""
_ANSWER_S = 2.0
LONGEST_WAIT_S = 86_400.0
_LATER = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` None: nothing did, and `reason` says why, without naming the address."""

    status: int | None
    reason: str = ""
    retry_after_s: float = 0.0

    @property
    def taken(self) -> bool:
        """2xx."""
        return self.status is not None and 200 <= self.status < 300


class Post:
    """Sends. Connections are not kept: each is made to an address that was judged for this request."""

    def __init__(self, settings: Settings, most: int, resolve: Resolve = resolved) -> None:
        self._loopback, self._timeout_s = settings.webhook_loopback, settings.webhook_timeout_s
        trusted = ssl.create_default_context()
        if settings.webhook_ca:
            trusted.load_verify_locations(settings.webhook_ca)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted,
            max_connections=most,
            max_keepalive_connections=0,
            network_backend=CheckedNetwork(loopback=self._loopback, resolve=resolve),
        )

    async def close(self) -> None:
        """Ends what is under way."""
        await self._pool.aclose()

    async def send(self, url: str, message_id: str, body: str, secrets: list[str], now: datetime) -> Answer:
        """One attempt."""
        try:
            target = read(url, loopback=self._loopback)
            async with asyncio.timeout(self._timeout_s):
                return await self._asked(target.url, headers_of(message_id, body, secrets, now), body.encode())
        except TargetRefused as error:
            return Answer(None, f"not sent: {error}")
        except TimeoutError:
            return Answer(None, "no answer within the time limit")
        except _LATER as error:
            broken = isinstance(error.__context__, ssl.SSLError) or isinstance(error, ssl.SSLError)
            return Answer(None, "TLS failed" if broken else _WORDS.get(type(error), "the connection broke"))

    async def _asked(self, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        async with self._pool.stream("POST", url, headers=headers, content=body) as answer:
            await _read_some(answer)
            said = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            reason = "" if 200 <= answer.status < 300 else f"answered {answer.status}"
            return Answer(answer.status, reason, wait_s(said.get("retry-after", ""), datetime.now(UTC)))


_WORDS: dict[type, str] = {
    httpcore.ConnectError: "no connection",
    httpcore.ConnectTimeout: "no connection within the time limit",
    httpcore.RemoteProtocolError: "the answer is no HTTP",
}


def headers_of(message_id: str, body: str, secrets: list[str], now: datetime) -> list[tuple[str, str]]:
    """As Standard Webhooks has it: a signature for each secret, parted by blanks."""
    signatures = [Webhook(secret).sign(message_id, now, body) for secret in secrets]
    return [
        ("content-type", "application/json"),
        ("user-agent", f"Baton-Webhooks/{__version__}"),
        ("webhook-id", message_id),
        ("webhook-timestamp", str(int(now.timestamp()))),
        ("webhook-signature", " ".join(signatures)),
    ]


async def _read_some(answer: Any) -> None:
    """So that servers are not cut off while they answer; what they say beyond the status changes nothing."""
    size = 0
    try:
        async with asyncio.timeout(_ANSWER_S):
            async for piece in answer.stream:
                size += len(piece)
                if size > LARGEST_ANSWER:
                    return
    except (TimeoutError, *_LATER):
        return


def wait_s(retry_after: str, now: datetime) -> float:
    """Seconds that a Retry-After asks for, a day at most; 0 for none, or one that cannot be read."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after[:9]), LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(retry_after)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_WAIT_S)


Chance = Callable[[], float]


def pause_s(schedule: list[float], attempts: int, asked_s: float, chance: Chance) -> float | None:
    """Until the next attempt after so many; None: there is none. Up to a fifth longer by chance, or as asked for."""
    if attempts > len(schedule):
        return None
    return max(schedule[attempts - 1] * (1 + 0.2 * chance()), asked_s)
