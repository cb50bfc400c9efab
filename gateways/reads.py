"""What the gateway reads from the read models; 404 for what they do not know, 503 when Postgres is away."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from dispatch.log import logs
from gateways.access.ownership import Parties
from gateways.contacts import Contacts
from gateways.problems import Problem, unreachable
from projections import queries

T = TypeVar("T")
ANSWER_S = 3.0
"""How long Postgres may take; a frozen one gives no sign."""
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
_RECONNECT_S = 2.0
"""The pool doubles its pauses until then and begins anew: after a minute away reads came back 56 s late."""
logger = logs.get("gateways.reads")


class Reads:
    """A pool of connections, and the queries."""

    def __init__(self, dsn: str) -> None:
        self._pool = AsyncConnectionPool(
            dsn, min_size=0, max_size=8, open=False, timeout=3, num_workers=1, reconnect_timeout=_RECONNECT_S
        )

        self._contacts = Contacts(lambda ids, limit_s: self._ask(queries.contacts, ids, limit_s=limit_s))

    async def open(self) -> None:
        """Opens the pool; connections are made when needed."""
        await self._pool.open()

    async def close(self) -> None:
        """Closes the pool."""
        await self._pool.close()

    async def state(self) -> str:
        """For /ready."""
        try:
            await self._ask(queries.answers, limit_s=1.0)
        except Problem as problem:
            return problem.detail
        return "up"

    async def delivery(self, delivery_id: str) -> dict[str, Any]:
        """One delivery."""
        return _found(await self._ask(queries.delivery, delivery_id), "unknown_order", "delivery")

    async def parties(self, delivery_id: str) -> Parties | None:
        """Who has to do with a delivery; None: no such delivery."""
        if not _UUID.fullmatch(delivery_id):
            return None
        row: dict[str, Any] | None = await self._ask(queries.parties, delivery_id)
        return Parties(str(row["seller_id"]), str(row["driver_id"] or "")) if row else None

    async def driver(self, driver_id: str) -> dict[str, Any]:
        """One driver."""
        return _found(await self._ask(queries.driver, driver_id), "unknown_driver", "driver")

    async def audit(self, delivery_id: str) -> list[dict[str, Any]]:
        """A delivery's events in order."""
        rows: list[dict[str, Any]] = await self._ask(queries.audit, delivery_id)
        if not rows:
            raise Problem(404, "unknown_order", "No delivery of this id is known.")
        return rows

    async def offers(self, driver_id: str, *, open_only: bool) -> list[dict[str, Any]]:
        """A driver's offers, newest first."""
        rows: list[dict[str, Any]] = await self._ask(queries.offers, driver_id, open_only)
        return rows

    async def assignments(self, driver_id: str) -> list[dict[str, Any]]:
        """What the driver holds."""
        rows: list[dict[str, Any]] = await self._ask(queries.held_by, driver_id)
        return rows

    async def as_of(self, delivery_ids: Sequence[str]) -> dict[str, int]:
        """Of when the tables' rows of these deliveries are, UTC ms; of one that they do not have, nothing."""
        found: dict[str, int] = await self._ask(queries.as_of, delivery_ids) if delivery_ids else {}
        return found

    async def in_hand(self, driver_id: str, delivery_id: str) -> dict[str, Any]:
        """A delivery with its contact, for the driver who holds it; for all others it is not there."""
        row: dict[str, Any] | None = await self._ask(queries.held, driver_id, delivery_id)
        if row is None:
            raise Problem(404, "not_held", "No delivery of this id is in this driver's hands now.")
        return handed_over(row, await self.contact(delivery_id))

    async def contact(self, delivery_id: str) -> dict[str, Any] | None:
        """Whom it goes to, waited for; None when that is not known in time."""
        return await self._contacts.of(delivery_id)

    async def delivery_of(self, offer_id: str) -> str | None:
        """Which delivery an offer is about."""
        found: str | None = await self._ask(queries.delivery_of, offer_id)
        return found

    async def ask(self, query: Any, *arguments: Any) -> Any:
        """What one of the projections' queries gives. Raises Problem 503 when Postgres is away."""
        return await self._ask(query, *arguments)

    async def _ask(self, query: Any, *arguments: Any, limit_s: float = ANSWER_S) -> Any:
        """The answer. A query that is given up ends by itself, for a frozen server does not let it be cancelled."""
        asking = asyncio.create_task(self._answer(query, limit_s, *arguments))
        try:
            done, _ = await asyncio.wait({asking}, timeout=limit_s)
        finally:
            asking.cancel()
        if not done:
            raise unreachable("Postgres")
        return asking.result()

    async def _answer(self, query: Any, limit_s: float, *arguments: Any) -> Any:
        try:
            async with self._pool.connection(limit_s) as connection:
                return await query(connection, *arguments)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise unreachable("Postgres") from error


def handed_over(message: dict[str, Any], contact: dict[str, Any] | None) -> dict[str, Any]:
    """A message to the driver who holds the delivery, with contact and exact place as far as they are known."""
    if contact is None:
        return message | {"contact": None}
    place = {"lat": contact["lat"], "lng": contact["lng"]}
    exact = {} if None in place.values() else {"dropoff": place}
    return message | exact | {"contact": {name: contact[name] for name in ("name", "phone", "address", "note")}}


def _found(row: dict[str, Any] | None, code: str, what: str) -> dict[str, Any]:
    if row is None:
        raise Problem(404, code, f"No {what} of this id is known.")
    return row
