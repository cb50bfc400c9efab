"""The coordinator of a consumer group: static members, generations, assignment by range, offsets and who may set them.

What Kafka does (classic protocol, KIP-345): a member that is known by its instance id and comes again takes its place
over without a rebalance, and whoever had the place is fenced; a member that is not heard of for the session's time is
out; who joins makes all come again, under the next generation. Offsets of a transaction count when it is committed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from confluent_kafka import KafkaError

from dispatch.simulation.errors import fail
from dispatch.simulation.loop import SECOND_US, Loop

Place = tuple[str, int]
SESSION_US = 6 * SECOND_US


class Membership(NamedTuple):
    """What a consumer proves its place with: the metadata that goes with offsets."""

    group: str
    generation: int
    member_id: str
    instance: str


class Client(Protocol):
    """A member's consumer, as its coordinator reaches it: by answers to heartbeats."""

    def must_join_again(self) -> None:
        """A rebalance has begun."""

    def was_replaced(self) -> None:
        """Another has its instance id."""

    def is_assigned(self, generation: int, places: list[Place]) -> None:
        """The rebalance is over."""


@dataclass(slots=True)
class Member:
    """One place in the group."""

    instance: str
    member_id: str
    client: Client
    topics: tuple[str, ...]
    places: list[Place]
    joined: bool = False
    """Whether it has come again in this rebalance."""


class Group:
    """One group. `partitions` says how many a topic has."""

    def __init__(self, name: str, loop: Loop, partitions: Callable[[str], int]) -> None:
        self.name, self._loop, self._partitions = name, loop, partitions
        self.members: dict[str, Member] = {}
        self.generation = 0
        self.rebalances = 0
        self.is_stable = True
        self.offsets: dict[Place, int] = {}
        self._pending: dict[int, dict[Place, tuple[int, int]]] = {}
        """By producer id what an open transaction would set, each with its place in the coordinator's log."""
        self._set_by: dict[Place, int] = {}
        self._appended = 0
        self._joins = 0

    def join(self, instance: str, client: Client, topics: tuple[str, ...], member_id: str) -> str:
        """JoinGroup. The member id; what is assigned is told later."""
        known = self.members.get(instance)
        if known is not None and known.member_id == member_id:
            known.joined = True
            self._complete()
            return member_id
        self._joins += 1
        fresh = f"{instance}-{self._joins}"
        if known is not None:
            known.client.was_replaced()
        if known is not None and self.is_stable:
            self.members[instance] = Member(instance, fresh, client, topics, known.places)
            client.is_assigned(self.generation, known.places)
            return fresh
        self.members[instance] = Member(instance, fresh, client, topics, [], joined=True)
        self._rebalance()
        return fresh

    def is_member(self, instance: str, member_id: str) -> bool:
        """What a heartbeat learns: False is UNKNOWN_MEMBER_ID. Raises FENCED_INSTANCE_ID."""
        known = self.members.get(instance)
        if known is not None and known.member_id != member_id:
            fail(KafkaError.FENCED_INSTANCE_ID, f"{instance} is another's by now", fatal=True)
        return known is not None

    def awaits(self, instance: str, member_id: str) -> bool:
        """Whether a rebalance goes on, and this member has not come again."""
        known = self.members.get(instance)
        return not self.is_stable and known is not None and known.member_id == member_id and not known.joined

    def expire(self, instance: str, member_id: str) -> None:
        """The session is over."""
        known = self.members.get(instance)
        if known is not None and known.member_id == member_id:
            del self.members[instance]
            self._rebalance()

    def take_offsets(self, producer_id: int, offsets: dict[Place, int], member: Membership) -> None:
        """TxnOffsetCommit. Raises what makes the transaction abort."""
        if not self.is_member(member.instance, member.member_id):
            fail(KafkaError.UNKNOWN_MEMBER_ID, f"{member.instance} is no member", abort=True)
        if member.generation != self.generation:
            fail(KafkaError.ILLEGAL_GENERATION, f"generation {self.generation}, not {member.generation}", abort=True)
        self._appended += 1
        self._pending.setdefault(producer_id, {}).update(
            (place, (self._appended, offset)) for place, offset in offsets.items()
        )

    def settle(self, producer_id: int, *, commit: bool) -> None:
        """A transaction's mark. Marks come in any order; which offset is later, the coordinator's log says."""
        for place, (appended, offset) in self._pending.pop(producer_id, {}).items():
            if commit and appended > self._set_by.get(place, 0):
                self._set_by[place], self.offsets[place] = appended, offset

    def is_unstable(self, places: list[Place]) -> bool:
        """UNSTABLE_OFFSET_COMMIT (KIP-447): an open transaction may still set one of these."""
        return any(place in pending for pending in self._pending.values() for place in places)

    def _rebalance(self) -> None:
        if self.is_stable:
            self.is_stable = False
            self.rebalances += 1
            for member in self.members.values():
                if not member.joined:
                    member.client.must_join_again()
        self._complete()

    def _complete(self) -> None:
        if self.is_stable or not all(member.joined for member in self.members.values()):
            return
        self.is_stable = True
        self.generation += 1
        instances = sorted(self.members)
        for member in self.members.values():
            member.joined = False
            member.places = [
                (topic, number) for topic in sorted(member.topics)
                for number in self._range(topic, instances.index(member.instance), len(instances))
            ]  # fmt: skip
        for member in list(self.members.values()):
            member.client.is_assigned(self.generation, member.places)

    def _range(self, topic: str, number: int, members: int) -> range:
        """The same share of every topic's partitions, the first members one more if they do not come out even."""
        each, more = divmod(self._partitions(topic), members)
        first = number * each + min(number, more)
        return range(first, first + each + (number < more))
