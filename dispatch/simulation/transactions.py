"""The coordinator of transactions: identities and their epochs, what belongs to a transaction, how and when it ends.

What Kafka does (KIP-98, KIP-360): a new producer of the same identity raises the epoch and ends what the last one left
open; a transaction that lasts too long is aborted and its epoch raised; once the end is decided the partitions are
marked one by one, and until all are the identity's next transaction has to wait.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from confluent_kafka import KafkaError

from dispatch.simulation.errors import AskAgain, fail
from dispatch.simulation.group import Group, Membership
from dispatch.simulation.loop import MS_US, Loop
from dispatch.simulation.partition import Partition

State = Literal["empty", "ongoing", "ending"]


@dataclass(slots=True)
class Identity:
    """One transactional.id."""

    name: str
    producer_id: int
    timeout_us: int
    epoch: int = 0
    state: State = "empty"
    partitions: dict[tuple[str, int], Partition] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    number: int = 0
    """Of the transaction."""
    was_committed: bool = False
    """The last that ended."""


class Transactions:
    """All identities. Raises what a client is answered."""

    def __init__(self, loop: Loop, chance: Random, stamp_ms: Callable[[], int]) -> None:
        self._loop, self._chance, self._stamp_ms = loop, chance, stamp_ms
        self.identities: dict[str, Identity] = {}
        self.marks_take_us = 2 * MS_US
        """Until a partition is marked, at most."""
        self.tears_next = False
        """A broker dies at the next abort: some partitions are never marked (docs/decisions/0003)."""

    def begin_identity(self, name: str, timeout_us: int) -> Identity:
        """InitProducerId: fences whoever had the name before."""
        known = self.identities.get(name)
        if known is None:
            known = self.identities[name] = Identity(name, len(self.identities) + 1, timeout_us)
            return known
        if known.state == "ending":
            raise AskAgain
        known.epoch += 1
        if known.state == "ongoing":
            self._end(known, commit=False)
            raise AskAgain
        return known

    def add(self, name: str, epoch: int, partition: Partition) -> None:
        """AddPartitionsToTxn, which begins the transaction if none is open."""
        identity = self._ongoing(name, epoch)
        identity.partitions[partition.topic, partition.number] = partition

    def append(
        self, name: str, epoch: int, partition: Partition, key: bytes | None, value: bytes | None, stamp_ms: int
    ) -> int:
        """Produce: the partition's leader refuses an epoch that is over. The offset."""
        identity = self._current(name, epoch)
        if (partition.topic, partition.number) not in identity.partitions or identity.state != "ongoing":
            fail(KafkaError.INVALID_TXN_STATE, "the partition is not in the transaction", fatal=True)
        return partition.append(key, value, stamp_ms, identity.producer_id)

    def append_late(
        self, name: str, epoch: int, partition: Partition, key: bytes | None, value: bytes | None, stamp_ms: int
    ) -> None:
        """Produce that comes after its transaction's end: a leader that does not ask takes it, in the same epoch."""
        identity = self.identities[name]
        if identity.epoch == epoch:
            partition.append(key, value, stamp_ms, identity.producer_id)

    def add_offsets(
        self, name: str, epoch: int, group: Group, offsets: dict[tuple[str, int], int], member: Membership
    ) -> None:
        """AddOffsetsToTxn and TxnOffsetCommit: the group's coordinator refuses who is not its member any more."""
        identity = self._ongoing(name, epoch)
        identity.groups[group.name] = group
        group.take_offsets(identity.producer_id, offsets, member)

    def end(self, name: str, epoch: int, *, commit: bool) -> None:
        """EndTxn: from here on it is decided."""
        identity = self._current(name, epoch)
        if identity.state == "ending":
            raise AskAgain
        if identity.state == "empty":
            if identity.number and identity.was_committed == commit:
                return  # asked again: the answer was lost
            fail(KafkaError.INVALID_TXN_STATE, "there is no transaction to end", fatal=True)
        self._end(identity, commit=commit)

    @property
    def open(self) -> list[str]:
        """Identities whose transaction is not over."""
        return [name for name, identity in self.identities.items() if identity.state != "empty"]

    def _ongoing(self, name: str, epoch: int) -> Identity:
        identity = self._current(name, epoch)
        if identity.state == "ending":
            raise AskAgain
        if identity.state == "empty":
            identity.state, identity.partitions, identity.groups = "ongoing", {}, {}
            identity.number += 1
            self._loop.after(identity.timeout_us, self._time_out, identity, identity.number)
        return identity

    def _current(self, name: str, epoch: int) -> Identity:
        identity = self.identities[name]
        if identity.epoch != epoch:
            fail(KafkaError._FENCED, f"{name} has epoch {identity.epoch} by now, not {epoch}", fatal=True)
        return identity

    def _time_out(self, identity: Identity, number: int) -> None:
        if identity.state == "ongoing" and identity.number == number:
            identity.epoch += 1
            self._end(identity, commit=False)

    def _end(self, identity: Identity, *, commit: bool) -> None:
        identity.state, identity.was_committed = "ending", commit
        marked, groups = list(identity.partitions.values()), list(identity.groups.values())
        if self.tears_next and not commit:
            marked = marked[: int(self._chance.random() * len(marked))]
            groups = groups[: int(self._chance.random() * 2)]
        left = [len(marked) + len(groups)]
        if not left[0]:
            identity.state = "empty"
        for partition in marked:
            self._loop.after(self._delay_us(), self._mark, identity, partition, commit, left)
        for group in groups:
            self._loop.after(self._delay_us(), self._settle, identity, group, commit, left)

    def _delay_us(self) -> int:
        return 200 + int(self._chance.random() * self.marks_take_us)

    def _mark(self, identity: Identity, partition: Partition, commit: bool, left: list[int]) -> None:
        self._one_less(identity, left)
        partition.mark(identity.producer_id, commit=commit, stamp_ms=self._stamp_ms())

    def _settle(self, identity: Identity, group: Group, commit: bool, left: list[int]) -> None:
        self._one_less(identity, left)
        group.settle(identity.producer_id, commit=commit)

    def _one_less(self, identity: Identity, left: list[int]) -> None:
        left[0] -= 1
        if not left[0]:
            identity.state = "empty"
