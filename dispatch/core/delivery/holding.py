"""The delivery in a driver's hands: progress, failure, return, giving up, losing the driver."""

from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.core.delivery import proof, refusals
from dispatch.core.delivery.draft import Draft
from dispatch.core.delivery.offering import too_late
from dispatch.core.delivery.states import PICKED_UP, STEPS, Closed, Delivery, Held, Offered, Returning, Unknown
from dispatch.core.facts import Refusal

_STEP_EVENTS: tuple[type[DeliveryEvent], ...] = (
    events.PickupStarted, events.ArrivedAtPickup, events.PickupCompleted, events.DeliveryStarted,
    events.ArrivedAtDropoff, events.DeliveryCompleted,
)  # fmt: skip
_WITH_PROOF = (events.PickupCompleted, events.DeliveryCompleted)


def progress(draft: Draft, command: commands.ReportProgress) -> Refusal | None:
    """The next step. Forward only, skipping allowed, but never past the pickup; the last with the proof asked for."""
    held = draft.state.phase
    wanted = STEPS.index(command.step) + 1
    if isinstance(held, Closed) and (held.status, command.step) == ("delivered", "delivered"):
        return None
    if not isinstance(held, Held) or held.offer_id != command.offer_id:
        return too_late(draft.state, command.offer_id)
    if held.driver_id != command.driver_id:
        return refusals.NOT_YOURS
    if wanted == held.progress:
        return None
    if wanted < held.progress or (wanted > PICKED_UP > held.progress):
        allowed = STEPS[held.progress :] if held.progress >= PICKED_UP else STEPS[held.progress : PICKED_UP]
        return refusals.not_allowed_now(draft.state, f"allowed next: {', '.join(allowed)}")
    if refused := proof.lacking(draft.state, command):
        return refused
    if held.grace_until_ms:
        draft.add(events.DriverRecovered, offer_id=held.offer_id, driver_id=held.driver_id)
    if proof.pin_is_wrong(draft.state, command):
        _wrong_pin(draft, held)
        return None
    event_type = _STEP_EVENTS[wanted - 1]
    more: dict[str, object] = {}
    if event_type in _WITH_PROOF:
        more |= {"proof_ref": command.proof_ref, "signature_ref": command.signature_ref}
    if event_type is events.DeliveryCompleted:
        more["total_ms"] = max(0, draft.facts.now_ms - draft.state.ready_at_ms)
        more |= {"pin_checked": proof.pin_is_right(draft.state, command), "note": command.note}
    draft.add(event_type, offer_id=held.offer_id, driver_id=held.driver_id, **more)
    return None


def fail(draft: Draft, command: commands.FailDelivery) -> Refusal | None:
    """Before pickup it ends; after it the goods go back. While they do, only an admin may call it failed for good."""
    by_admin = command.actor_type == "admin"
    match draft.state.phase:
        case Held() as held if by_admin or (held.offer_id, held.driver_id) == (command.offer_id, command.driver_id):
            _failed(draft, held, command, returning=held.progress >= PICKED_UP)
            return None
        case Returning() as back if by_admin:
            _failed(draft, back, command, returning=False)
            return None
        case Returning(offer_id=offer_id, driver_id=driver_id) if (offer_id, driver_id) == (
            command.offer_id, command.driver_id,
        ):  # fmt: skip
            return None
        case Closed(status="failed"):
            return None
    if by_admin:
        return refusals.not_allowed_now(draft.state, "only a delivery with a driver can fail; cancel it instead")
    return too_late(draft.state, command.offer_id)


def bring_back(draft: Draft, command: commands.ReturnDelivery) -> Refusal | None:
    """The goods are at the store again."""
    match draft.state.phase:
        case Returning() as back if command.actor_type == "admin" or (back.offer_id, back.driver_id) == (
            command.offer_id, command.driver_id,
        ):  # fmt: skip
            draft.add(events.DeliveryReturned, offer_id=back.offer_id, driver_id=back.driver_id, note=command.note)
            return None
        case Returning():
            return refusals.NOT_YOURS
        case Closed(status="returned"):
            return None
        case Unknown():
            return refusals.UNKNOWN_ORDER
    return refusals.not_allowed_now(draft.state, "only failed goods are returned")


def give_up(draft: Draft, command: commands.GiveUpDelivery) -> Refusal | None:
    """The driver cancels: before pickup the next driver is sought; after it people must look."""
    held = draft.state.phase
    if not isinstance(held, Held) or held.offer_id != command.offer_id:
        return too_late(draft.state, command.offer_id)
    if held.driver_id != command.driver_id:
        return refusals.NOT_YOURS
    if held.progress >= PICKED_UP:
        if not draft.state.needs_review:
            draft.review("driver_cancelled", critical=True)
        return None
    reassign(draft, held, "driver_cancelled", command.note)
    return None


def unavailable(draft: Draft, command: commands.DriverUnavailable) -> Refusal | None:
    """The driver can no longer serve. An offer goes on to the next; an assignment as DESIGN's rule 6 says."""
    match draft.state.phase:
        case Offered(offer_id=offer_id) if offer_id == command.offer_id:
            draft.withdraw("driver_unavailable")
            draft.next_candidate()
        case Held(offer_id=offer_id) as held if offer_id == command.offer_id:
            _lost(draft, held, command)
    return None


def back(draft: Draft, command: commands.DriverBack) -> Refusal | None:
    """Within the grace the same driver keeps it."""
    held = draft.state.phase
    if isinstance(held, Held) and held.offer_id == command.offer_id and held.grace_until_ms:
        draft.add(events.DriverRecovered, offer_id=held.offer_id, driver_id=held.driver_id)
    return None


def reassign(draft: Draft, held: Held, reason: str, note: str, *, by_admin: bool = False) -> None:
    """Takes it from the holder; searches again unless it changed hands too often or the feature is off."""
    draft.take_away(held, reason, note)
    variant = draft.state.variant
    if draft.state.attempt_count > draft.facts.policy.reassignment.max_attempts:
        draft.review("too_many_reassignments", critical=True)
    elif not by_admin and (variant is None or not variant.reassignment):
        draft.review("reassignment_is_off", critical=False)
    else:
        draft.search()


def goes_on_searching(state: Delivery, max_attempts: int, *, by_admin: bool = False) -> bool:
    """Whether `reassign` will search: then the decision needs candidates."""
    allowed = by_admin or (state.variant is not None and state.variant.reassignment)
    return allowed and state.attempt_count + 1 <= max_attempts


def leaves_holder(held: Held, command: commands.DriverUnavailable) -> bool:
    """Whether this loss takes the delivery from its holder at once."""
    if held.progress >= PICKED_UP:
        return False
    if command.why == "paused_reassign":
        return True
    return command.why in ("break_started", "shift_ended") and held.how in ("auto", "direct")


def _wrong_pin(draft: Draft, held: Held) -> None:
    """Counted; at the last one allowed people must look. The driver keeps the goods."""
    wrong = draft.state.wrong_pins + 1
    draft.add(events.ProofRefused, offer_id=held.offer_id, driver_id=held.driver_id, wrong=wrong)
    if wrong >= proof.MOST_WRONG_PINS and not draft.state.needs_review:
        draft.review("wrong_pins", critical=True)


def _lost(draft: Draft, held: Held, command: commands.DriverUnavailable) -> None:
    if held.progress >= PICKED_UP:
        if command.why in ("offline", "paused_reassign") and not draft.state.needs_review:
            draft.review(f"driver_lost_after_pickup: {command.why}", critical=True)
    elif leaves_holder(held, command):
        reason = "admin_forced" if command.why == "paused_reassign" else "driver_cancelled"
        reassign(draft, held, reason, command.why, by_admin=command.why == "paused_reassign")
    elif command.why == "offline" and not held.grace_until_ms:
        until_ms = draft.facts.wall_ms + round(draft.facts.policy.reassignment.grace_s * 1000)
        draft.add(
            events.DriverLost,
            offer_id=held.offer_id,
            driver_id=held.driver_id,
            why=command.why,
            grace_until_ms=until_ms,
        )


def _failed(draft: Draft, held: Held | Returning, command: commands.FailDelivery, *, returning: bool) -> None:
    draft.add(
        events.DeliveryFailed,
        offer_id=held.offer_id,
        driver_id=held.driver_id,
        reason=command.reason,
        note=command.note,
        returning=returning,
    )
