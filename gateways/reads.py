"""What the gateway reads from the read models; 404 for what they do not know, 503 when Postgres is away."""

from collections.abc import Awaitable
from typing import Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateways.problems import Problem, unreachable
from projections import queries

T = TypeVar("T")


class Reads:
    """A pool of connections, and the queries."""

    def __init__(self, dsn: str) -> None:
        self._pool = AsyncConnectionPool(dsn, min_size=0, max_size=8, open=False, timeout=3, num_workers=1)

    async def open(self) -> None:
        """Opens the pool; connections are made when needed."""
        await self._pool.open()

    async def close(self) -> None:
        """Closes the pool."""
        await self._pool.close()

    async def state(self) -> str:
        """For /ready."""
        try:
            async with self._pool.connection(timeout=1) as connection:
                await connection.execute("SELECT 1")
        except (psycopg.Error, PoolTimeout) as error:
            return f"postgres: {error}"
        return "up"

    async def delivery(self, delivery_id: str) -> dict[str, Any]:
        """One delivery."""
        return _found(await self._ask(queries.delivery, delivery_id), "unknown_order", "delivery")

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

    async def delivery_of(self, offer_id: str) -> str | None:
        """Which delivery an offer is about."""
        found: str | None = await self._ask(queries.delivery_of, offer_id)
        return found

    async def unassigned(self, limit: int) -> list[dict[str, Any]]:
        """Those that wait, the oldest first."""
        rows: list[dict[str, Any]] = await self._ask(queries.unassigned, limit)
        return rows

    async def _ask(self, query: Any, *arguments: Any) -> Any:
        try:
            async with self._pool.connection() as connection:
                answer: Awaitable[Any] = query(connection, *arguments)
                return await answer
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise unreachable("Postgres") from error


def _found(row: dict[str, Any] | None, code: str, what: str) -> dict[str, Any]:
    if row is None:
        raise Problem(404, code, f"No {what} of this id is known.")
    return row
