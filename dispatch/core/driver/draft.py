"""A driver's decision in the making: events are added one by one and folded at once."""

from typing import Any

from msgspec.structs import replace

from dispatch.contract import identity
from dispatch.contract.records import driver_events as events
from dispatch.contract.records.driver_commands import DriverCommand
from dispatch.contract.records.driver_events import DriverEvent
from dispatch.core.driver.evolve import evolve
from dispatch.core.driver.states import Driver, availability, free_capacity
from dispatch.core.facts import Facts


class Draft:
    """The state as decided so far, and the events that led there."""

    def __init__(self, state: Driver, command: DriverCommand, facts: Facts) -> None:
        self.state = state
        self.command = command
        self.facts = facts
        self.events: list[DriverEvent] = []

    def add(self, event_type: type[Any], **fields: Any) -> None:
        """Adds the next event, with its header, and folds it."""
        state, command = self.state, self.command
        version = state.version + 1
        event = event_type(
            event_id=identity.event_id(state.id, version),
            driver_id=state.id,
            version=version,
            at_ms=self.facts.now_ms,
            actor_type=command.actor_type,
            actor_id=command.actor_id,
            causation_id=command.command_id,
            correlation_id=command.correlation_id,
            **fields,
        )
        self.state = evolve(state, event)
        self.events.append(event)

    def change(
        self, reason: str, *, until_ms: int | None = None, notice_at_ms: int | None = None, **parts: Any
    ) -> None:
        """One change of availability: the parts named become so, and the word follows."""
        self._changed(self.state, replace(self.state, **parts), reason, until_ms, notice_at_ms)

    @property
    def plain(self) -> bool:
        """Whether the flag of breaks, shifts and pauses is off for this driver now."""
        return not self.facts.flags.availability_states.covers(self.state.id, "none")

    def show(self, before: Driver, reason: str) -> None:
        """Says that the word changed, when what is held made it change."""
        if availability(before) != availability(self.state):
            self._changed(before, self.state, reason, None, None)

    def seen(self, lat: float | None = None, lng: float | None = None) -> None:
        """A sign of life: recorded at most once in a while, and always when it ends an absence."""
        state, policy = self.state, self.facts.policy.availability
        if state.offline or self.facts.now_ms - state.last_seen_ms >= policy.seen_every_s * 1000:
            self.add(
                events.DriverSeen,
                seen_at_ms=self.facts.now_ms,
                lat=lat,
                lng=lng,
                offline_at_ms=self.offline_at_ms(),
            )
        if state.offline:
            self.change("back", offline=False)

    def offline_at_ms(self) -> int:
        """When the driver counts as offline, if nothing more is heard."""
        return self.facts.wall_ms + round(self.facts.policy.availability.offline_after_s * 1000)

    def _changed(
        self, before: Driver, after: Driver, reason: str, until_ms: int | None, notice_at_ms: int | None
    ) -> None:
        after = replace(after, plain=self.plain)
        self.add(
            events.DriverAvailabilityChanged,
            from_availability=availability(before),
            to_availability=availability(after),
            reason=reason[:200],
            until_ms=until_ms if until_ms is not None else after.break_until_ms or None,
            notice_at_ms=notice_at_ms,
            duty=after.duty,
            paused=after.paused,
            offline=after.offline,
            pending_break_ms=after.pending_break_ms,
            pending_notice_ms=after.pending_notice_ms,
            pending_end=after.pending_end,
            free_capacity=free_capacity(after),
            plain=after.plain,
        )
