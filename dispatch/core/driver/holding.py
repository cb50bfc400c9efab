"""Who holds this driver: reserve, confirm, release. The driver is the only judge, and only a Release ends a hold."""

from dispatch.contract.records import driver_commands as commands
from dispatch.contract.records import driver_events as events
from dispatch.contract.records.shared import DenyReason
from dispatch.core.driver.draft import Draft
from dispatch.core.driver.duty import after_release
from dispatch.core.driver.states import Driver, free_capacity, held, takes_offers
from dispatch.core.facts import Refusal


def reserve(draft: Draft, command: commands.ReserveDriver) -> Refusal | None:
    """Grants while working and below capacity; the fence rises with each grant."""
    why = _why_not(draft.state, command)
    if why:
        draft.add(events.DriverReservationDenied, offer_id=command.offer_id, delivery_id=command.delivery_id, why=why)
        return None
    draft.add(
        events.DriverReserved,
        offer_id=command.offer_id,
        delivery_id=command.delivery_id,
        fence=draft.state.fence + 1,
        pickup_lat=command.pickup_lat,
        pickup_lng=command.pickup_lng,
        free_capacity=free_capacity(draft.state) - 1,
    )
    return None


def confirm(draft: Draft, command: commands.ConfirmReservation) -> Refusal | None:
    """The delivery is this driver's. A break or shift end that crossed the acceptance waits for the delivery's end."""
    hold, before = held(draft.state, command.offer_id), draft.state
    if hold is None or hold.confirmed:
        return None
    draft.add(
        events.DriverReservationConfirmed,
        offer_id=hold.offer_id,
        delivery_id=hold.delivery_id,
        fence=hold.fence,
        how=command.how,
        free_capacity=free_capacity(before),
    )
    match draft.state.duty:
        case "break":
            rest_ms = max(1, before.break_until_ms - draft.facts.now_ms)
            draft.change("accepted_before_break", duty="working", pending_break_ms=rest_ms, pending_notice_ms=0)
        case "ended":
            draft.change("accepted_before_shift_end", duty="working", pending_end=True)
        case "working":
            draft.show(before, "delivery_assigned")
    return None


def release(draft: Draft, command: commands.ReleaseReservation) -> Refusal | None:
    """The delivery lets the driver go. Of an offer that is not held: nothing."""
    hold, before = held(draft.state, command.offer_id), draft.state
    if hold is None:
        return None
    free = min(before.capacity, free_capacity(before) + 1) if takes_offers(before) else 0
    draft.add(
        events.DriverReservationReleased,
        offer_id=hold.offer_id,
        delivery_id=hold.delivery_id,
        why=command.why,
        free_capacity=free,
    )
    if hold.confirmed:
        after_release(draft, before)
    return None


def _why_not(state: Driver, command: commands.ReserveDriver) -> DenyReason | None:
    if not state.known:
        return "unknown_driver"
    if held(state, command.offer_id):
        return "already_held"
    if not takes_offers(state):
        return "not_available"
    return "at_capacity" if free_capacity(state) < 1 else None
