"""Ways out: a signed webhook, or what apprise has a URL for; each named without its address, which may hold secrets.

A webhook carries the notice's id as `webhook-id` (Standard Webhooks) and as `Idempotency-Key`, so it can be repeated
without telling twice. apprise's services carry none: what they may have taken is not sent again.
"""

import hashlib
import logging
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote, urlsplit

import apprise
import httpx
import orjson
from standardwebhooks import Webhook

from dispatch.log.errors import Misconfigured

TIMEOUT_S = 10.0
_AGAIN = (408, 409, 423, 425, 429)
"""Refusals of now, not of ever."""
PLACEHOLDERS = frozenset({"phone", "name", "driver_id", "delivery_id", "title", "text"})
_NOT_TAKEN = (
    "error=",
    "connection refused",
    "failed to establish",
    "nameresolution",
    "name or service",
    "connecttimeout",
)
"""What apprise's log says, lower case, when it is certain that nothing was taken: refused, or never connected."""
_SPEECH = logging.getLogger("apprise")


class NotSent(Exception):
    """The channel did not take it: again later."""


class NeverSent(Exception):
    """The channel will not take it, however often it is asked."""


class MaybeSent(Exception):
    """The channel may have taken it and can not be asked: not again."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A notice in words, and where to. `to` holds personal data: it is not kept, and not logged."""

    notice_id: str
    audience: str
    kind: str
    language: str
    title: str
    text: str
    at_ms: int
    level: int
    delivery_id: str = ""
    driver_id: str = ""
    to: Mapping[str, str] | None = None
    """Name and phone of a customer."""
    details: Mapping[str, str] | None = None


class Channel(Protocol):
    """One way out."""

    name: str
    keyed: bool
    """Whether it is told an idempotency key, and may be asked again when nobody knows what became of it."""

    def send(self, notice: Outgoing) -> None:
        """Raises NotSent, NeverSent or MaybeSent, with a cause that names no person and no address."""


class WebhookChannel:
    """POSTs JSON, signed when there is a secret."""

    keyed = True

    def __init__(self, url: str, secret: str, client: httpx.Client, now: Callable[[], datetime]) -> None:
        self.name = _named("webhook", url)
        self._url, self._client, self._now = url, client, now
        self._signer = Webhook(secret) if secret else None

    def send(self, notice: Outgoing) -> None:
        """Raises NotSent or NeverSent."""
        body = orjson.dumps({
            "type": f"notice.{notice.audience}.{notice.kind}",
            "timestamp": datetime.fromtimestamp(notice.at_ms / 1000, UTC).isoformat(),
            "data": {
                "notice_id": notice.notice_id, "audience": notice.audience, "kind": notice.kind, "level": notice.level,
                "delivery_id": notice.delivery_id, "driver_id": notice.driver_id, "language": notice.language,
                "title": notice.title, "text": notice.text, "to": dict(notice.to or {}),
                "details": dict(notice.details or {}),
            },
        })  # fmt: skip
        now = self._now()
        headers = {
            "content-type": "application/json",
            "idempotency-key": notice.notice_id,
            "webhook-id": notice.notice_id,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self._signer is not None:
            headers["webhook-signature"] = self._signer.sign(notice.notice_id, now, body.decode())
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise NotSent(type(error).__name__) from error
        if answer.is_success:
            return
        cause = f"answered {answer.status_code}"
        raise (NotSent if answer.status_code >= 500 or answer.status_code in _AGAIN else NeverSent)(cause)


class AppriseChannel:
    """One apprise URL, its placeholders filled in for each notice."""

    keyed = False

    def __init__(self, url: str) -> None:
        self.name = _named(urlsplit(url).scheme, url)
        _SPEECH.setLevel(logging.DEBUG)  # the cause is told at this level only
        _SPEECH.propagate = False  # it may name numbers and addresses: for us, not for the log
        self._url = url
        self._needs = _placeholders(url)

    def send(self, notice: Outgoing) -> None:
        """Raises NotSent, NeverSent or MaybeSent."""
        to = notice.to or {}
        values = {
            "phone": to.get("phone", ""), "name": to.get("name", ""), "driver_id": notice.driver_id,
            "delivery_id": notice.delivery_id, "title": notice.title, "text": notice.text,
        }  # fmt: skip
        missing = sorted(name for name in self._needs if not values[name])
        if missing:
            raise NotSent(f"nobody knows the {missing[0]}")
        service = apprise.Apprise()
        if not service.add(_filled(self._url, values)):
            raise NeverSent("the address is none once it is filled in")
        result = service.notify(notice.text, notice.title, timeout=TIMEOUT_S, log_level=logging.DEBUG)
        if result:
            return
        lines = [str(entry).lower() for each in result for entry in each.logs()]
        said = " ".join(line for line in lines if " warning " in line or "exception" in line)
        if result.status != apprise.AppriseResultStatus.TIMEOUT and any(sign in said for sign in _NOT_TAKEN):
            raise NotSent("the service did not take it")
        raise MaybeSent("the service may have taken it")


def channels(urls: str, secret: str, client: httpx.Client, setting: str) -> list[Channel]:
    """The channels of a setting: URLs parted by blanks. Raises Misconfigured, without quoting an address."""
    found: list[Channel] = []
    for number, url in enumerate(urls.split(), 1):
        try:
            found.append(_channel(url, secret, client))
        except ValueError as error:
            raise Misconfigured(f"{setting}, address {number}: {error}") from error
    return found


def _channel(url: str, secret: str, client: httpx.Client) -> Channel:
    if urlsplit(url).scheme in ("http", "https"):
        if not urlsplit(url).hostname:
            raise ValueError("a webhook's address has a host: https://host/path")
        return WebhookChannel(url, secret, client, lambda: datetime.now(UTC))
    unknown = _placeholders(url) - PLACEHOLDERS
    if unknown:
        raise ValueError(f"{{{min(unknown)}}} is unknown; known are {', '.join(sorted(PLACEHOLDERS))}")
    try_out = dict.fromkeys(PLACEHOLDERS, "491511234567")
    if apprise.Apprise.instantiate(_filled(url, try_out)) is None:
        raise ValueError("neither http(s):// nor an address that apprise knows")
    return AppriseChannel(url)


def _placeholders(url: str) -> frozenset[str]:
    try:
        return frozenset(name for _, name, _, _ in string.Formatter().parse(url) if name is not None)
    except ValueError as error:
        raise ValueError(f"braces are for placeholders: {error}") from error


def _filled(url: str, values: Mapping[str, str]) -> str:
    return url.format_map({name: quote(value, safe="") for name, value in values.items()})


def _named(kind: str, url: str) -> str:
    return f"{kind}:{hashlib.sha256(url.encode()).hexdigest()[:8]}"
