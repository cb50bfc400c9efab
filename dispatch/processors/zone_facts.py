"""Which zone a command is about, and what is known of it when it is decided."""

from typing import Any

from dispatch.contract.records.driver_commands import SetZonePreference
from dispatch.core.facts import ZoneFacts
from dispatch.inputs.zones import ZoneBoard


def zone_facts(board: ZoneBoard, state: Any, command: Any, now_ms: int) -> ZoneFacts | None:
    """Of a delivery that was ready, the zone it then lay in; before that, that of its pickup. None: of no zone."""
    if isinstance(command, SetZonePreference):
        return board.facts(command.zone, now_ms)
    order = getattr(state, "order", None)
    if order is None:
        order = getattr(command, "order", None)
        if order is None:
            return None
    elif state.ready_at_ms:
        return board.facts(order.zone, now_ms, order.currency)
    return board.facts(board.table.at(order.pickup_lat, order.pickup_lng), now_ms, order.currency)
