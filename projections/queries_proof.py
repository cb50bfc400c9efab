"""What the doors to the proof of a hand-over read."""

from typing import Any

from psycopg import AsyncConnection


async def pin(connection: AsyncConnection[Any], delivery_id: str) -> str | None:
    """What the customer says at the door, while it is wanted: for nobody but the customer. None: no PIN is wanted."""
    statement = (
        "SELECT contacts.pin FROM deliveries JOIN contacts USING (delivery_id)"
        " WHERE delivery_id = %s::uuid AND proof_wanted = 'pin' AND ended_at IS NULL AND contacts.pin <> ''"
    )
    row = await (await connection.execute(statement, (delivery_id,))).fetchone()
    return row[0] if row else None


async def wanted(connection: AsyncConnection[Any], delivery_id: str) -> str:
    """Which proof the order asks for."""
    statement = "SELECT proof_wanted FROM deliveries WHERE delivery_id = %s::uuid"
    row = await (await connection.execute(statement, (delivery_id,))).fetchone()
    return (row[0] if row else None) or "none"
