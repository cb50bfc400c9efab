"""What gateways and the command line read. Rows come as dictionaries, times as datetimes, money as minor units."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

Row = dict[str, Any]
_EARNING_PARTS = (
    "base_minor", "distance_minor", "time_minor", "multiplier_minor", "multiplier_percent", "incentive_refused",
)  # fmt: skip


async def _rows(
    connection: AsyncConnection[Any], statement: str, *arguments: Any, prepare: bool | None = None
) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), arguments, prepare=prepare)
        return await cursor.fetchall()


def is_id(text: str) -> bool:
    """Whether this is a UUID as Baton writes it: others name nothing, and Postgres would refuse them."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


async def answers(connection: AsyncConnection[Any]) -> None:
    """Whether Postgres does."""
    await connection.execute("SELECT 1")


async def delivery(connection: AsyncConnection[Any], delivery_id: str) -> Row | None:
    """One delivery."""
    if not is_id(delivery_id):
        return None
    rows = await _rows(connection, "SELECT * FROM deliveries WHERE delivery_id = %s::uuid", delivery_id)
    return rows[0] if rows else None


async def driver(connection: AsyncConnection[Any], driver_id: str) -> Row | None:
    """One driver."""
    rows = await _rows(connection, "SELECT * FROM drivers WHERE driver_id = %s", driver_id)
    return rows[0] if rows else None


async def parties(connection: AsyncConnection[Any], delivery_id: str) -> Row | None:
    """Seller of a delivery, and the driver who holds it now: None for nobody."""
    statement = (
        "SELECT seller_id, CASE WHEN ended_at IS NULL AND assigned_at IS NOT NULL AND status <> 'offered'"
        " THEN driver_id END AS driver_id FROM deliveries WHERE delivery_id = %s::uuid"
    )
    rows = await _rows(connection, statement, delivery_id)
    return rows[0] if rows else None


async def audit(connection: AsyncConnection[Any], delivery_id: str) -> list[Row]:
    """A delivery's events in order."""
    statement = (
        "SELECT event, audit_word, version, at, actor_type, actor_id, causation_id, body, encode(hash, 'hex') AS hash"
        " FROM delivery_audit_logs WHERE delivery_id = %s::uuid AND topic = 'delivery.events' ORDER BY version"
    )
    return await _rows(connection, statement, delivery_id) if is_id(delivery_id) else []


async def offers(connection: AsyncConnection[Any], driver_id: str, open_only: bool) -> list[Row]:
    """A driver's offers, newest first; open ones only, if wanted."""
    which = " AND outcome = 'PENDING' AND expires_at > now()" if open_only else ""
    statement = "SELECT * FROM driver_offers WHERE driver_id = %s" + which + " ORDER BY sent_at DESC LIMIT 200"
    return [_offer(row) for row in await _rows(connection, statement, driver_id)]


async def held_by(connection: AsyncConnection[Any], driver_id: str) -> list[Row]:
    """What the driver holds now."""
    statement = (
        "SELECT offer_id, delivery_id, store_name, pickup_lat, pickup_lng, dropoff_lat, dropoff_lng, status,"
        " assigned_at AS at, assigned_how AS how, pickup_eta, delivery_eta FROM deliveries"
        " WHERE driver_id = %s AND ended_at IS NULL AND assigned_at IS NOT NULL AND status <> 'offered'"
    )
    return [_placed(row) for row in await _rows(connection, statement, driver_id)]


async def held(connection: AsyncConnection[Any], driver_id: str, delivery_id: str) -> Row | None:
    """This delivery, if the driver holds it now."""
    rows = await held_by(connection, driver_id)
    return next((row for row in rows if str(row["delivery_id"]) == delivery_id), None)


async def as_of(connection: AsyncConnection[Any], delivery_ids: Sequence[str]) -> dict[str, int]:
    """Of when the rows of these deliveries are: the moments of their last events, UTC ms."""
    statement = "SELECT delivery_id::text, updated_at FROM deliveries WHERE delivery_id = ANY(%s::uuid[])"
    rows = await _rows(connection, statement, list(delivery_ids), prepare=False)
    return {row["delivery_id"]: round(row["updated_at"].timestamp() * 1000) for row in rows}


async def contacts(connection: AsyncConnection[Any], delivery_ids: Sequence[str]) -> dict[str, Row]:
    """Whom deliveries go to, and exactly where: for nobody but the drivers who hold them.

    Planned each time: a plan kept from when the table was small reads all of it until Postgres next analyses it.
    """
    statement = (
        "SELECT delivery_id::text, name, phone, address, note, lat, lng FROM contacts"
        " WHERE delivery_id = ANY(%s::uuid[])"
    )
    rows = await _rows(connection, statement, list(delivery_ids), prepare=False)
    return {row.pop("delivery_id"): row for row in rows}


async def delivery_of(connection: AsyncConnection[Any], offer_id: str) -> str | None:
    """Which delivery an offer is about."""
    if not is_id(offer_id):
        return None
    statement = "SELECT delivery_id::text FROM driver_offers WHERE offer_id = %s::uuid"
    rows = await _rows(connection, statement, offer_id)
    return rows[0]["delivery_id"] if rows else None


def story_of(dsn: str, delivery_id: str) -> list[tuple[str, Row]]:
    """Names and bodies of a delivery's events, in order, for the command line. Raises psycopg.Error."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        if not is_id(delivery_id):
            return []
        return connection.execute(
            "SELECT event, body FROM delivery_audit_logs"
            " WHERE delivery_id = %s::uuid AND topic = 'delivery.events' ORDER BY version",
            (delivery_id,),
        ).fetchall()


def _placed(row: Row) -> Row:
    """Places as the sockets tell them."""
    rest = {name: value for name, value in row.items() if not name.endswith(("_lat", "_lng"))}
    return rest | {
        "pickup": {"lat": row["pickup_lat"], "lng": row["pickup_lng"]},
        "dropoff": {"lat": row["dropoff_lat"], "lng": row["dropoff_lng"]},
    }


def _offer(row: Row) -> Row:
    money = {
        "earning": {"amount_minor": row["earning_minor"], "currency": row["currency"]},
        "incentive": {"amount_minor": row["incentive_minor"], "currency": row["currency"]},
    }
    parts = {name: row[name] for name in _EARNING_PARTS}
    if row["multiplier_percent"] is not None:  # None: offered before parts were shown
        money["earning_parts"] = parts | {"incentive_minor": row["incentive_minor"]}
    return _placed({name: value for name, value in row.items() if name not in parts}) | money
