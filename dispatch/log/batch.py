"""Deciding a batch: aggregate by aggregate, each's commands in order, with the store untouched until the commit.

Facts are looked up for the whole batch in one round trip before the transaction. A command whose needs changed under an
earlier one of the batch asks again; none is decided on a stale answer.

What one aggregate commands another that is held here is handed over and decided in the same batch, as long as nothing
that was sent to it before is still under way in the log; otherwise it goes by the log, a detour (docs/decisions/0004).
"""

import traceback
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from dispatch.log.application import (
    Context,
    DeadLetter,
    DeadLetterFormat,
    Deadline,
    Lookup,
    Message,
    Record,
    Transform,
)
from dispatch.log.envelope import REMEMBERED_BYTES, WRITTEN, Envelope, dump, remembered
from dispatch.log.errors import Aborted, BadRecord, HostError
from dispatch.log.reach import NOWHERE, Reach
from dispatch.log.store import Live, PartitionStore

AHEAD_MS = 5_000
"""A record stamped further ahead of the clock than this is refused."""
LARGEST = 4_000_000
"""Bytes of one message, at most (the topics' max.message.bytes less its head)."""
ROUNDS = 12
"""Of handing over, at most; what is left then goes by the log."""


@dataclass(slots=True)
class Work:
    """One command of the batch: a record's or a timer's."""

    store: PartitionStore
    aggregate_id: str
    command: Any
    command_id: bytes = b""
    record: Record | None = None
    timer: Deadline | None = None
    fault: Exception | None = None
    """Why it is not to be decided: raised when its turn comes."""
    need: Hashable | None = None
    asked: bool = False
    handed: bool = False
    """Whether the record is no record of the log, but was handed over within the batch."""


class Written(NamedTuple):
    """An aggregate as the batch leaves it; None: forgotten."""

    store: PartitionStore
    aggregate_id: str
    raw: bytes | None
    live: Live | None


class _ByTheLog(Exception):
    """What was handed over is not to be decided here."""


Works = dict[tuple[int, str], list[Work]]


class Batch:
    """Prepares (before the transaction) and decides (inside it) a set of records and timers."""

    def __init__(
        self,
        lookup: Lookup,
        dead_letter: DeadLetterFormat,
        wall_ms: int,
        state_format: int = WRITTEN,
        reach: Reach = NOWHERE,
    ) -> None:
        self._lookup = lookup
        self._dead_letter = dead_letter
        self._wall_ms = wall_ms
        self._format = state_format
        self._reach = reach
        self._work: Works = {}
        self._facts: dict[Hashable, Any] = {}
        self._messages: list[Message] = []
        self._overlay: dict[tuple[int, str], Written] = {}
        self._detoured: set[tuple[str, bytes | None]] = set()
        self.detours: list[Message] = []
        """Commands between aggregates that go by the log: the host notes how far they got."""
        self.decisions = 0
        self.dead_letters = 0

    def prepare(
        self,
        records: Sequence[Record],
        stores: Mapping[tuple[str, int], PartitionStore],
        transforms: Mapping[str, Transform],
    ) -> None:
        """Decodes; what cannot be read is set aside at once.

        Commands first: what a door's earlier record became may be among them, and no later one overtakes it.
        """
        for record in sorted(records, key=lambda record: record.topic in transforms):
            store = stores.get((record.topic, record.partition))
            try:
                if record.timestamp_ms > self._wall_ms + AHEAD_MS:
                    ahead_s = (record.timestamp_ms - self._wall_ms) / 1000
                    raise BadRecord(f"stamped {ahead_s:.1f} s in the future; at most {AHEAD_MS // 1000} s", "timestamp")
                if store is not None:
                    command = store.aggregate.decode(record)
                    aggregate_id, command_id = store.aggregate.identity(command)
                    if record.key != aggregate_id.encode():
                        raise BadRecord(f"keyed {record.key!r}, but it is for {aggregate_id}", "key")
                    self._add(Work(store, aggregate_id, command, command_id, record))
                elif record.topic in transforms:
                    messages = _checked(transforms[record.topic].transform(record))
                    self._pass_on(messages, record.timestamp_ms, self._work)
                    self.decisions += 1
            except Exception as error:  # noqa: BLE001 - whatever an application raises makes its record poison
                self.set_aside(record, error)

    def set_aside(self, record: Record, error: Exception) -> None:
        """Dead-letters a record without deciding it."""
        self._messages.append(self._letter(record, error))
        self.dead_letters += 1

    def add_timer(
        self, store: PartitionStore, aggregate_id: str, timer: Deadline, fault: Exception | None = None
    ) -> None:
        """A deadline that has come; with a fault it is set aside for good, if it is still open at its turn."""
        command = None
        try:
            command = store.aggregate.timer_command(aggregate_id, timer)
        except Exception as error:  # noqa: BLE001 - whatever an application raises makes its timer poison
            fault = fault or error
        self._add(Work(store, aggregate_id, command, timer=timer, fault=fault))

    def look_up(self) -> None:
        """All facts that the batch wants, in one round trip: those of each aggregate's first command."""
        wanted: dict[Hashable, None] = {}
        for work, *_ in self._work.values():
            if work.fault is None:
                live = work.store.get(work.aggregate_id)
                try:
                    work.need = work.store.aggregate.needs(live.state, work.command, self._now(live, work))
                except Exception as error:  # noqa: BLE001 - whatever an application raises makes its record poison
                    work.fault = error
                work.asked = True
                if work.need is not None:
                    wanted[work.need] = None
        self._facts = self._ask(list(wanted))

    def decide(self) -> list[Message]:
        """All that is to be sent but the detours: each aggregate's messages in order, and the states last."""
        for _ in range(ROUNDS):
            handed: Works = {}
            for works in self._work.values():
                self._pass_on(*self._decided(works), handed)
            self._work = handed
            if not self._work:
                break
        self.detours += [self._detour(work) for works in self._work.values() for work in works]
        for store, aggregate_id, raw, _ in self.written:
            self._messages.append(Message(store.aggregate.state_topic, aggregate_id.encode(), raw, store.partition))
        return self._messages

    @property
    def written(self) -> list[Written]:
        """Every aggregate that changed, as the batch leaves it."""
        return list(self._overlay.values())

    def _pass_on(self, messages: list[Message], now_ms: int, works: Works) -> None:
        """Hands over, to these works, what is for an aggregate within reach; the rest is sent.

        What cannot be decided takes its detour when its turn comes, not here: nothing overtakes what waits before it.
        """
        for message in messages:
            if message.topic not in self._reach.topics:
                self._messages.append(message)
                continue
            store = self._reach.holder(message.topic, message.key or b"")
            if store is None:
                self.detours.append(message)
                continue
            record = Record(message.topic, store.partition, -1, now_ms, message.key, message.value)
            command = store.aggregate.decode(record)
            aggregate_id, command_id = store.aggregate.identity(command)
            work = Work(store, aggregate_id, command, command_id, record, handed=True)
            works.setdefault((id(store), aggregate_id), []).append(work)

    def _decided(self, works: list[Work], careful: bool = False) -> tuple[list[Message], int]:
        """All commands of one aggregate in order: what it says, and its time.

        A state that cannot be written is found at the end only; then all is decided again, and the state laid out
        after each command, so that the one which makes it so is set aside and no other.
        """
        store, aggregate_id = works[0].store, works[0].aggregate_id
        place = (id(store), aggregate_id)
        before = self._overlay[place].live if place in self._overlay else store.get(aggregate_id)
        live: Live | None = before
        messages: list[Message] = []
        detours: list[Message] = []
        decisions = dead_letters = 0
        for work in works:
            try:
                after, said = self._step(work, live or Live(store.aggregate.initial(aggregate_id)))
                if careful and after is not None:
                    self._laid_out(store, after)
                decisions += after is not live
            except Exception as error:
                if isinstance(error, HostError) and not isinstance(error, BadRecord):
                    raise
                if work.handed:
                    after, said = live, []
                    detours.append(self._detour(work))  # what raises is set aside there, with its place in the log
                else:
                    after, said = live, [self._letter(_record(work), error)]
                    dead_letters += 1
                if live is not None and work.timer is not None:
                    left = tuple(deadline for deadline in live.deadlines if deadline != work.timer)
                    after = replace(live, deadlines=left, set_aside=(*live.set_aside, work.timer))
            live = after
            messages += said
        if live is not before:
            raw = None
            if live is not None:
                try:
                    raw = self._laid_out(store, live)
                except Exception:
                    if careful:
                        raise
                    return self._decided(works, careful=True)
            self._overlay[place] = Written(store, aggregate_id, raw, live)
        self.detours += detours
        self.decisions += decisions
        self.dead_letters += dead_letters
        return messages, live.now_ms if live is not None else self._wall_ms

    def _detour(self, work: Work) -> Message:
        """What was handed over and cannot be decided here goes by the log, and so does what follows it."""
        record = _record(work)
        self._detoured.add((record.topic, record.key))
        return Message(record.topic, record.key, record.value)

    def _step(self, work: Work, live: Live) -> tuple[Live | None, list[Message]]:
        """The aggregate after one command, the same if it has no effect, and what is to be sent."""
        if work.timer is not None and work.timer not in live.deadlines:
            return live, []
        aggregate = work.store.aggregate
        if work.handed and work.record is not None and (work.record.topic, work.record.key) in self._detoured:
            raise _ByTheLog
        if work.command_id and (outcome := live.remembers(work.command_id)) is not None:
            return live, aggregate.repeat(work.command, outcome)
        if work.fault is not None:
            raise work.fault
        now_ms = self._now(live, work)
        need = work.need if work.asked else aggregate.needs(live.state, work.command, now_ms)
        if need is not None and work.handed and not work.asked:
            raise _ByTheLog  # there its fact is looked up before the transaction opens
        context = Context(now_ms, max(now_ms, self._wall_ms), work.record.value or b"" if work.record else b"")
        step = aggregate.step(live.state, work.command, self._fact(need), context)
        messages = _checked(step.messages)
        if step.state is None:
            return None, messages
        recent, deadlines, set_aside = live.recent, step.deadlines, live.set_aside
        if step.outcome and work.command_id:
            if len(step.outcome) > REMEMBERED_BYTES:
                raise BadRecord(f"leads to an outcome of {len(step.outcome)} bytes; {REMEMBERED_BYTES} at most")
            recent = remembered(recent, work.command_id, step.outcome)
        if set_aside:
            set_aside = tuple(deadline for deadline in set_aside if deadline in deadlines)
            deadlines = tuple(deadline for deadline in deadlines if deadline not in set_aside)
        return Live(step.state, now_ms, recent, deadlines, set_aside), messages

    def _fact(self, need: Hashable | None) -> Any:
        if need is None:
            return None
        if need not in self._facts:
            self._facts |= self._ask([need])
        return self._facts[need]

    def _ask(self, needs: list[Hashable]) -> dict[Hashable, Any]:
        """Facts by need. That nobody answers is not the command's fault: Aborted, and all is tried again."""
        if not needs:
            return {}
        try:
            return dict(zip(needs, self._lookup(needs), strict=True))
        except Exception as error:
            raise Aborted(f"lookup of {len(needs)} needs failed: {type(error).__name__}: {error}") from error

    def _letter(self, record: Record, error: Exception) -> Message:
        """What is set aside, with the cause and the place where it went wrong."""
        if isinstance(error, BadRecord):
            return self._dead_letter(DeadLetter(record, "BadRecord", error.reason, error.place, self._wall_ms))
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return self._dead_letter(
            DeadLetter(record, type(error).__name__, str(error), f"{frame.filename}:{frame.lineno}", self._wall_ms)
        )

    def _add(self, work: Work) -> None:
        self._work.setdefault((id(work.store), work.aggregate_id), []).append(work)

    def _now(self, live: Live, work: Work) -> int:
        """A record's stamp, or for a timer the clock, which may have stepped back; never before the last decision."""
        if work.record is not None:
            return max(live.now_ms, work.record.timestamp_ms)
        return max(live.now_ms, self._wall_ms, work.timer.at_ms if work.timer else 0)

    def _laid_out(self, store: PartitionStore, live: Live) -> bytes:
        """The state record's value. Raises BadRecord when it is too large, and whatever `dump` does."""
        state = store.aggregate.dump(live.state)
        raw = dump(Envelope(self._format, live.now_ms, live.deadlines, live.recent, state, live.set_aside))
        if len(raw) > LARGEST:
            raise BadRecord(
                f"leads to a state of {len(raw)} bytes for {store.aggregate.state_topic}; {LARGEST} at most"
            )
        return raw


def _record(work: Work) -> Record:
    """What to name when this is set aside."""
    value = repr(work.timer).encode()
    return work.record or Record(
        work.store.aggregate.commands_topic, work.store.partition, -1, 0, work.aggregate_id.encode(), value
    )


def _checked(messages: list[Message]) -> list[Message]:
    for message in messages:
        if message.value is not None and len(message.value) > LARGEST:
            raise BadRecord(f"leads to a message of {len(message.value)} bytes for {message.topic}; {LARGEST} at most")
    return messages
