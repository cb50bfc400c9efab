"""How often: GCRA for each asker and class of door, counted in Valkey for all instances, by oneself when it is away."""

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import redis.asyncio as redis
from redis.exceptions import RedisError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dispatch.config import Settings
from dispatch.log import logs
from dispatch.metrics import gateway as metrics
from gateways.access.doors import Door, Rate
from gateways.access.principal import Principal
from gateways.problems import Problem

BURST_S = 2
"""A burst is what two seconds bring, and 20 at least."""
_BURST_MIN = 20
_SERVICES = ("order_service", "admin")
_KNOWN_MAX = 50_000
_AWAY_S = 1.0
"""After a failure Valkey is left alone so long."""
_FAILED_PER_S, _FAILED_BURST = 5.0, 50
_TOGETHER = 200
"""So many are counted by one question, in well under a millisecond of Valkey's."""
_SCRIPT = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local said = {}
for i, key in ipairs(KEYS) do
  local step, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local tat = math.max(tonumber(redis.call('GET', key) or 0), now) + step
  local wait = tat - step * burst - now
  if wait > 0 then
    said[i] = {0, wait, 0, tat - step - now}
  else
    redis.call('SET', key, string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000))
    said[i] = {1, 0, math.floor(-wait / step), tat - now}
  end
end
return said
"""
logger = logs.get("gateways.shell")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one more is taken."""

    taken: bool
    wait_s: float
    """Until one more would be."""
    left: int
    full_s: float
    """Until the whole burst is there again."""


class LocalRates:
    """Counted by this instance alone. GCRA: an asker is one number, the moment at which all is paid off."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._paid: OrderedDict[str, float] = OrderedDict()

    def take(self, who: str, per_s: float, burst: int, *, only_look: bool = False) -> Verdict:
        """One more of this asker."""
        now, step = self._now_s(), 1 / per_s
        paid = max(self._paid.get(who, 0.0), now) + step
        wait_s = paid - step * burst - now
        if wait_s > 1e-9:
            return Verdict(False, wait_s, 0, paid - step - now)
        if not only_look:
            self._paid[who] = paid
            self._paid.move_to_end(who)
            if len(self._paid) > _KNOWN_MAX:
                self._paid.popitem(last=False)
        return Verdict(True, 0.0, int(-wait_s / step + 1e-6), paid - now)


class _Asker(NamedTuple):
    key: str
    per_s: float
    burst: int
    told: "asyncio.Future[Verdict | None]"


class SharedRates:
    """Counted in Valkey for all instances. What comes while one question is under way is asked together after it."""

    def __init__(self, client: "redis.Redis") -> None:
        self._script = client.register_script(_SCRIPT)
        self._waiting: list[_Asker] = []
        self._asking: asyncio.Task[None] | None = None
        self._away_until = 0.0

    async def take(self, key: str, per_s: float, burst: int) -> Verdict | None:
        """One more of this asker; None: Valkey gives no answer, or gave none a moment ago."""
        if time.monotonic() < self._away_until:
            return None
        told: asyncio.Future[Verdict | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asker(key, per_s, burst, told))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await told

    async def _ask(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
            try:
                verdicts = await self._verdicts(asked)
            except Exception as error:  # noqa: BLE001 -- it is theirs who wait
                for asker in asked:
                    if not asker.told.done():
                        asker.told.set_exception(error)
                continue
            if verdicts is None:
                asked, self._waiting = [*asked, *self._waiting], []
                verdicts = [None] * len(asked)
            for asker, verdict in zip(asked, verdicts, strict=True):
                if not asker.told.done():  # whoever asked may be gone
                    asker.told.set_result(verdict)

    async def _verdicts(self, asked: Sequence[_Asker]) -> Sequence[Verdict | None] | None:
        """None: Valkey gives no answer."""
        args = [value for one in asked for value in (1_000_000 / one.per_s, one.burst)]
        try:
            said = await self._script(keys=[one.key for one in asked], args=args)
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + _AWAY_S
            logger.warning("index_unreachable", reason=type(error).__name__)
            return None
        return [Verdict(bool(taken), wait_us / 1e6, left, full_us / 1e6) for taken, wait_us, left, full_us in said]


class Rates:
    """Counted for all instances together, while Valkey answers."""

    def __init__(self, client: "redis.Redis | None", settings: Settings) -> None:
        self._prefix = f"{settings.namespace}rate:"
        self._shared = SharedRates(client) if client is not None else None
        self._local = LocalRates()
        self._factor = settings.rate_service_factor
        self._per_s: dict[Rate, float] = {
            "open": settings.rate_open_per_s,
            "read": settings.rate_read_per_s,
            "write": settings.rate_write_per_s,
            "ping": settings.rate_ping_per_s,
            "admin": settings.rate_admin_per_s,
            "stream": settings.rate_stream_per_s,
        }

    def limit(self, rate: Rate, role: str) -> tuple[float, int]:
        """How many a second, and at once. Programs that speak for many have more."""
        per_s = self._per_s[rate] * (self._factor if role in _SERVICES else 1)
        return per_s, max(_BURST_MIN, math.ceil(per_s * BURST_S))

    async def take(self, who: str, rate: Rate, role: str) -> Verdict:
        """One more request of this asker."""
        per_s, burst = self.limit(rate, role)
        name = f"{rate}:{per_s:g}:{who}"  # another rate counts anew: what is paid off when follows from it
        if self._shared is None or rate == "open":
            return self._local.take(name, per_s, burst)
        if (verdict := await self._shared.take(self._prefix + name, per_s, burst)) is not None:
            return verdict
        metrics.LOCAL_LIMITS.inc()
        return self._local.take(name, per_s, burst)


class Refusals:
    """Addresses whose sign-in failed too often wait, before anything of theirs is verified. For each instance."""

    def __init__(self) -> None:
        self._failed = LocalRates()

    def note(self, address: str) -> None:
        """A sign-in failed."""
        self._failed.take(address, _FAILED_PER_S, _FAILED_BURST)

    def refused(self, address: str) -> Problem | None:
        """429, when there were too many of late."""
        verdict = self._failed.take(address, _FAILED_PER_S, _FAILED_BURST, only_look=True)
        return None if verdict.taken else too_often("sign_in", verdict, _FAILED_BURST)


class Limited:
    """The middleware behind the sign-in: it knows who asks."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self._app, self._rates = app, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one socket's opening."""
        door: Door | None = scope.get("state", {}).get("door") if scope["type"] != "lifespan" else None
        if door is None:
            await self._app(scope, receive, send)
            return
        principal: Principal | None = scope["state"].get("principal")
        role = principal.role if principal is not None else ""
        who = address_of(scope)
        if principal is not None and principal.signed_in:  # customers have one name and a delivery each
            who = f"{role}:{principal.subject}:{principal.delivery_id}"
        verdict = await self._rates.take(who, door.rate, role)
        burst = self._rates.limit(door.rate, role)[1]
        if not verdict.taken:
            raise too_often(door.rate, verdict, burst)
        if scope["type"] == "websocket" or door.rate == "open":
            await self._app(scope, receive, send)
            return
        told = [(name.encode(), value.encode()) for name, value in _told(verdict, burst).items()]

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *told]}
            await send(message)

        await self._app(scope, receive, sent)


def too_often(rate: str, verdict: Verdict, burst: int) -> Problem:
    """429, with when to come again."""
    metrics.LIMITED.labels(rate).inc()
    wait_s = max(1, math.ceil(verdict.wait_s))
    problem = Problem(429, "too_often", f"Too many requests of this kind; the next is taken in {wait_s} s.")
    problem.headers = {"retry-after": str(wait_s), **_told(verdict, burst)}
    return problem


def _told(verdict: Verdict, burst: int) -> dict[str, str]:
    return {
        "ratelimit-limit": str(burst),
        "ratelimit-remaining": str(verdict.left),
        "ratelimit-reset": str(math.ceil(verdict.full_s)),
    }


def address_of(scope: Scope) -> str:
    """Whom an unnamed asker is counted as: an IPv4 address, or the /64 that one customer has of IPv6."""
    host = (scope.get("client") or ("unknown",))[0]
    if ":" not in host:
        return str(host)
    try:
        return str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return "unknown"
