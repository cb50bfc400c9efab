"""What stands around every door: limits, ids, origins, rates, answers given again, and a calm end. Pure ASGI.

From outside in: Front (id, limits, headers, log, faults), CORS, the gate of gateways.access, Limited, Idempotent.
"""

import redis.asyncio as redis
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from dispatch.config import Settings
from dispatch.log.errors import Misconfigured
from gateways.shell import origins
from gateways.shell.answers import Answers
from gateways.shell.draining import Drain
from gateways.shell.front import Front
from gateways.shell.idempotency import Idempotent
from gateways.shell.rates import Limited, Rates
from gateways.shell.routing import DoorIndex

_VALKEY_S = 0.1
_LEASE_MORE_S = 5.0


class Shell:
    """The parts of one gateway's shell, made from its settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        try:
            self._origins = origins.allowed_from(settings.cors_origins)
        except ValueError as error:
            raise Misconfigured(f"BATON_CORS_ORIGINS: {error}") from error
        self.drain = Drain(settings.drain_s)
        self.valkey = (
            redis.Redis.from_url(settings.valkey, socket_timeout=_VALKEY_S, socket_connect_timeout=_VALKEY_S)
            if settings.valkey
            else None
        )
        self._answers = Answers(settings.postgres, settings.request_timeout_s + _LEASE_MORE_S)
        self._rates = Rates(self.valkey, settings)

    def stand_behind_the_gate(self, app: FastAPI) -> None:
        """What must know who asks. To be called before the gate is added: what is added later stands further out."""
        app.add_middleware(Idempotent, answers=self._answers)
        app.add_middleware(Limited, rates=self._rates)

    def stand_around(self, app: FastAPI) -> None:
        """What comes first of all. To be called after the gate was added."""
        app.state.drain = self.drain
        if self._origins:
            app.add_middleware(
                CORSMiddleware,
                allow_origins=sorted(self._origins),
                allow_methods=origins.METHODS,
                allow_headers=origins.ASKED,
                expose_headers=origins.EXPOSED,
            )
        app.add_middleware(Front, settings=self._settings, drain=self.drain, index=DoorIndex())

    async def open(self) -> None:
        """On the event loop, before the first request."""
        await self._answers.open()

    async def close(self) -> None:
        """After the last one."""
        await self._answers.close()
        if self.valkey is not None:
            await self.valkey.aclose()
