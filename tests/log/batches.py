"""Deciding batches of accounts without a broker: what is sent, what is kept, what a restart reads back."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from account import Accounts, letter_of, rates

from dispatch.log.application import Deadline, Message, Record, Transform
from dispatch.log.batch import Batch
from dispatch.log.envelope import WRITTEN
from dispatch.log.reach import Reach
from dispatch.log.store import PartitionStore

NOW_MS = 1_000_000


class Decided(NamedTuple):
    """A batch and all that it sends."""

    batch: Batch
    messages: list[Message]


def a_store() -> PartitionStore:
    return PartitionStore(Accounts(), 0)


def record(offset: int, body: bytes, account: str = "a", stamp_ms: int = NOW_MS) -> Record:
    return Record("commands", 0, offset, stamp_ms, account.encode(), body)


def worked_off(batch: Batch) -> Decided:
    batch.look_up()
    return Decided(batch, batch.decide())


def decided(
    store: PartitionStore,
    *records: Record,
    lookup: Any = rates,
    wall_ms: int = NOW_MS,
    written: int = WRITTEN,
    reach: bool = False,
    doors: Sequence[Transform] = (),
) -> Decided:
    batch = Batch(lookup, letter_of, wall_ms, written, Reach(["commands"], 1, [store] if reach else []))
    batch.prepare(records, {("commands", 0): store}, {door.topic: door for door in doors})
    return worked_off(batch)


def fired(
    store: PartitionStore, *timers: Deadline, wall_ms: int = NOW_MS, fault: Exception | None = None, written: int = 2
) -> Decided:
    batch = Batch(rates, letter_of, wall_ms, written)
    for timer in timers:
        batch.add_timer(store, "a", timer, fault)
    return worked_off(batch)


def taken(outcome: Decided) -> Decided:
    """As after a commit."""
    for store, account, raw, live in outcome.batch.written:
        store.put(account, raw, live)
    return outcome


def committed(store: PartitionStore, *records: Record, **more: Any) -> Decided:
    return taken(decided(store, *records, **more))


def restored(outcome: Decided) -> PartitionStore:
    """Another process reads back what was written."""
    store = a_store()
    for message in outcome.messages:
        if message.topic == "state":
            store.restored((message.key or b"").decode(), message.value)
    store.set_timers()
    return store


def said(outcome: Decided, topic: str) -> list[Any]:
    return [json.loads(message.value or b"null") for message in outcome.messages if message.topic == topic]
