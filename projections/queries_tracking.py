"""What people who follow deliveries read: status with driver and place, links, events after a version, the live map."""

from typing import Any

from psycopg import AsyncConnection

from projections.queries import Row, _rows

SHOWN = ("assigned", "enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff")
"""From assignment to hand-over: a driver has it."""
_IN_HAND = ", ".join(f"'{status}'" for status in SHOWN)
_STATUS = (
    "SELECT d.delivery_id::text AS delivery_id, d.version, d.status, d.store_name, d.seller_id, d.seller_order_id,"
    " d.zone, d.needs_manual_review, d.prep_s, d.ready_at, d.picked_up_at, d.ended_at, d.updated_at, d.driver_id,"
    " d.pickup_eta_p10, d.pickup_eta, d.pickup_eta_p90, d.pickup_eta_confidence,"
    " d.delivery_eta_p10, d.delivery_eta, d.delivery_eta_p90, d.eta_confidence,"
    " r.rating, r.vehicle, r.lat, r.lng, r.accuracy_m, r.placed_at, c.name, c.phone FROM deliveries d"
    f" LEFT JOIN drivers r ON r.driver_id = d.driver_id AND d.status IN ({_IN_HAND})"
    " LEFT JOIN driver_contacts c ON c.driver_id = r.driver_id"
)
_DELIVERY_OF = (
    "SELECT l.delivery_id::text AS delivery_id FROM tracking_links l JOIN deliveries d USING (delivery_id)"
    " WHERE l.token_hash = %s AND l.revoked_at IS NULL AND l.expires_at > now()"
    " AND (d.ended_at IS NULL OR d.ended_at + l.after_s * interval '1 second' > now())"
)
_MAP_DRIVERS = (
    "SELECT r.driver_id, r.lat, r.lng, r.accuracy_m, r.placed_at, r.availability, r.vehicle, r.capacity, r.holds,"
    " coalesce((SELECT array_agg(d.delivery_id::text ORDER BY d.assigned_at) FROM deliveries d WHERE"
    f" d.driver_id = r.driver_id AND d.ended_at IS NULL AND d.status IN ({_IN_HAND})), '{{}}') AS deliveries"
    " FROM drivers r WHERE r.availability NOT IN ('SHIFT_ENDED', 'OFFLINE')"
    " AND r.lat BETWEEN %s AND %s AND r.lng BETWEEN %s AND %s ORDER BY r.driver_id LIMIT %s"
)
_MAP_WAITING = (
    "SELECT delivery_id::text AS delivery_id, zone, status, store_name, pickup_lat, pickup_lng, dropoff_lat,"
    " dropoff_lng, waiting_since, escalation_level, needs_manual_review FROM deliveries"
    " WHERE ended_at IS NULL AND waiting_since IS NOT NULL AND pickup_lat BETWEEN %s AND %s"
    " AND pickup_lng BETWEEN %s AND %s ORDER BY waiting_since LIMIT %s"
)


async def status(connection: AsyncConnection[Any], delivery_id: str) -> Row | None:
    """A delivery with its driver and their place, those only from assignment to hand-over."""
    rows = await _rows(connection, f"{_STATUS} WHERE d.delivery_id = %s::uuid", delivery_id)
    return rows[0] if rows else None


async def tracked(connection: AsyncConnection[Any], token_hash: str) -> str | None:
    """Which delivery a link is about; None: it is unknown, revoked or over."""
    rows = await _rows(connection, _DELIVERY_OF, token_hash)
    return rows[0]["delivery_id"] if rows else None


async def links(connection: AsyncConnection[Any], delivery_id: str) -> list[Row]:
    """The links to a delivery that were not revoked."""
    statement = "SELECT * FROM tracking_links WHERE delivery_id = %s::uuid AND revoked_at IS NULL"
    return await _rows(connection, statement, delivery_id)


async def link_is_there(connection: AsyncConnection[Any], token_hash: str) -> bool:
    """Whether the read model knows it yet."""
    return bool(await _rows(connection, "SELECT 1 FROM tracking_links WHERE token_hash = %s", token_hash))


async def events_after(connection: AsyncConnection[Any], delivery_id: str, version: int, limit: int) -> list[Row]:
    """A delivery's events after a version, in order: name, version, body."""
    statement = (
        "SELECT event, version, body FROM delivery_audit_logs WHERE delivery_id = %s::uuid AND version > %s"
        " AND topic = 'delivery.events' ORDER BY version LIMIT %s"
    )
    return await _rows(connection, statement, delivery_id, version, limit)


async def driver_card(connection: AsyncConnection[Any], driver_id: str) -> Row | None:
    """A driver as a customer may know them, before it is cut short and masked."""
    statement = (
        "SELECT r.driver_id, r.rating, r.vehicle, c.name, c.phone FROM drivers r"
        " LEFT JOIN driver_contacts c USING (driver_id) WHERE r.driver_id = %s"
    )
    rows = await _rows(connection, statement, driver_id)
    return rows[0] if rows else None


async def zones_of(connection: AsyncConnection[Any], delivery_ids: list[str]) -> dict[str, str]:
    """The zone of each delivery that is known."""
    statement = "SELECT delivery_id::text AS delivery_id, zone FROM deliveries WHERE delivery_id = ANY(%s::uuid[])"
    return {row["delivery_id"]: row["zone"] for row in await _rows(connection, statement, delivery_ids)}


async def live_map(
    connection: AsyncConnection[Any], box: tuple[float, float, float, float], limit: int
) -> tuple[list[Row], list[Row]]:
    """Drivers on duty and orders that wait within south, north, west, east."""
    drivers = await _rows(connection, _MAP_DRIVERS, *box, limit)
    return drivers, await _rows(connection, _MAP_WAITING, *box, limit)
