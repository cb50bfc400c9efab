"""Every kind of notice: who hears of it, how long it is news, and what quiet hours do to it."""

from dataclasses import dataclass
from typing import Literal

Quiet = Literal["send", "hold", "drop"]
"""In quiet hours: urgent and sent all the same, held until they end, or not told at all."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`stale_s`: after so many seconds it is news no more, and is dropped. `fields`: what its texts may name."""

    quiet: Quiet
    stale_s: int
    fields: frozenset[str]


def _kind(quiet: Quiet, stale_s: int, *fields: str) -> Kind:
    return Kind(quiet, stale_s, frozenset(fields))


HOUR_S = 3_600
_CUSTOMER = ("name", "store", "order", "eta")
_CASE = ("delivery", "order", "store", "why", "level")
CATALOGUE: dict[tuple[str, str], Kind] = {
    ("customer", "driver_assigned"): _kind("drop", HOUR_S // 2, *_CUSTOMER),
    ("customer", "picked_up"): _kind("drop", HOUR_S // 2, *_CUSTOMER),
    ("customer", "arriving"): _kind("send", 600, *_CUSTOMER),
    ("customer", "delivered"): _kind("drop", 6 * HOUR_S, *_CUSTOMER),
    ("customer", "delayed"): _kind("drop", HOUR_S // 2, *_CUSTOMER),
    ("customer", "cancelled"): _kind("send", 24 * HOUR_S, *_CUSTOMER),
    ("customer", "failed"): _kind("send", 24 * HOUR_S, *_CUSTOMER),
    ("driver", "break_ends_soon"): _kind("send", 300, "driver", "until"),
    ("driver", "zone_request"): _kind("drop", HOUR_S // 2, "driver", "zone", "note"),
    ("driver", "broadcast"): _kind("drop", HOUR_S // 2, "driver", "text"),
    ("operations", "unassigned"): _kind("hold", 12 * HOUR_S, *_CASE),
    ("operations", "unassigned_wider_search"): _kind("hold", 12 * HOUR_S, *_CASE),
    ("operations", "unassigned_critical"): _kind("send", 24 * HOUR_S, *_CASE),
    ("operations", "manual_review"): _kind("send", 24 * HOUR_S, *_CASE),
    ("operations", "manual_assignment_denied"): _kind("send", HOUR_S, *_CASE, "driver"),
    ("operations", "zone_understaffed"): _kind("hold", 12 * HOUR_S, "zone", "online", "minimum"),
    ("operations", "zone_staffed"): _kind("hold", 12 * HOUR_S, "zone", "online", "minimum"),
    ("operations", "webhook_disabled"): _kind("hold", 72 * HOUR_S, "seller", "host", "why"),
    ("support", "support_ticket"): _kind("send", 24 * HOUR_S, *_CASE),
    ("support", "ticket_closed"): _kind("send", 24 * HOUR_S, *_CASE),
}
