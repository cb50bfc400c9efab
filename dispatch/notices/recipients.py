"""What a notice's texts need to know, looked up when it is sent: the contact, the order, times of day."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from dispatch.inputs.rules import Rules
from dispatch.notices import quiet
from dispatch.notices.ledger import Claimed, uuid_of
from dispatch.notices.templates import spoken

Connection = psycopg.Connection[Any]
_DELIVERY = "SELECT store_name, seller_order_id, delivery_eta, zone FROM deliveries WHERE delivery_id = %s"
_CONTACT = "SELECT name, phone, language FROM contacts WHERE delivery_id = %s"
_DRIVER = "SELECT name, phone, language FROM driver_contacts WHERE driver_id = %s"
_PATIENCE = 3
"""Attempts, of which the last goes without the order: operations and support are told late rather than never."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """Fields of the texts, and a customer's or driver's name and phone. Personal data: used and dropped."""

    language: str
    fields: dict[str, str]
    to: dict[str, str]


def zone_of_delivery(connection: Connection, delivery_id: str) -> str:
    """The zone of its pickup, as far as the read models know; "none" otherwise."""
    row = connection.execute("SELECT zone FROM deliveries WHERE delivery_id = %s", (uuid_of(delivery_id),)).fetchone()
    return str(row[0]) if row else "none"


def addressed(connection: Connection, claimed: Claimed, rules: Rules, default_language: str) -> Addressed | None:
    """Everything the notice needs; None while the order's contact is not there (yet, or any more).

    Who needs no contact is told without the order, too, when its row has not come for `_PATIENCE` attempts.
    """
    order, contact, policy = _row(connection, _DELIVERY, uuid_of(claimed.delivery_id)), None, rules.policy.notices
    if claimed.audience == "customer":
        contact = _row(connection, _CONTACT, uuid_of(claimed.delivery_id))
        if contact is None or order is None:
            return None
    elif claimed.audience == "driver":
        contact = _row(connection, _DRIVER, claimed.driver_id)
    elif order is None and claimed.delivery_id and claimed.attempts < min(_PATIENCE, policy.send_attempts):
        return None  # the tables are a moment behind the log
    zone = quiet.zone_of(rules.policy_for(str(order["zone"]) if order else "none").notices)
    details = claimed.details
    told_ms = _ms(details.get("delivery_eta_ms"))
    eta_ms = told_ms or (order["delivery_eta"].timestamp() * 1000 if order and order["delivery_eta"] else 0)
    fields = {
        "store": order["store_name"] if order else "", "order": order["seller_order_id"] if order else "",
        "delivery": claimed.delivery_id, "driver": claimed.driver_id, "level": str(claimed.level),
        "why": details.get("why", ""), "zone": details.get("zone", ""), "note": details.get("note", ""),
        "seller": details.get("seller", ""), "host": details.get("host", ""),
        "online": details.get("online", ""), "minimum": details.get("minimum", ""),
        "eta": f"{datetime.fromtimestamp(eta_ms / 1000, zone):%H:%M}" if eta_ms else "?",
        "until": f"{datetime.fromtimestamp(_ms(details.get('until_ms')) / 1000, zone):%H:%M}",
    }  # fmt: skip
    if contact is None:
        return Addressed(spoken("", default_language), fields, {})
    to = {"name": contact["name"], "phone": contact["phone"]}
    return Addressed(spoken(contact["language"], default_language), fields | {"name": contact["name"]}, to)


def _ms(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _row(connection: Connection, statement: str, key: str | UUID | None) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), (key,)).fetchone()
