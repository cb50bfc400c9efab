"""Deciding a batch: one record after the other over an overlay, so that an abort leaves the store untouched.

Facts are looked up for the whole batch in one round trip before the transaction. A command whose needs changed under an
earlier one of the batch asks again; none is decided on a stale answer.
"""

import traceback
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dispatch.log.application import (
    Aggregate,
    Context,
    DeadLetter,
    DeadLetterFormat,
    Deadline,
    Lookup,
    Message,
    Record,
    Transform,
)
from dispatch.log.envelope import REMEMBERED, WRITTEN, Envelope, dump
from dispatch.log.errors import Aborted, BadRecord, HostError
from dispatch.log.store import Live, PartitionStore

AHEAD_MS = 5_000
"""A record stamped further ahead of the clock than this is refused."""
LARGEST = 4_000_000
"""Bytes of one message, at most (the topics' max.message.bytes less its head)."""


@dataclass(slots=True)
class Work:
    """One command of the batch."""

    store: PartitionStore
    command: Any
    aggregate_id: str
    command_id: bytes
    record: Record | None
    timer: Deadline | None = None
    need: Hashable | None = None
    touched: bool = False


@dataclass(slots=True)
class Written:
    """An aggregate as the batch leaves it; `live` None: forgotten."""

    store: PartitionStore
    live: Live | None
    raw: bytes | None = None


@dataclass(slots=True)
class Decided:
    """What a batch comes to."""

    messages: list[Message] = field(default_factory=list)
    overlay: dict[tuple[int, str], Written] = field(default_factory=dict)
    decisions: int = 0
    dead_letters: int = 0


class Batch:
    """Prepares (before the transaction) and decides (inside it) a set of records and timers."""

    def __init__(self, lookup: Lookup, dead_letter: DeadLetterFormat, wall_ms: int) -> None:
        self._lookup = lookup
        self._dead_letter = dead_letter
        self._wall_ms = wall_ms
        self._work: list[Work] = []
        self._facts: dict[Hashable, Any] = {}
        self._seen: set[tuple[int, str]] = set()
        self._suspects: set[tuple[int, str]] = set()
        self._decided = Decided()

    def prepare(
        self,
        records: Sequence[Record],
        stores: Mapping[tuple[str, int], PartitionStore],
        transforms: Mapping[str, Transform],
    ) -> None:
        """Decodes; what cannot be read is set aside at once."""
        for record in records:
            store = stores.get((record.topic, record.partition))
            try:
                if record.timestamp_ms > self._wall_ms + AHEAD_MS:
                    ahead_s = (record.timestamp_ms - self._wall_ms) / 1000
                    raise BadRecord(f"stamped {ahead_s:.1f} s in the future; at most {AHEAD_MS // 1000} s", "timestamp")
                if store is not None:
                    self._add_command(record, store)
                elif record.topic in transforms:
                    self._decided.messages += _checked(transforms[record.topic].transform(record))
                    self._decided.decisions += 1
            except BadRecord as bad:
                self.set_aside(record, bad)
            except Exception as error:  # noqa: BLE001 - whatever an application raises makes its record poison
                self.set_aside(record, error)

    def add_timer(self, store: PartitionStore, aggregate_id: str, deadline: Deadline) -> None:
        """A deadline that has come."""
        try:
            command = store.aggregate.timer_command(aggregate_id, deadline)
        except Exception as error:  # noqa: BLE001 - whatever an application raises makes its record poison
            self.set_aside(_timer_record(store, aggregate_id, deadline), error)
            return
        self._add(store, command, aggregate_id, b"", None, deadline)

    def look_up(self) -> None:
        """All facts that the batch wants, in one round trip."""
        wanted: dict[Hashable, None] = {}
        sound = []
        for work in self._work:
            if not work.touched:
                live = work.store.get(work.aggregate_id)
                try:
                    work.need = work.store.aggregate.needs(live.state, work.command, self._now(live, work))
                except Exception as error:  # noqa: BLE001 - whatever an application raises makes its record poison
                    self.set_aside(_record(work), error)
                    continue
                if work.need is not None:
                    wanted[work.need] = None
            sound.append(work)
        self._work = sound
        self._facts = self._ask(list(wanted))

    def decide(self) -> Decided:
        """Every command in order, then the states to be written.

        A state that cannot be written is found at the end only; then all is decided again, and that aggregate's state
        laid out after each of its commands, so that the one which makes it so is set aside and no other.
        """
        prepared = self._decided
        while True:
            self._decided = Decided(list(prepared.messages), {}, prepared.decisions, prepared.dead_letters)
            for work in self._work:
                try:
                    self._step(work)
                except Exception as error:
                    if isinstance(error, HostError) and not isinstance(error, BadRecord):
                        raise
                    self.set_aside(_record(work), error)
            unwritable = {
                place for place, written in self._decided.overlay.items() if not self._write(place[1], written)
            }
            if not unwritable:
                return self._decided
            self._suspects |= unwritable

    def _ask(self, needs: list[Hashable]) -> dict[Hashable, Any]:
        """Facts by need. That nobody answers is not the command's fault: Aborted, and all is tried again."""
        if not needs:
            return {}
        try:
            return dict(zip(needs, self._lookup(needs), strict=True))
        except Exception as error:
            raise Aborted(f"lookup of {len(needs)} needs failed: {type(error).__name__}: {error}") from error

    def set_aside(self, record: Record, error: Exception) -> None:
        """Dead-letters a record, with the cause and the place where it went wrong."""
        if isinstance(error, BadRecord):
            letter = DeadLetter(record, "BadRecord", error.reason, error.place)
        else:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            letter = DeadLetter(record, type(error).__name__, str(error), f"{frame.filename}:{frame.lineno}")
        self._decided.messages.append(self._dead_letter(letter))
        self._decided.dead_letters += 1

    def _add_command(self, record: Record, store: PartitionStore) -> None:
        command = store.aggregate.decode(record)
        aggregate_id, command_id = store.aggregate.identity(command)
        if record.key != aggregate_id.encode():
            raise BadRecord(f"keyed {record.key!r}, but it is for {aggregate_id}", "key")
        self._add(store, command, aggregate_id, command_id, record, None)

    def _add(
        self,
        store: PartitionStore,
        command: Any,
        aggregate_id: str,
        command_id: bytes,
        record: Record | None,
        timer: Deadline | None,
    ) -> None:
        place = (id(store), aggregate_id)
        work = Work(store, command, aggregate_id, command_id, record, timer, touched=place in self._seen)
        self._seen.add(place)
        self._work.append(work)

    def _now(self, live: Live, work: Work) -> int:
        if work.timer is not None:
            return max(live.now_ms, self._wall_ms, work.timer.at_ms)
        return max(live.now_ms, self._wall_ms if work.record is None else work.record.timestamp_ms)

    def _step(self, work: Work) -> None:
        store, aggregate = work.store, work.store.aggregate
        place = (id(store), work.aggregate_id)
        written = self._decided.overlay.get(place)
        if written is None:
            live = store.get(work.aggregate_id)
        else:
            live = written.live or Live(aggregate.initial(work.aggregate_id))
        if work.timer is not None and work.timer not in live.deadlines:
            return
        if work.command_id and (outcome := live.remembers(work.command_id)) is not None:
            self._decided.messages += aggregate.repeat(work.command, outcome)
            return
        now_ms = self._now(live, work)
        context = Context(now_ms, max(now_ms, self._wall_ms), work.record.value or b"" if work.record else b"")
        step = aggregate.step(live.state, work.command, self._fact(work, aggregate, live, now_ms), context)
        messages = _checked(step.messages)
        recent = live.recent
        if step.outcome and work.command_id:
            recent = (*recent, (work.command_id, step.outcome))[-REMEMBERED:]
        after = None if step.state is None else Live(step.state, now_ms, recent, step.deadlines)
        if place in self._suspects and after is not None:
            _laid_out(store, after)
        self._decided.messages += messages
        self._decided.overlay[place] = Written(store, after)
        self._decided.decisions += 1

    def _fact(self, work: Work, aggregate: Aggregate, live: Live, now_ms: int) -> Any:
        need = aggregate.needs(live.state, work.command, now_ms) if work.touched else work.need
        if need is None:
            return None
        if need not in self._facts:
            self._facts |= self._ask([need])
        return self._facts[need]

    def _write(self, aggregate_id: str, written: Written) -> bool:
        """Adds the state's record; whether it could be laid out."""
        store = written.store
        if written.live is not None:
            try:
                written.raw = _laid_out(store, written.live)
            except Exception:  # noqa: BLE001 - decided again with this aggregate under suspicion, where it is told
                return False
        self._decided.messages.append(
            Message(store.aggregate.state_topic, aggregate_id.encode(), written.raw, store.partition)
        )
        return True


def _record(work: Work) -> Record:
    """What to name when this is set aside."""
    return work.record or _timer_record(work.store, work.aggregate_id, work.timer)


def _timer_record(store: PartitionStore, aggregate_id: str, timer: Deadline | None) -> Record:
    return Record(store.aggregate.commands_topic, store.partition, -1, 0, aggregate_id.encode(), repr(timer).encode())


def _laid_out(store: PartitionStore, live: Live) -> bytes:
    """The state record's value. Raises BadRecord when it is too large, and whatever `dump` does."""
    deadlines = tuple((deadline.kind, deadline.at_ms, deadline.ref) for deadline in live.deadlines)
    raw = dump(Envelope(WRITTEN, live.now_ms, deadlines, live.recent, store.aggregate.dump(live.state)))
    if len(raw) > LARGEST:
        raise BadRecord(f"leads to a state of {len(raw)} bytes for {store.aggregate.state_topic}; {LARGEST} at most")
    return raw


def _checked(messages: list[Message]) -> list[Message]:
    for message in messages:
        if message.value is not None and len(message.value) > LARGEST:
            raise BadRecord(f"leads to a message of {len(message.value)} bytes for {message.topic}; {LARGEST} at most")
    return messages
