"""What drivers say of themselves, and admins of them: signing on, breaks, shifts, pauses, signs of life, timers."""

from dispatch.contract.records import driver_commands as commands
from dispatch.contract.records import driver_events as events
from dispatch.core.driver.deadlines import deadlines
from dispatch.core.driver.draft import Draft
from dispatch.core.driver.states import Driver, is_busy, rests
from dispatch.core.facts import Deadline, Refusal

_OFF = Refusal("feature_off", "Breaks and shifts are off for this driver.")
_PAUSED = Refusal("paused", "An admin paused this driver; only an admin can end that.")


def sign_on(draft: Draft, command: commands.SignOn) -> Refusal | None:
    """The driver is known from now on, and available unless paused."""
    most = draft.facts.policy.availability.capacity_max
    if not 1 <= command.capacity <= most:
        return Refusal("bad_capacity", f"A capacity of {command.capacity} was given; 1 to {most} is allowed.")
    if not 0 <= command.rating <= 5:
        return Refusal("bad_rating", f"A rating of {command.rating} was given; 0 to 5 is allowed.")
    draft.add(
        events.DriverSignedOn,
        vehicle=command.vehicle,
        capacity=command.capacity,
        rating=command.rating,
        lat=command.lat,
        lng=command.lng,
        offline_at_ms=draft.offline_at_ms(),
    )
    if draft.state.offline or draft.state.duty != "working":
        draft.change("signed_on", offline=False, duty="working")
    return None


def resume(draft: Draft, _command: commands.ResumeWork | commands.StartShift) -> Refusal | None:
    """Ends a break or begins a shift; what was to begin after the delivery in hand is dropped."""
    state = draft.state
    if state.paused:
        return _PAUSED
    if state.duty != "working" or state.pending_break_ms or state.pending_end:
        draft.change("resumed", duty="working", pending_break_ms=0, pending_notice_ms=0, pending_end=False)
    return None


def take_break(draft: Draft, command: commands.TakeBreak) -> Refusal | None:
    """At once, or when the delivery in hand ends."""
    state, policy = draft.state, draft.facts.policy.availability
    low_ms, high_ms = round(policy.break_min_s * 1000), round(policy.break_max_s * 1000)
    if refused := _may_stop(draft):
        return refused
    if state.duty == "break" or state.pending_break_ms:
        return Refusal("already_on_break", "A break is running or asked for; extend it or resume.")
    if state.duty == "ended":
        return Refusal("not_allowed_now", "The shift has ended.")
    if command.duration_ms < low_ms:
        return Refusal("break_too_short", f"{command.duration_ms / 60_000:g} min; at least {low_ms / 60_000:g} min.")
    if command.duration_ms > high_ms:
        return Refusal("break_too_long", f"{command.duration_ms / 60_000:g} min; at most {high_ms / 60_000:g} min.")
    notice_ms = round(policy.break_notice_s * 1000)
    if is_busy(state):
        draft.add(
            events.DriverBreakRequested, duration_ms=command.duration_ms, notice_ms=notice_ms, reason=command.reason
        )
    else:
        start_break(draft, command.duration_ms, notice_ms, command.reason or "break")
    return None


def start_break(draft: Draft, duration_ms: int, notice_ms: int, reason: str) -> None:
    """The break runs from now."""
    until_ms = draft.facts.wall_ms + duration_ms
    draft.change(
        reason,
        until_ms=until_ms,
        notice_at_ms=until_ms - notice_ms if duration_ms > notice_ms else None,
        duty="break",
        pending_break_ms=0,
        pending_notice_ms=0,
    )


def extend_break(draft: Draft, command: commands.ExtendBreak) -> Refusal | None:
    """Longer, but never beyond the limit in all."""
    state, policy = draft.state, draft.facts.policy.availability
    if refused := _may_stop(draft):
        return refused
    if state.duty != "break":
        return Refusal("not_on_break", "No break is running.")
    total_ms = state.break_until_ms + command.extra_ms - state.break_from_ms
    if total_ms > policy.break_max_s * 1000:
        limit_min = policy.break_max_s / 60
        return Refusal("break_too_long", f"{total_ms / 60_000:g} min in all; at most {limit_min:g} min.")
    until_ms = state.break_until_ms + command.extra_ms
    notice_at_ms = until_ms - round(policy.break_notice_s * 1000)
    told_at_ms = notice_at_ms if notice_at_ms > draft.facts.now_ms else None
    draft.add(events.DriverBreakExtended, until_ms=until_ms, notice_at_ms=told_at_ms)
    return None


def end_shift(draft: Draft, command: commands.EndShift) -> Refusal | None:
    """At once, or after the delivery in hand; with one in hand always after it."""
    state = draft.state
    if refused := _may_stop(draft):
        return refused
    if state.duty == "ended" or state.pending_end:
        return None
    if is_busy(state):
        draft.add(events.DriverShiftEndRequested, after_delivery=command.after_delivery)
    else:
        draft.change("shift_ended", duty="ended", pending_break_ms=0, pending_notice_ms=0)
    return None


def pause(draft: Draft, command: commands.PauseDriver) -> Refusal | None:
    """Outranks everything else; the admin says what becomes of the delivery in hand."""
    if not draft.state.paused:
        draft.add(events.DriverPauseRecorded, reason=command.reason, held=command.held)
        draft.change(command.reason, paused=True)
    return None


def unpause(draft: Draft, command: commands.UnpauseDriver) -> Refusal | None:
    """What was underneath shows again."""
    if draft.state.paused:
        draft.change(command.reason, paused=False)
    return None


def seen_alive(draft: Draft, command: commands.SeenAlive) -> Refusal | None:
    """A heartbeat or location."""
    draft.seen(command.lat, command.lng)
    return None


def timer(draft: Draft, command: commands.DriverTimerDue) -> Refusal | None:
    """A deadline has come; one that was overtaken changes nothing."""
    state = draft.state
    if Deadline(command.timer, command.due_at_ms, command.ref) not in deadlines(state):
        return None
    match command.timer:
        case "break_notice":
            draft.add(events.DriverBreakNoticed, until_ms=state.break_until_ms)
        case "break_end":
            draft.change("break_over", duty="working")
        case "offline_check":
            draft.change("nothing_heard", offline=True)
    return None


def apply_flag(draft: Draft, _command: commands.ApplyAvailabilityStates) -> Refusal | None:
    """The flag changed: who rests counts as OFFLINE until they resume, or is seen again as what they are."""
    if rests(draft.state) and draft.state.plain != draft.plain:
        draft.change("availability_states_off" if draft.plain else "availability_states_on")
    return None


def after_release(draft: Draft, before: Driver) -> None:
    """With nothing left in hand, what was asked for begins; else the word may change."""
    state = draft.state
    if is_busy(state):
        return
    if state.pending_end:
        draft.change("shift_ended", duty="ended", pending_end=False, pending_break_ms=0, pending_notice_ms=0)
    elif state.pending_break_ms:
        start_break(draft, state.pending_break_ms, state.pending_notice_ms, "break")
    else:
        draft.show(before, "delivery_ended")


def _may_stop(draft: Draft) -> Refusal | None:
    if draft.plain:
        return _OFF
    return _PAUSED if draft.state.paused else None
