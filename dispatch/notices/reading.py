"""What people at a terminal see of notices and tickets. Raises psycopg.Error."""

import getpass
import time
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dispatch.notices import ledger, tickets

STATES = ("pending", "claimed", "sent", "dropped", "unknown", "dead")
Row = dict[str, Any]


def notices(dsn: str, state: str, delivery_id: str, limit: int) -> list[Row]:
    """The newest first; of one state or delivery, where one is named."""
    return _rows(
        dsn,
        "SELECT * FROM notices WHERE (%(state)s = '' OR state = %(state)s)"
        " AND (%(delivery)s = '' OR delivery_id = %(delivery)s) ORDER BY at DESC LIMIT %(limit)s",
        {"state": state, "delivery": delivery_id, "limit": limit},
    )


def open_tickets(dsn: str, *, closed_too: bool, limit: int) -> list[Row]:
    """The oldest first."""
    which = "true" if closed_too else "closed_at IS NULL"
    statement = (
        "SELECT t.*, d.seller_id, d.seller_order_id, d.zone FROM support_tickets t"
        f" LEFT JOIN deliveries d ON d.delivery_id = t.delivery_id WHERE {which}"
        " ORDER BY closed_at IS NOT NULL, opened_at LIMIT %(limit)s"
    )
    return _rows(dsn, statement, {"limit": limit})


def close_ticket(dsn: str, ticket: str, by: str, why: str) -> bool:
    """Closes the open ticket of this id or of this delivery; False when there is none."""
    now_ms = time.time_ns() // 1_000_000
    with psycopg.connect(dsn, connect_timeout=3) as connection, connection.transaction():
        return any(
            tickets.close(connection, column, ticket, by, why, now_ms) for column in ("ticket_id", "delivery_id")
        )


def send_again(dsn: str, notice_id: str) -> int:
    """Puts a dead or unknown notice back; gives how many sendings."""
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        return ledger.again(connection, notice_id)


def whoever_this_is() -> str:
    """The user of this terminal."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"


def _rows(dsn: str, statement: str, arguments: Row) -> list[Row]:
    with psycopg.connect(dsn, connect_timeout=3) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), arguments).fetchall()
