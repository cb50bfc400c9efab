"""Support tickets: the first escalation opens one, an assignment or the end closes it. Folded from delivery events.

From the events and not from notices, for those of one delivery keep their order: an assignment is never seen before the
escalation that it settles.
"""

from typing import Any

import psycopg

from dispatch.contract import identity
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.contract.records.system import Notice
from dispatch.notices.ledger import moment

Connection = psycopg.Connection[Any]
_CLOSED_BY = {
    events.DriverAssigned: "assigned",
    events.DeliveryCancelled: "ended",
    events.DeliveryCompleted: "ended",
    events.DeliveryFailed: "ended",
    events.DeliveryReturned: "ended",
}


def concerns(event: Any) -> bool:
    """Whether tickets care for it."""
    return type(event) in _CLOSED_BY or (isinstance(event, events.UnassignedEscalated) and event.level == 1)


def take(connection: Connection, event: DeliveryEvent) -> Notice | None:
    """Opens or closes; what support is then to be told. As often as one likes; within a transaction."""
    if isinstance(event, events.UnassignedEscalated):
        connection.execute(
            "INSERT INTO support_tickets (ticket_id, delivery_id, level, why, opened_at) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (ticket_id(event), event.delivery_id, event.level, event.why, moment(event.at_ms)),
        )
        return None
    why = _CLOSED_BY[type(event)]
    closed = close(connection, "delivery_id", event.delivery_id, "dispatch", why, event.at_ms)
    return _closing(event, why) if closed else None


def close(connection: Connection, column: str, value: str, by: str, why: str, at_ms: int) -> bool:
    """Closes the open ticket with this `ticket_id` or `delivery_id`, opened before; False when there is none."""
    assert column in ("ticket_id", "delivery_id")
    found = connection.execute(
        f"UPDATE support_tickets SET closed_at = %s, closed_by = %s, closed_why = %s"
        f" WHERE {column}::text = %s AND closed_at IS NULL AND opened_at <= %s".encode(),
        (moment(at_ms), by, why, value, moment(at_ms)),
    )
    return found.rowcount == 1


def ticket_id(event: DeliveryEvent) -> str:
    """Follows from the escalation, so that it is opened once."""
    return identity.command_id(event.event_id, "ticket")


def _closing(event: DeliveryEvent, why: str) -> Notice:
    return Notice(
        notice_id=identity.command_id(event.event_id, "notice support ticket_closed"),
        audience="support",
        kind="ticket_closed",
        delivery_id=event.delivery_id,
        at_ms=event.at_ms,
        details={"why": why},
    )
