"""What a driver makes of a command. `docs/tables/driver.md` lists every (availability, command) pair; tests hold it."""

from collections.abc import Callable
from typing import Any

from dispatch.contract.records import driver_commands as commands
from dispatch.contract.records.driver_commands import DriverCommand
from dispatch.contract.records.driver_events import DriverEvent
from dispatch.core.driver import duty, holding, zones
from dispatch.core.driver.draft import Draft
from dispatch.core.driver.states import Driver
from dispatch.core.facts import Facts, Refusal, SearchNeed, ZoneFacts
from dispatch.core.policy import Flags, Policy

_UNKNOWN = Refusal("unknown_driver", "This driver never signed on.")
_DECIDERS: dict[type[DriverCommand], Callable[[Draft, Any], Refusal | None]] = {
    commands.SignOn: duty.sign_on,
    commands.StartShift: duty.resume,
    commands.ResumeWork: duty.resume,
    commands.EndShift: duty.end_shift,
    commands.TakeBreak: duty.take_break,
    commands.ExtendBreak: duty.extend_break,
    commands.PauseDriver: duty.pause,
    commands.UnpauseDriver: duty.unpause,
    commands.SeenAlive: duty.seen_alive,
    commands.ApplyAvailabilityStates: duty.apply_flag,
    commands.SetZonePreference: zones.set_preference,
    commands.ReserveDriver: holding.reserve,
    commands.ConfirmReservation: holding.confirm,
    commands.ReleaseReservation: holding.release,
    commands.DriverTimerDue: duty.timer,
}
_FROM_ANYBODY = (commands.SignOn, commands.ReserveDriver, commands.ConfirmReservation, commands.ReleaseReservation)


def decide(state: Driver, command: DriverCommand, facts: Facts) -> tuple[DriverEvent, ...] | Refusal:
    """The events that the command leads to; none: a repeat, acknowledged; a Refusal: nothing changes, and why."""
    if not state.known and not isinstance(command, _FROM_ANYBODY):
        return _UNKNOWN
    draft = Draft(state, command, facts)
    refused = _DECIDERS[type(command)](draft, command)
    if refused is not None:
        return refused
    if command.actor_type == "driver" and not isinstance(command, commands.SignOn | commands.SeenAlive):
        draft.seen()
    return tuple(draft.events)


def needs(
    state: Driver, command: DriverCommand, policy: Policy, flags: Flags, now_ms: int, zone: ZoneFacts | None = None
) -> SearchNeed | None:
    """A driver decides on what they are; nobody else is looked for."""
    del state, command, policy, flags, now_ms, zone
    return None


def rule_of(command: DriverCommand) -> Callable[..., Refusal | None]:
    """The function that decides this command: where the rule stands, and its docstring says it in a sentence."""
    return _DECIDERS[type(command)]
