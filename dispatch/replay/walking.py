"""Every decision of a partition with the state before it and the events that the log says it made, in their order."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.core.delivery.states import Closed
from dispatch.log.application import Record
from dispatch.replay.ahead import Ahead, Wanted
from dispatch.replay.deciding import CORES
from dispatch.replay.record import Recorded, Unreadable, decision_in, taken_apart
from dispatch.replay.states import States
from dispatch.replay.verify import Asked, Sources

_TIDY = 4_096


class Step(NamedTuple):
    """One decision in its place."""

    one: Recorded
    before: Any
    events: tuple[Any, ...]


def walk(sources: Sources, asked: Asked, passed_over: Callable[[str], None]) -> Iterator[Step]:
    """The steps; what cannot be read, or lost events before, is told to `passed_over` with the reason."""
    yield from Walker(sources, asked, passed_over).steps()


class Walker:
    """Goes from decision to decision. Where a topic grows it goes on: `steps` may be asked again."""

    def __init__(self, sources: Sources, asked: Asked, passed_over: Callable[[str], None]) -> None:
        self.next_offset = -1
        """Of the decisions, after those that were given."""
        self._decisions, self._passed_over = sources.decisions, passed_over
        self._wanted, self._states = Wanted(asked.keys), States()
        both = (("delivery", sources.delivery_events), ("driver", sources.driver_events))
        self._ahead = {
            kind: Ahead(source, partial(self._fold, kind), asked.since_ms, self._wanted) for kind, source in both
        }

    def steps(self) -> Iterator[Step]:
        """Until the source has no more for now."""
        count = 0
        while (record := self._decisions()) is not None:
            self.next_offset = record.offset + 1
            if self._wanted.take(record):
                count += 1
                if count % _TIDY == 0:
                    self._states.let_go(record.timestamp_ms)
                if (step := self._step(record)) is not None:
                    yield step

    def _step(self, record: Record) -> Step | None:
        try:
            decision = decision_in(record)
            one = taken_apart(record, decision)
        except Unreadable as error:
            self._passed_over(f"not readable: {error}")
            return None
        kind, key = str(decision.aggregate), (str(decision.aggregate), decision.aggregate_id)
        before, version = self._before(one), CORES[kind].version
        if version(before) != decision.version_before:
            self._passed_over("events before it are not in the log")
            return None
        state, made = before, []
        for _ in range(decision.events):
            event = self._next(kind, record)
            if event is None:
                self._passed_over("its events are not in the log")
                return None
            made.append(event)
            state = CORES[kind].evolve(state, event)
        self._states.put(key, state)
        return Step(one, before, tuple(made))

    def _before(self, one: Recorded) -> Any:
        decision, kind = one.decision, str(one.decision.aggregate)
        key = (kind, decision.aggregate_id)
        state, version = self._states.get(key), CORES[kind].version
        phase = getattr(state, "phase", None)
        if decision.version_before == 0 and isinstance(phase, Closed):
            return CORES[kind].initial(decision.aggregate_id)
        while version(state) < decision.version_before:
            record = self._ahead[kind].first(decision.aggregate_id.encode(), one.stamp_ms)
            if version(self._states.get(key)) > version(state):
                state = self._states.get(key)
            elif record is None:
                return state
            else:
                self._fold(kind, self._ahead[kind].pop(decision.aggregate_id.encode()))
                state = self._states.get(key)
        return state

    def _next(self, kind: str, decided: Record) -> Any:
        key = decided.key or b""
        if self._ahead[kind].first(key, decided.timestamp_ms) is None:
            return None
        return _read(self._ahead[kind].pop(key))

    def _fold(self, kind: str, record: Record) -> None:
        key, event = (kind, (record.key or b"").decode(errors="replace")), _read(record)
        if event is not None:
            state = CORES[kind].initial(key[1]) if event.version == 1 else self._states.get(key)
            self._states.put(key, CORES[kind].evolve(state, event))


def _read(record: Record) -> Any:
    try:
        return codec.decode(record.value)
    except ContractError:
        return None
