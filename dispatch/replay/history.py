"""One aggregate's whole history: each decision with the state before it, the events it made, and the state after."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import Decision
from dispatch.log.application import Record
from dispatch.replay.deciding import CORES
from dispatch.replay.record import Recorded, Unreadable, decision_in, taken_apart
from dispatch.replay.source import KafkaLog


class Entry(NamedTuple):
    """A decision in its place."""

    one: Recorded
    before: Any
    events: tuple[Any, ...]
    """As the log has them."""
    after: Any


class History(NamedTuple):
    """What the log says of one aggregate, oldest first."""

    kind: str
    aggregate_id: str
    entries: tuple[Entry, ...]
    events: tuple[Any, ...]
    unread: tuple[str, ...]
    """What this release could not read, and why."""
    records: dict[str, tuple[Record, ...]]
    """By topic: what all of it was read from."""

    def state_at(self, at_ms: int) -> Any:
        """The state after everything that was decided until then."""
        state = CORES[self.kind].initial(self.aggregate_id)
        for event in self.until(at_ms):
            state = CORES[self.kind].evolve(state, event)
        return state

    def until(self, at_ms: int) -> tuple[Any, ...]:
        """The events decided until then, that moment included."""
        return tuple(event for event in self.events if event.at_ms <= at_ms)

    def decision_at(self, at_ms: int) -> Entry | None:
        """The last decision made until then."""
        return next((entry for entry in reversed(self.entries) if entry.one.decision.now_ms <= at_ms), None)

    def decision(self, command_id: str) -> Entry | None:
        """The decision about this command."""
        return next((entry for entry in self.entries if entry.one.decision.command_id == command_id), None)


def history(
    kind: str, aggregate_id: str, decisions: Iterable[Record], events: Iterable[Record], names: tuple[str, str]
) -> History:
    """Puts together what the two topics hold of this aggregate; `names` are theirs. Other records are passed over."""
    key = aggregate_id.encode()
    decided = [record for record in decisions if record.key == key]
    happened = [record for record in events if record.key == key]
    unread: list[str] = []
    told: list[Any] = []
    by_cause: dict[str, list[Any]] = defaultdict(list)
    for record in happened:
        try:
            event: Any = codec.decode(record.value)
        except ContractError as error:
            unread.append(f"{record.topic}/{record.partition}/{record.offset}: {error}")
            continue
        told.append(event)
        by_cause[event.causation_id].append(event)
    states = {0: CORES[kind].initial(aggregate_id)}
    for event in told:
        states[event.version] = CORES[kind].evolve(states.get(event.version - 1, states[0]), event)
    entries: list[Entry] = []
    for record in decided:
        try:
            decision: Decision = decision_in(record)
            one = taken_apart(record, decision)
        except Unreadable as error:
            unread.append(f"{record.topic}/{record.partition}/{record.offset}: {error}")
            continue
        made = tuple(by_cause.get(decision.command_id, ()))
        before = states.get(decision.version_before, states[0])
        after = states.get(made[-1].version, before) if made else before
        entries.append(Entry(one, before, made, after))
    records = {names[0]: tuple(decided), names[1]: tuple(happened)}
    return History(kind, aggregate_id, tuple(entries), tuple(told), tuple(unread), records)


def history_of(log: KafkaLog, kind: str, aggregate_id: str) -> History:
    """From Kafka: the aggregate's partition is read from its beginning, and only its own records are decoded."""
    partition = log.partition_of(aggregate_id)
    topic = topics.DELIVERY_EVENTS if kind == "delivery" else topics.DRIVER_EVENTS
    decisions, events = log.whole(topics.DECISIONS, partition), log.whole(topic, partition)
    return history(kind, aggregate_id, decisions, events, (topics.DECISIONS.name, topic.name))
