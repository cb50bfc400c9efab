"""Decides every decision of a partition again and compares outcome and bytes with the log.

The state before a decision is folded from the events of the log. After a difference it goes on with what the log says,
so that one wrong event is one difference and not one for each decision after it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import Decision
from dispatch.core.delivery.states import Closed
from dispatch.log.application import Record
from dispatch.replay import comparing
from dispatch.replay.ahead import WITHIN_MS, Ahead, Source, Wanted
from dispatch.replay.comparing import Field
from dispatch.replay.deciding import CORES, Decided, again
from dispatch.replay.policies import Policies
from dispatch.replay.record import Place, Recorded, Unreadable, decision_in, place_of, taken_apart
from dispatch.replay.report import Difference, Report, counted
from dispatch.replay.states import Key, States

_TIDY = 4_096
"""Decisions after which states that are not needed any more are let go."""


class Sources(NamedTuple):
    """The three topics of one partition, each in its order."""

    decisions: Source
    delivery_events: Source
    driver_events: Source


class Asked(NamedTuple):
    """Which decisions are decided again."""

    since_ms: int = 0
    """Events stamped well before it are folded as they are; 0: every event must have its decision."""
    until_ms: int = 1 << 62
    """An event stamped shortly before it, or after, need not have its decision yet."""
    keys: frozenset[bytes] | None = None


class Verifier:
    """One partition."""

    def __init__(
        self,
        policies: Policies,
        sources: Sources,
        asked: Asked,
        report: Report,
        dressed: Callable[[Any], Any] | None = None,
    ) -> None:
        """`dressed` makes of an event what a log that left something out has of it."""
        self.report, self.states = report, States()
        self.next_offset = -1
        self.lost: set[Key] = set()
        """Aggregates of which events are missing: what they were is not known any more."""
        self._policies, self._decisions, self._asked = policies, sources.decisions, asked
        wanted = Wanted(asked.keys)
        self._wanted, self._dressed = wanted, dressed
        self.ahead = {
            kind: Ahead(source, partial(self._early, kind), asked.since_ms, wanted)
            for kind, source in (("delivery", sources.delivery_events), ("driver", sources.driver_events))
        }

    def run(self, told: Callable[["Verifier"], None] = lambda _: None) -> None:
        """To the end; `told` is called after every decision, and may raise to stop it there."""
        while (record := self._decisions()) is not None:
            self.next_offset = record.offset + 1
            if self._wanted.take(record):
                self.decide(record)
            told(self)
        for kind, ahead in self.ahead.items():
            for event in ahead.rest():
                self._unexplained(kind, event)

    def decide(self, record: Record) -> None:
        """One decision."""
        report = self.report
        report.decisions += 1
        if report.decisions % _TIDY == 0:
            self.states.let_go(record.timestamp_ms - WITHIN_MS)
        try:
            decision = decision_in(record)
        except Unreadable as error:
            report.without(f"a record of decisions that this release cannot read: {error}")
            return
        counted(report.code_versions, decision.code_version)
        counted(report.outcomes, decision.outcome)
        key = (str(decision.aggregate), decision.aggregate_id)
        if key[0] not in CORES:
            report.without("of an aggregate that this release does not know")
            return
        state = self._before(key, record, decision)
        if state is None:
            report.without("its aggregate lost events before")
            return
        try:
            one = taken_apart(record, decision)
        except Unreadable as error:
            self._as_logged(key, state, decision, record.timestamp_ms)
            report.without(f"this release cannot read {error}")
            return
        policy = self._policies.of(decision.policy_version, decision.policy_zone, one.facts.wall_ms)
        if policy is None:
            self._as_logged(key, state, decision, record.timestamp_ms)
            report.without(f"policy {decision.policy_version} is not on record")
            return
        try:
            decided = again(state, one, policy)
        except Exception as error:  # noqa: BLE001 - whatever the core raises is the finding
            self._as_logged(key, state, decision, record.timestamp_ms)
            raised = Field("decision", "outcome", decision.outcome, f"raises {type(error).__name__}: {error}")
            self._differ(one.place, decision, type(one.command).__name__, [raised])
            return
        if self._dressed is not None:
            decided = decided._replace(events=tuple(self._dressed(event) for event in decided.events))
        self._compare(key, state, one, decided)

    def _compare(self, key: Key, state: Any, one: Recorded, decided: Decided) -> None:
        """Byte by byte; the first difference makes it look at fields."""
        decision, kind, name = one.decision, key[0], key[1].encode()
        found = _outcome(decision, decided, CORES[kind].version(state))
        ahead, evolve = self.ahead[kind], CORES[kind].evolve
        if not found:
            for number, event in enumerate(decided.events):
                record = ahead.first(name, one.stamp_ms)
                if record is None or record.value != codec.encode(event):
                    self._compare_fields(key, state, one, decided, number)
                    return
                ahead.pop(name)
                state = evolve(state, event)
            self.report.events += len(decided.events)
            self.report.equal += 1
            self.states.put(key, state)
            return
        self._compare_fields(key, state, one, decided, 0, found)

    def _compare_fields(
        self, key: Key, state: Any, one: Recorded, decided: Decided, done: int, found: list[Field] | None = None
    ) -> None:
        """From the event at which they part: by version, to the last that this command caused."""
        found = found or []
        made = {event.version: event for event in decided.events[done:]}
        version = CORES[key[0]].version
        first = version(state) + 1
        logged = self._of_command(key, one, first, max(len(made), one.decision.events - done))
        for number in sorted({*made, *logged}):
            event, record = made.get(number), logged.get(number)
            read = event
            if event is not None and record is not None:
                read, fields = comparing.event_bytes(record.value, event, codec.encode(event))
                read = read or event
                found += fields
            elif event is not None:
                found.append(_absent(event, "not in the log", "made"))
            elif record is not None:
                read = _read(record)
                found.append(_absent(read or number, "in the log", "not made"))
            state = self._folded(key, state, read)
        self.report.events += len({*made} & {*logged}) + done
        if found:
            self._differ(one.place, one.decision, type(one.command).__name__, found)
        else:  # an older version of a schema: the values are the same
            self.report.equal += 1
        self.states.put(key, state)

    def _of_command(self, key: Key, one: Recorded, first: int, expected: int) -> dict[int, Record]:
        """The log's events that this command caused, by version; one that cannot be read has the next number."""
        ahead, name, number = self.ahead[key[0]], key[1].encode(), first
        found: dict[int, Record] = {}
        while (record := ahead.first(name, one.stamp_ms)) is not None:
            event = _read(record)
            if event is None and len(found) >= expected:
                break
            if event is not None and event.causation_id != one.decision.command_id:
                break
            number = event.version if event is not None else number
            found[number] = ahead.pop(name)
            number += 1
        return found

    def _before(self, key: Key, record: Record, decision: Decision) -> Any:
        """The state that the decision was made on; None: it cannot be known any more."""
        if key in self.lost:
            return None
        kind, name, wanted = key[0], key[1].encode(), decision.version_before
        state, version = self.states.get(key), CORES[kind].version
        if wanted == 0 and _was_forgotten(state, decision.now_ms):
            state = CORES[kind].initial(key[1])
        while version(state) < wanted:
            event = self.ahead[kind].first(name, record.timestamp_ms)
            if version(self.states.get(key)) > version(state):
                state = self.states.get(key)  # what came early was folded while it read on
                continue
            if event is None:
                self.lost.add(key)
                missing = f"{version(state) + 1} to {wanted}"
                fields = [Field("decision", "version_before", str(wanted), f"events {missing} are not in the log")]
                self._differ(place_of(record), decision, "", fields)
                return None
            self.ahead[kind].pop(name)
            self._unexplained(kind, event)
            state = self._folded(key, state, _read(event))
            if _read(event) is None:
                self.lost.add(key)
                return None
        return state

    def _as_logged(self, key: Key, state: Any, decision: Decision, stamp_ms: int) -> None:
        """What is not decided again is taken as the log has it."""
        for _ in range(decision.events):
            record = self.ahead[key[0]].first(key[1].encode(), stamp_ms)
            if record is None:
                break
            self.ahead[key[0]].pop(key[1].encode())
            state = self._folded(key, state, _read(record))
        self.states.put(key, state)

    def _early(self, kind: str, record: Record) -> None:
        """An event from before the time asked for."""
        key = (kind, (record.key or b"").decode(errors="replace"))
        self.report.before += 1
        state, event = self.states.get(key), _read(record)
        if getattr(event, "version", 0) == 1:
            state = CORES[kind].initial(key[1])  # of a delivery that was forgotten and came again
        self.states.put(key, self._folded(key, state, event))

    def _folded(self, key: Key, state: Any, event: Any) -> Any:
        return state if event is None else CORES[key[0]].evolve(state, event)

    def _unexplained(self, kind: str, record: Record) -> None:
        """An event that no decision on record made; at the edges of what was asked for it may have one."""
        edge_ms = self._asked.since_ms + WITHIN_MS if self._asked.since_ms else 0
        if not edge_ms <= record.timestamp_ms < self._asked.until_ms - WITHIN_MS:
            self.report.before += record.timestamp_ms < edge_ms
            return
        event = _read(record)
        where = f"event {event.version} {type(event).__name__}" if event is not None else "event"
        self.report.found(
            Difference(
                place=str(place_of(record)),
                aggregate=kind,
                aggregate_id=(record.key or b"").decode(errors="replace"),
                command="",
                command_id=getattr(event, "causation_id", ""),
                at_ms=record.timestamp_ms,
                policy_version=0,
                code_version="",
                fields=(Field(where, "(whole event)", "in the log", "no decision on record made it"),),
            )
        )

    def _differ(self, place: Place, decision: Decision, command: str, fields: list[Field]) -> None:
        self.report.found(
            Difference(
                place=str(place),
                aggregate=decision.aggregate,
                aggregate_id=decision.aggregate_id,
                command=command,
                command_id=decision.command_id,
                at_ms=decision.now_ms,
                policy_version=decision.policy_version,
                code_version=decision.code_version,
                fields=tuple(fields),
            )
        )


def _outcome(decision: Decision, decided: Decided, version: int) -> list[Field]:
    said = (
        ("version_before", decision.version_before, version),
        ("outcome", decision.outcome, decided.outcome),
        ("reason", decision.reason, decided.reason),
        ("events (how many)", decision.events, len(decided.events)),
    )
    return [
        Field("decision", name, comparing.said(logged), comparing.said(again))
        for name, logged, again in said
        if logged != again
    ]


def _absent(event: Any, logged: str, again: str) -> Field:
    where = f"event {event}" if isinstance(event, int) else f"event {event.version} {type(event).__name__}"
    return Field(where, "(whole event)", logged, again)


def _was_forgotten(state: Any, now_ms: int) -> bool:
    """Whether a worker may have forgotten it by then."""
    phase = getattr(state, "phase", None)
    return isinstance(phase, Closed) and phase.forget_at_ms <= now_ms


def _read(record: Record) -> Any:
    try:
        return codec.decode(record.value)
    except ContractError:
        return None
