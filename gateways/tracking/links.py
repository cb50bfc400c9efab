"""Makes, checks and revokes the links by which somebody follows a delivery."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from dispatch.contract import topics
from dispatch.contract.limits import check
from dispatch.contract.records.system import TrackingLink
from dispatch.contract.tracking import hashed, new_link
from gateways.commands import now_ms
from gateways.log_client import LogClient
from gateways.problems import Problem
from gateways.reads import Reads
from projections import queries_tracking as queries

_LONGEST = 64
_KNOWN_S, _KNOWN = 5.0, 20_000
"""So long a token that was found is believed: as late a revoked one may still open."""
_THERE_S, _AGAIN_S = 2.0, 0.05


@dataclass(frozen=True, slots=True)
class Made:
    """A link that was just made; its token is shown once."""

    token: str
    url: str
    expires_at_ms: int


class Links:
    """Makes, checks and revokes links. `base`: what stands before the token in a URL."""

    def __init__(self, log: LogClient, reads: Reads, base: str, after_s: int) -> None:
        self._log, self._reads, self._base, self._after_s = log, reads, base, after_s
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def url_of(self, token: str) -> str:
        """Where a customer follows the delivery."""
        return self._base + token

    async def issue(self, delivery_id: str, by: str) -> Made:
        """A link, in the log. Raises Problem 503 when Kafka takes nothing."""
        token, link = new_link(delivery_id, by, now_ms(), self._after_s)
        await self._put(link)
        return Made(token, self.url_of(token), link.expires_at_ms)

    async def opened(self, made: Made) -> None:
        """Waits until the link opens, but not for long."""
        until = time.monotonic() + _THERE_S
        while time.monotonic() < until:
            if await self._reads.ask(queries.link_is_there, hashed(made.token)):
                return
            await asyncio.sleep(_AGAIN_S)

    async def delivery_of(self, token: str) -> str | None:
        """Which delivery a token is about; None for one that is unknown, malformed, revoked or over."""
        name = hashed(token)
        found_at, delivery_id = self._known.get(name, (0.0, ""))
        if delivery_id and time.monotonic() - found_at < _KNOWN_S:
            return delivery_id
        return await self.still(token)

    async def still(self, token: str) -> str | None:
        """The same, asked anew."""
        if not token or len(token) > _LONGEST:
            return None
        name = hashed(token)
        found: str | None = await self._reads.ask(queries.tracked, name)
        self._known.pop(name, None)
        if found is not None:
            self._known[name] = (time.monotonic(), found)
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return found

    async def revoke(self, delivery_id: str, by: str) -> int:
        """Revokes every link to a delivery; gives how many there were."""
        rows = await self._reads.ask(queries.links, delivery_id)
        for row in rows:
            link = TrackingLink(
                token_hash=row["token_hash"], delivery_id=delivery_id, after_s=row["after_s"],
                issued_at_ms=_ms(row["issued_at"]), issued_by=row["issued_by"], expires_at_ms=_ms(row["expires_at"]),
            )  # fmt: skip
            await self._put(replace(link, revoked_at_ms=now_ms(), revoked_by=by))
            self._known.pop(link.token_hash, None)
        return len(rows)

    async def _put(self, link: TrackingLink) -> None:
        check(link)
        await self._log.put(topics.TRACKING_LINKS, link.token_hash, link)


def unknown_order() -> Problem:
    """The answer for a delivery that is not there."""
    return Problem(404, "unknown_order", "No delivery of this id is known.")


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
