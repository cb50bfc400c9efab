"""Support tickets: the first escalation opens one, an assignment or the end closes it. Folded from delivery events.

From the events and not from notices, for those of one delivery keep their order: an assignment is never seen before the
escalation that it settles.
"""

from collections.abc import Sequence
from typing import Any

import psycopg

from dispatch.contract import codec, identity
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.contract.records.system import Notice
from dispatch.log.application import Record
from dispatch.notices.ledger import moment, uuid_of

Connection = psycopg.Connection[Any]
_CLOSED_BY: dict[type[DeliveryEvent], str] = {
    events.DriverAssigned: "assigned",
    events.DeliveryCancelled: "ended",
    events.DeliveryCompleted: "ended",
    events.DeliveryFailed: "ended",
    events.DeliveryReturned: "ended",
}

_CLOSING = codec.marks(_CLOSED_BY)
_OPENING = codec.marks({events.UnassignedEscalated})
_PASSED_OVER = codec.marks(events.AUDIT_WORDS.keys() - _CLOSED_BY.keys() - {events.UnassignedEscalated})


def concerned(connection: Connection, records: Sequence[Record]) -> set[bytes]:
    """The deliveries, by the keys of their records, whose ticket is open or may be opened within these records."""
    marked = [(record.key, record.value[:5]) for record in records if record.key and record.value]
    opening = {key for key, mark in marked if mark in _OPENING}
    closing = {key for key, mark in marked if mark in _CLOSING} - opening
    if not closing:
        return opening
    found = connection.execute(
        "SELECT delivery_id::text FROM support_tickets WHERE closed_at IS NULL AND delivery_id = ANY(%s)",
        ([name for key in closing if (name := uuid_of(key.decode(errors="replace")))],),
    )
    return opening | {row[0].encode() for row in found}


def passed_over(record: Record, concerned: set[bytes]) -> bool:
    """Whether it is an event of a delivery that changes no ticket: such a one is not even decoded."""
    mark = (record.value or b"")[:5]
    return mark in _PASSED_OVER or (mark in _CLOSING and record.key not in concerned)


def take(connection: Connection, event: Any) -> Notice | None:
    """Opens or closes; what support is then to be told. As often as one likes; within a transaction. Raises
    ContractError for what is none of these events."""
    if isinstance(event, events.UnassignedEscalated):
        if event.level != 1:
            return None
        connection.execute(
            "INSERT INTO support_tickets (ticket_id, delivery_id, level, why, opened_at) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (ticket_id(event), event.delivery_id, event.level, event.why, moment(event.at_ms)),
        )
        return None
    why = _CLOSED_BY.get(type(event))
    if why is None:
        raise ContractError(f"a {type(event).__name__} is no event of a delivery")
    closed = close(connection, "delivery_id", event.delivery_id, "dispatch", why, event.at_ms)
    return _closing(event, why) if closed else None


def close(connection: Connection, column: str, value: str, by: str, why: str, at_ms: int) -> bool:
    """Closes the open ticket with this `ticket_id` or `delivery_id`, opened before; False when there is none."""
    assert column in ("ticket_id", "delivery_id")
    found = connection.execute(
        f"UPDATE support_tickets SET closed_at = %s, closed_by = %s, closed_why = %s"
        f" WHERE {column} = %s AND closed_at IS NULL AND opened_at <= %s".encode(),
        (moment(at_ms), by, why, uuid_of(value), moment(at_ms)),
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
