"""Decisions beside the events that they led to, whichever is read first: one outcome a command, cause before effect."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from dispatch.checker.causes import misfit
from dispatch.checker.matching import Messages
from dispatch.checker.report import Findings, Place
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.system import Decision

REMEMBERED = 8
"""Commands that an aggregate remembers at the least (as a rule 32; their outcomes are bounded in bytes): a repeat that
comes later may be decided again, if it changes nothing."""
_TO_DRIVER = (vc.ReserveDriver, vc.ConfirmReservation, vc.ReleaseReservation)
_TO_DELIVERY = (dc.ReservationGranted, dc.ReservationDenied, dc.DriverUnavailable, dc.DriverBack)
TIMERS = (dc.DeliveryTimerDue, vc.DriverTimerDue)
INTERNAL = (*_TO_DRIVER, *_TO_DELIVERY, *TIMERS)
"""Commands that only workers make, inside their transactions."""


class Redecide(Protocol):
    """Decides again from what was recorded. The checker has no core; whoever has one gives it (rule 15)."""

    def __call__(self, decision: Decision, before: list[bytes]) -> list[bytes]:
        """The bytes of the events, after the aggregate's events `before`, the first to the last."""


class Told(NamedTuple):
    """What a decision says of its command, as far as a reply must say the same."""

    outcome: str
    reason: str
    version: int


@dataclass(slots=True)
class _History:
    """One aggregate: what was read of one side and not yet of the other."""

    matched: int = 0
    """Its version, as far as both sides are read."""
    now_ms: int = 0
    count: int = 0
    events: deque[tuple[Any, Place, bytes]] = field(default_factory=deque)
    decisions: deque[tuple[Decision, Any, Place]] = field(default_factory=deque)
    values: list[bytes] = field(default_factory=list)
    """Every event, where it is decided again."""


class Decisions:
    """Takes decisions and events, each aggregate's in order."""

    def __init__(self, findings: Findings, messages: Messages, redecide: Redecide | None = None) -> None:
        self.decided: dict[str, tuple[int, Place]] = {}
        """By command: how many the aggregate had decided before it, and where."""
        self.tells: dict[str, list[Told]] = {}
        """What whoever waits is to be told, by command."""
        self.born_again: list[tuple[str, Decision, Place]] = []
        """Decisions about aggregates that had decided before and are unknown again."""
        self.cut = False
        """The log does not go back to the beginning: what lies before its first record is not asked for."""
        self._histories: dict[str, _History] = {}
        self._findings, self._messages, self._redecide = findings, messages, redecide

    @property
    def decides_again(self) -> bool:
        """Whether somebody was given who decides again."""
        return self._redecide is not None

    def event(self, name: str, event: Any, value: bytes, place: Place) -> None:
        """One event of an aggregate, with its bytes."""
        history = self._histories.get(name) or self._histories.setdefault(name, _History())
        history.events.append((event, place, value))
        if history.decisions:
            self._join(name, history)

    def decision(self, decision: Decision, command: Any, place: Place) -> bool:
        """One decision, with its command. Whether it is the command's first."""
        name, command_id = decision.aggregate_id, decision.command_id
        history = self._histories.get(name) or self._histories.setdefault(name, _History())
        if decision.now_ms < history.now_ms:
            early_ms = history.now_ms - decision.now_ms
            self._findings.add(12, place, f"{name} decides {early_ms} ms before its last decision")
        history.now_ms = max(history.now_ms, decision.now_ms)
        first = self._is_first(history, decision, command, place)
        if first:
            self.decided[command_id] = (history.count, place)
            self._pass_on(decision, command, place)
        history.count += 1
        if command.reply_to >= 0:
            told = Told(decision.outcome, decision.reason, decision.version_before + decision.events)
            self.tells.setdefault(command_id, []).append(told)
        if isinstance(command, TIMERS) and not decision.events:
            what = f"{command.timer} {command.ref}".strip()
            self._findings.add(11, place, f"{what} of {name}, due at {command.due_at_ms}, is decided without effect")
        if (decision.outcome == "accepted") != (decision.events > 0):
            self._findings.add(7, place, f"{command_id} is {decision.outcome} with {decision.events} events")
        history.decisions.append((decision, command, place))
        self._join(name, history)
        return first

    def finish(self, *, quiescent: bool) -> None:
        """What is left on one side."""
        for name, history in self._histories.items():
            if history.events and not self.cut:
                event, place, _ = history.events[0]
                what = f"{type(event).__name__} of {name}, version {event.version}"
                self._findings.add(12, place, f"{what}: its cause {event.causation_id} was never decided")
            elif history.decisions and quiescent:
                decision, _, place = history.decisions[0]
                missing = f"{decision.events} events after version {decision.version_before}"
                self._findings.add(5, place, f"{name}: {missing} were decided; {history.matched} is where they end")

    def _is_first(self, history: _History, decision: Decision, command: Any, place: Place) -> bool:
        before = self.decided.get(decision.command_id)
        if before is None:
            return True
        count, where = before
        if isinstance(command, TIMERS):
            self._findings.add(11, place, f"timer {decision.command_id} was decided before, at {where}")
        elif decision.events or isinstance(command, INTERNAL) or history.count - count <= REMEMBERED:
            self._findings.add(7, place, f"command {decision.command_id} was decided before, at {where}")
        return False

    def _pass_on(self, decision: Decision, command: Any, place: Place) -> None:
        """A command between aggregates is held against what its sender's events command."""
        if isinstance(command, _TO_DRIVER):
            self._messages.decided((command.delivery_id, decision.aggregate_id), decision.command_id, place)
        elif isinstance(command, _TO_DELIVERY):
            self._messages.decided((command.driver_id, decision.aggregate_id), decision.command_id, place)

    def _join(self, name: str, history: _History) -> None:
        """Takes off both sides the decisions whose events are all there."""
        while history.decisions:
            decision, command, place = history.decisions[0]
            if len(history.events) < decision.events:
                return
            history.decisions.popleft()
            if decision.version_before != history.matched:
                if self.cut and not history.matched:
                    history.matched = decision.version_before
                elif decision.version_before == 0 and not decision.events:
                    self.born_again.append((name, decision, place))
                    continue
                else:
                    seen = f"version {decision.version_before}, and {history.matched} was reached"
                    self._findings.add(5, place, f"{name} decides {decision.command_id} from {seen}")
            before = list(history.values) if self._redecide is not None else []
            made = [history.events.popleft() for _ in range(decision.events)]
            for number, (event, where, _) in enumerate(made):
                self._belongs(decision, command, event, where, number)
            history.matched = made[-1][0].version if made else history.matched
            if self._redecide is not None:
                self._again(self._redecide, decision, before, [value for _, _, value in made], place)
                history.values += [value for _, _, value in made]

    def _belongs(self, decision: Decision, command: Any, event: Any, place: Place, number: int) -> None:
        kind = type(event).__name__
        if event.causation_id != decision.command_id:
            self._findings.add(12, place, f"{kind} names {event.causation_id} as its cause, not {decision.command_id}")
        if event.version != decision.version_before + number + 1:
            self._findings.add(5, place, f"{kind} has version {event.version} in a decision from version "
                               f"{decision.version_before}")  # fmt: skip
        if event.at_ms != decision.now_ms:
            self._findings.add(12, place, f"{kind} says {event.at_ms}, and was decided at {decision.now_ms}")
        if why := misfit(command, event, first=number == 0):
            self._findings.add(20, place, why)

    def _again(
        self, redecide: Redecide, decision: Decision, before: list[bytes], made: list[bytes], place: Place
    ) -> None:
        again = redecide(decision, before)
        if again != made:
            same = sum(1 for one, other in zip(again, made, strict=False) if one == other)
            what = f"{len(made)} events recorded, {len(again)} decided again, {same} of them with the same bytes"
            self._findings.add(15, place, f"{decision.aggregate_id}, {decision.command_id}: {what}")
