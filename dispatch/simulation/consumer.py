"""A consumer as confluent_kafka's: member of a group, or assigned by hand, or only asking for watermarks."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from dispatch.simulation.broker import Broker
from dispatch.simulation.errors import AskAgain, error, fail
from dispatch.simulation.group import SESSION_US, Group, Membership, Place
from dispatch.simulation.loop import MS_US, SECOND_US
from dispatch.simulation.machine import Machine, asked, latency_us
from dispatch.simulation.partition import Partition

_HEARTBEAT_US = SECOND_US
_SEEKABLE_US = 40 * MS_US
_LATER_US = 50 * MS_US
_AWAY = error(KafkaError._ALL_BROKERS_DOWN, "no broker is reached", retriable=True)
_THE_END = error(KafkaError._PARTITION_EOF, "the end")
Rebalanced = Callable[[Any, list[TopicPartition]], None]


class Got:
    """A consumed message, a delivery report's, or an error in place of one."""

    __slots__ = ("_error", "_key", "_offset", "_partition", "_stamp_ms", "_topic", "_value")

    def __init__(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, stamp_ms: int,
        wrong: KafkaError | None = None,
    ) -> None:  # fmt: skip
        self._topic, self._partition, self._offset, self._key = topic, partition, offset, key
        self._value, self._stamp_ms, self._error = value, stamp_ms, wrong

    def __len__(self) -> int:
        return len(self._value or b"")

    def topic(self) -> str:
        """Its topic."""
        return self._topic

    def partition(self) -> int:
        """Its partition."""
        return self._partition

    def offset(self) -> int:
        """Its place; of an end of partition the next record's."""
        return self._offset

    def key(self) -> bytes | None:
        """Its key."""
        return self._key

    def value(self) -> bytes | None:
        """Its value."""
        return self._value

    def timestamp(self) -> tuple[int, int]:
        """CreateTime, and when."""
        return 1, self._stamp_ms

    def error(self) -> KafkaError | None:
        """What it says in place of a record."""
        return self._error


def topics_of(broker: Broker, topic: str | None) -> Any:
    """Metadata: `.topics[name].partitions`."""
    names = broker.topics if topic is None else [topic]
    return SimpleNamespace(
        topics={name: SimpleNamespace(partitions={part.number: part for part in broker.topics[name]}) for name in names}
    )


class SimulatedConsumer:
    """One `Consumer`. What a coordinator says takes effect in `poll` and `consume`, as rebalance callbacks do."""

    def __init__(self, machine: Machine, broker: Broker, settings: dict[str, Any]) -> None:
        self._machine, self._broker = machine, broker
        self._instance = settings.get("group.instance.id", "")
        self._committed_only = settings["isolation.level"] == "read_committed"
        self._group: Group = broker.group(settings["group.id"])
        self._topics: tuple[str, ...] = ()
        self._callbacks: tuple[Rebalanced, Rebalanced, Rebalanced] | None = None
        self._member_id, self._generation = "", -1
        self._said: list[tuple[str, int, list[Place]]] = []
        """By the coordinator, not yet served."""
        self._next: dict[Place, int | None] = {}
        """Position by partition; None: not asked for yet."""
        self._partitions: dict[Place, Partition] = {}
        self._ended: dict[Place, int] = {}
        self._seekable_us = 0
        self._told_away = False
        self._is_closed = False
        self._is_joining = False
        """From a revocation until the assignment is known."""
        self._silent_us = -1
        """Since when the coordinator has not heard of it; -1: it hears."""
        self.stalled_us: dict[str, int] = {}
        """By topic until when nothing is fetched."""

    # what the host calls

    def subscribe(
        self, topics: list[str], on_assign: Rebalanced, on_revoke: Rebalanced, on_lost: Rebalanced
    ) -> None:  # fmt: skip
        """Joins the group, in a moment."""
        self._topics, self._callbacks = tuple(topics), (on_assign, on_revoke, on_lost)
        self._machine.loop.after(latency_us(self._machine), self._join)

    def assign(self, places: list[TopicPartition]) -> None:
        """Reads these from there on."""
        self._unwatch()
        self._next = {(place.topic, place.partition): place.offset for place in places}
        self._watch()

    def poll(self, timeout: float = -1) -> Got | None:
        """The next message, within so many seconds."""
        machine, loop = self._machine, self._machine.loop
        until_us = loop.now_us + round(timeout * 1_000_000)
        machine.point("poll")
        while True:
            machine.sleep(50)
            self._serve()
            got = self._take(1)
            if got:
                return got[0]
            if loop.now_us >= until_us:
                return None
            machine.wait(until_us - loop.now_us)

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Got]:
        """What is there, so many at most; waits for the first."""
        if timeout > 0:
            first = self.poll(timeout)
            return [] if first is None else [first, *self._take(num_messages - 1)]
        self._machine.sleep(20)
        self._serve()
        return self._take(num_messages)

    def seek(self, place: TopicPartition) -> None:
        """Goes on from there; what was fetched is dropped."""
        at = (place.topic, place.partition)
        if at not in self._next or self._machine.loop.now_us < self._seekable_us:
            fail(KafkaError._STATE, "not being fetched")
        self._next[at] = place.offset
        self._ended.pop(at, None)

    def committed(self, places: list[TopicPartition], timeout: float = -1) -> list[TopicPartition]:
        """The group's offsets, when no open transaction may still change them."""
        wanted = [(place.topic, place.partition) for place in places]

        def answer() -> list[TopicPartition]:
            if self._group.is_unstable(wanted):
                raise AskAgain
            return [TopicPartition(*place, self._group.offsets.get(place, -1001)) for place in wanted]

        return asked(self._machine, self._broker, "committed_offsets", timeout, answer)

    def get_watermark_offsets(
        self, place: TopicPartition, timeout: float = -1, cached: bool = False
    ) -> tuple[int, int]:  # fmt: skip
        """First and next offset; of a reader of committed records the last stable one."""
        del cached
        partition = self._broker.partition(place.topic, place.partition)
        return asked(self._machine, self._broker, "watermarks", timeout, lambda: (0, self._end(partition)))

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> Any:
        """What topics there are."""
        return asked(self._machine, self._broker, "list_topics", timeout, lambda: topics_of(self._broker, topic))

    def consumer_group_metadata(self) -> Membership:
        """What offsets are sent with."""
        return Membership(self._group.name, self._generation, self._member_id, self._instance)

    def close(self) -> None:
        """A static member does not leave: its session runs out."""
        self._is_closed = True
        self._unwatch()
        self.fell_silent()

    # what the coordinator and the machine call

    def must_join_again(self) -> None:
        """Learned from the next heartbeat; who sends none learns it from the first that is sent again."""
        self._machine.loop.after(self._machine.chance.randrange(_HEARTBEAT_US), self._must_come, self._member_id)

    def is_assigned(self, generation: int, places: list[Place]) -> None:
        """Learned from the answer of SyncGroup, which comes in a moment."""
        self._machine.loop.after(2 * latency_us(self._machine), self._synced, generation, list(places))

    def was_replaced(self) -> None:
        """Another took its place; learned from the next heartbeat."""
        self._machine.loop.after(self._machine.chance.randrange(_HEARTBEAT_US), self._heartbeat)

    def fell_silent(self) -> None:
        """No heartbeat reaches the coordinator from now on."""
        if self._member_id and self._silent_us < 0:
            loop = self._machine.loop
            self._silent_us = loop.now_us
            left_us = SESSION_US - self._machine.chance.randrange(_HEARTBEAT_US)
            loop.after(left_us, self._expire, self._member_id, self._silent_us)

    def is_heard_again(self) -> None:
        """Heartbeats arrive again, and are answered."""
        if self._silent_us >= 0 and not self._is_closed:
            self._silent_us = -1
            self._machine.loop.after(self._machine.chance.randrange(_HEARTBEAT_US), self._heartbeat)

    def _synced(self, generation: int, places: list[Place]) -> None:
        """Too late for a generation that is over: the client joins again, and the host never hears of it."""
        machine, group = self._machine, self._group
        if self._is_closed or machine.is_dead or not self._is_joining:
            return
        if self._silent_us >= 0 or self._broker.is_away:
            machine.loop.after(_LATER_US, self._synced, generation, places)
            return
        try:
            if not group.is_member(self._instance, self._member_id):
                self._member_id = ""
        except KafkaException:
            self._say("fenced", -1, [])
            return
        if self._member_id and group.is_stable and group.generation == generation:
            self._is_joining = False
            self._say("assign", generation, places)
        else:
            self._join()

    def _heartbeat(self) -> None:
        if self._silent_us >= 0 or self._is_closed or not self._member_id or self._is_joining:
            return
        try:
            if not self._group.is_member(self._instance, self._member_id):
                self._member_id, self._generation = "", -1
                self._said.clear()
                self._say("lost", -1, [])
            elif not any(what == "revoke" for what, _, _ in self._said):
                self._must_come(self._member_id)
        except KafkaException:
            self._say("fenced", -1, [])

    def _expire(self, member_id: str, since_us: int) -> None:
        if self._broker.is_away:
            self._machine.loop.after(SESSION_US, self._expire, member_id, since_us)
        elif self._silent_us == since_us:
            self._group.expire(self._instance, member_id)

    def _join_again(self) -> None:
        """In a moment; or never, as a client does whose question about the topics was lost."""
        if self._machine.point("join_again") is None:
            self._machine.loop.after(latency_us(self._machine), self._join)

    def _join(self) -> None:
        self._is_joining = True
        if self._is_closed or self._machine.is_dead:
            return
        if self._broker.is_away or self._silent_us >= 0 or self._machine.is_cut:
            self._machine.loop.after(SECOND_US, self._join)
            return
        try:
            if self._member_id:
                self._group.is_member(self._instance, self._member_id)
        except KafkaException:
            self._say("fenced", -1, [])
            return
        self._member_id = self._group.join(self._instance, self, self._topics, self._member_id)

    def _must_come(self, member_id: str) -> None:
        """REBALANCE_IN_PROGRESS is the answer to a heartbeat."""
        if self._silent_us >= 0 or self._is_joining or member_id != self._member_id:
            return
        if self._group.awaits(self._instance, member_id):
            self._say("revoke", -1, [])

    def _say(self, what: str, generation: int, places: list[Place]) -> None:
        if not self._is_closed:
            self._said.append((what, generation, places))
            self._machine.wake(0)

    def _serve(self) -> None:
        """Rebalance callbacks, in the caller's own run."""
        while self._said and not self._is_closed and self._callbacks is not None:
            what, generation, places = self._said.pop(0)
            on_assign, on_revoke, on_lost = self._callbacks
            held = [TopicPartition(*place) for place in self._next]
            if what == "assign":
                self._generation = generation
                self._unwatch()
                self._next = dict.fromkeys(places)
                self._ended = {}
                self._seekable_us = self._machine.loop.now_us + self._machine.chance.randrange(_SEEKABLE_US)
                self._watch()
                on_assign(self, [TopicPartition(*place) for place in places])
                continue
            self._unwatch()
            self._next, self._ended = {}, {}
            if what == "revoke":
                on_revoke(self, held)
                self._is_joining = True
                self._machine.point("rejoin")
                self._join_again()
            elif what == "lost":
                on_lost(self, held)
                self._join_again()
            else:
                self._callbacks = None
                self._fenced = error(KafkaError._FATAL, "static consumer fenced by another of this instance id")

    _fenced: KafkaError | None = None

    def _take(self, most: int) -> list[Got]:
        """What can be read now, partition by partition from a place of chance."""
        if self._fenced is not None:
            return [Got("", -1, -1, None, None, 0, self._fenced)]
        if self._machine.is_cut or self._broker.is_away:
            told, self._told_away = self._told_away, True
            return [] if told else [Got("", -1, -1, None, None, 0, _AWAY)]
        self._told_away = False
        if not self._next or most < 1:
            return []
        got: list[Got] = []
        places = list(self._next)
        first = int(self._machine.chance.random() * len(places))
        for place in places[first:] + places[:first]:
            if self.stalled_us and self.stalled_us.get(place[0], 0) > self._machine.loop.now_us:
                continue
            self._read(place, most, got)
            if len(got) >= most:
                break
        return got

    def _read(self, place: Place, most: int, got: list[Got]) -> None:
        partition, offset = self._partitions[place], self._next[place]
        end = partition.stable if self._committed_only else len(partition.entries)
        if offset is None:
            if self._group.is_unstable([place]):
                return
            offset = self._group.offsets.get(place, 0)
        elif offset >= end and self._ended.get(place) == offset:
            return
        entries, most_now = partition.entries, most - len(got)
        while most_now:
            offset = partition.next_from(offset, committed=self._committed_only)
            if offset >= end:
                break
            entry = entries[offset]
            got.append(Got(place[0], place[1], offset, entry.key, entry.value, entry.stamp_ms))
            offset, most_now = offset + 1, most_now - 1
        if most_now and self._ended.get(place) != offset:
            self._ended[place] = offset
            got.append(Got(*place, offset, None, None, 0, _THE_END))
        self._next[place] = offset

    def _end(self, partition: Partition) -> int:
        return partition.stable if self._committed_only else partition.end

    def _watch(self) -> None:
        self._partitions = {place: self._broker.partition(*place) for place in self._next}
        for partition in self._partitions.values():
            partition.watchers.append(self._noticed)

    def _unwatch(self) -> None:
        for partition in self._partitions.values():
            partition.watchers.remove(self._noticed)
        self._partitions = {}

    def _noticed(self) -> None:
        self._machine.wake(latency_us(self._machine))
