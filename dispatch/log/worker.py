"""The loop: consume, look up, decide, produce, commit the offsets with it, merge. One thread, consumer and producer.

Order within a turn: lookups before the transaction opens; begin; decide over an overlay; produce; flush; send offsets
with the group's metadata (for timers too, or nothing fences a zombie); commit; only then merge the overlay.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Consumed

from dispatch.log import logs
from dispatch.log.application import Aggregate, DeadLetterFormat, Deadline, Lookup, Probe, Record, Transform
from dispatch.log.batch import AHEAD_MS, Batch
from dispatch.log.clients import KAFKA, Clients, Stop
from dispatch.log.errors import Aborted, BadRecord, Fenced, OutcomeUnknown
from dispatch.log.journal import Journal, Taken
from dispatch.log.positions import Due, Place, Positions
from dispatch.log.producers import Producers
from dispatch.log.reach import Reach
from dispatch.log.reading import record_of
from dispatch.log.restore import restore
from dispatch.log.settings import HostSettings
from dispatch.log.share import Share
from dispatch.log.store import PartitionStore
from dispatch.metrics import host as metrics

_SEEKS, _TAKEN = 50, 250
_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)
logger = logs.get("dispatch.log.worker")


@dataclass(frozen=True, slots=True)
class Application:
    """What a worker runs. All topics of all sources have the same number of partitions."""

    aggregates: tuple[Aggregate, ...]
    transforms: tuple[Transform, ...]
    lookup: Lookup
    dead_letter: DeadLetterFormat
    outputs: tuple[str, ...]
    """Every topic that it may write to."""


class Worker:
    """One slot of the group. `run` returns when stopped and raises Fenced when the slot is another's."""

    def __init__(
        self,
        settings: HostSettings,
        application: Application,
        *,
        probe: Probe = lambda _step: None,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clients: Clients = KAFKA,
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._app = application
        self._probe = probe
        self._clock_ms = clock_ms
        self._transforms = {source.topic: source for source in application.transforms}
        self._topics = [aggregate.commands_topic for aggregate in application.aggregates] + list(self._transforms)
        self._states = [aggregate.state_topic for aggregate in application.aggregates]
        self._stores: dict[Place, PartitionStore] = {}
        self._at, self._partitions = Positions(), 1
        self._assigned: set[Place] | None = None
        self._owned: set[Place] = set()
        self._state, self._worn, self._began_s = "starting", False, 0.0
        self._journal = Journal(clients.journal(settings.journal))
        self._producer = Producers(settings.producers(), clients)
        self._consumer: Consumer
        self._asker: Consumer

    def parts(self) -> dict[str, str]:
        """For /ready."""
        return {"kafka": self._state, "partitions": "up" if self._owned else "none assigned"}

    def run(self, stop: Stop) -> None:
        """Works until stopped."""
        failures = 0
        self._reopen_until_open(stop)
        self._consumer = self._clients.consumer(self._settings.consumer())
        self._asker = self._clients.consumer(self._settings.asker())
        share = Share(self._consumer, self._asker, self._clients.monotonic)
        share.subscribe(self._topics, self._on_assign, self._on_revoke, self._on_lost)
        try:
            while not stop.is_set():
                self._clients.lags.note("worker", self._consumer)
                share.check()
                try:
                    if self._turn():
                        failures = 0
                except Aborted as error:
                    self._state = str(error)
                    stop.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                    failures += 1
                except OutcomeUnknown as error:
                    self._began_s = 0.0
                    metrics.UNKNOWN.inc()
                    logger.warning("commit_unknown", reason=str(error))
                    self._state = str(error)
                    self._reopen_until_open(stop)
                    self._anew()
                    self._stores.clear()
        finally:
            self._clients.lags.forget(self._consumer)
            self._consumer.close()
            self._asker.close()
            self._journal.close()

    def _reopen_until_open(self, stop: Stop) -> None:
        """Fresh producers under the same identities, which end whatever their predecessors left open."""
        while not stop.is_set():
            try:
                self._producer.reopen()
                self._state = "up"
                return
            except Aborted as error:
                self._state = str(error)
                logger.warning("kafka_unreachable", reason=str(error))
                stop.wait(0.5)

    def _turn(self) -> bool:
        """One transaction, if there is anything to do. Whether there was."""
        records = self._poll()
        if self._worn:
            self._worn = False
            raise OutcomeUnknown("the broker was away: a producer from before may wait for it for good")
        if self._assigned is not None:
            self._take_over()
            return True  # every partition was sought back to what is committed: what was polled comes again
        records, left = self._journal.parted([one for one in records if (one.topic, one.partition) in self._owned])
        for place in (again := {(record.topic, record.partition) for record in left}):
            self._at.went_back(place)
        due = self._due(records)
        if not records and not due:
            return False
        self._probe("polled")
        try:
            if self._journal.suspicious:  # a timer at most, and alone
                if records:
                    self._handle(records, [])
                if due:
                    self._handle([], due)
                self._journal.settle(self._comes_again)
            else:
                self._handle(records, due)
        except (Aborted, OutcomeUnknown):
            for store, timers in due:
                store.put_back(timers)
            raise
        finally:
            for place in again:
                self._seek(*place)
        return True

    def _handle(self, records: list[Record], due: Due) -> None:
        in_hand = [Taken(record.topic, record.partition, record.offset) for record in records]
        in_hand += [_taken(store, *timer) for store, timers in due for timer in timers]
        self._journal.take(in_hand)
        try:
            self._transact(self._batch(records, due), records, due)
        finally:
            self._journal.done(in_hand)

    def _batch(self, records: Sequence[Record], due: Due) -> Batch:
        """What is to be decided, less what the process died at too often."""
        stores = {place: store for place, store in self._stores.items() if place in self._owned}
        offsets = self._at.offsets(records, due)
        opened = [store for place, store in stores.items() if self._at.has_read_all(place, offsets)]
        reach = Reach((aggregate.commands_topic for aggregate in self._app.aggregates), self._partitions, opened)
        batch = Batch(self._app.lookup, self._app.dead_letter, self._clock_ms(), self._settings.state_format, reach)
        sound = []
        for record in records:
            if self._journal.is_deadly(Taken(record.topic, record.partition, record.offset)):
                logger.error("deadly_record", topic=record.topic, partition=record.partition, offset=record.offset)
                batch.set_aside(record, BadRecord("the process died at this record three times"))
            else:
                sound.append(record)
        batch.prepare(sound, stores, self._transforms)
        for store, timers in due:
            for aggregate_id, deadline in timers:
                fault = None
                if self._journal.is_deadly(_taken(store, aggregate_id, deadline)):
                    logger.error("deadly_timer", aggregate=aggregate_id, timer=deadline.kind, at_ms=deadline.at_ms)
                    fault = BadRecord("the process died at this timer three times")
                batch.add_timer(store, aggregate_id, deadline, fault)
        return batch

    def _transact(self, batch: Batch, records: Sequence[Record], due: Due) -> None:
        offsets = self._at.offsets(records, due)
        try:
            batch.look_up()
            self._probe("looked_up")
            began = self._began_s = self._clients.monotonic()
            self._producer.begin()
            self._probe("begun")
            messages = batch.decide()
            self._probe("decided")
            self._producer.send(messages, noted=self._states)
            if batch.detours:
                self._producer.send(batch.detours, noted=self._topics)
            self._probe("produced")
            self._producer.flush()
            self._probe("flushed")
            parts = [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
            self._producer.send_offsets(parts, self._consumer.consumer_group_metadata())
            self._probe("offsets_sent")
            self._producer.commit()
        except Aborted as error:
            self._abort(error, records)
            raise
        self._began_s = 0.0
        self._probe("committed")
        for store, aggregate_id, raw, live in batch.written:
            store.put(aggregate_id, raw, live)
            store.known_until = self._producer.reached[store.aggregate.state_topic, store.partition]
        self._at.committed(offsets, self._producer.reached)
        self._state = "up"
        self._probe("merged")
        metrics.TRANSACTION_SECONDS.observe(self._clients.monotonic() - began)
        if records:
            oldest_ms = min(record.timestamp_ms for record in records)
            metrics.DECISION_SECONDS.observe(max(0, self._clock_ms() - oldest_ms) / 1000)
        metrics.TRANSACTIONS.inc()
        metrics.DECISIONS.inc(batch.decisions)
        metrics.BATCH.observe(len(records) + sum(len(timers) for _, timers in due))
        if batch.dead_letters:
            metrics.DEAD_LETTERS.inc(batch.dead_letters)
            logger.warning("dead_lettered", count=batch.dead_letters)

    def open_for_s(self) -> float:
        """How long the present transaction has been open; 0: none is. One that hangs is for a watchdog to end."""
        return self._clients.monotonic() - self._began_s if self._began_s else 0.0

    def _abort(self, error: Aborted, records: Sequence[Record]) -> None:
        """Ends the transaction, if one is open, and goes back to what is committed."""
        began_s, self._began_s = self._began_s, 0.0
        metrics.ABORTS.inc()
        logger.warning("aborted", reason=str(error), records=len(records))
        if began_s:
            self._producer.abort()
        for topic, number in {(record.topic, record.partition) for record in records}:
            self._seek(topic, number)

    def _seek(self, topic: str, number: int) -> None:
        """Goes back to what is committed. One just assigned takes a moment until it can be sought in."""
        self._at.went_back((topic, number))
        for attempt in range(_SEEKS):
            try:
                self._consumer.seek(TopicPartition(topic, number, self._at.next[topic, number]))
                return
            except KafkaException as error:
                if error.args[0].code() != KafkaError._STATE or attempt == _SEEKS - 1:
                    logger.warning("kafka_error", reason=f"seek {topic} {number}: {error}")
                    self._anew()
                    return
                self._clients.sleep(0.02)

    def _anew(self) -> None:
        """All that was assigned is to be taken over again; until then nothing is decided."""
        self._assigned = self._owned if self._assigned is None else self._assigned
        self._owned = set()

    def _poll(self) -> list[Record]:
        """Waits for one record, then takes what is already there."""
        wait_s = self._settings.idle_s
        now_ms = self._clock_ms()
        for place, store in self._stores.items():
            if place in self._owned and (due_ms := store.next_due_ms(now_ms)) is not None:
                wait_s = min(wait_s, max(0.001, (due_ms - now_ms) / 1000))
        limit = self._journal.room(self._settings.batch_limit)
        first = self._consumer.poll(wait_s)
        if first is None:
            return []
        records: list[Record] = []
        self._note(first, records)
        room = self._settings.batch_bytes - len(first)
        while len(records) < limit and room > 0:
            more = self._consumer.consume(min(_TAKEN, limit - len(records)), 0)
            if not more:
                break
            for message in more:
                self._note(message, records)
                room -= len(message)
        return records

    def _note(self, message: Consumed, records: list[Record]) -> None:
        error = message.error()
        if error is None:
            record = record_of(message)
            self._at.consumed(record, vouches=record.timestamp_ms <= self._clock_ms() + AHEAD_MS)
            records.append(record)
        elif error.code() == KafkaError._PARTITION_EOF:
            self._at.end[message.topic() or "", message.partition() or 0] = message.offset() or 0
        elif error.fatal() or error.code() in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID):
            raise Fenced(error.str())
        else:
            self._state = error.str()
            logger.warning("kafka_error", reason=error.str())

    def _due(self, records: Sequence[Record]) -> Due:
        """Timers that have come, where the partition has consumed every record stamped before them."""
        now_ms, found = self._clock_ms(), []
        room = 1 if self._journal.suspicious else max(1, self._settings.batch_limit - len(records))
        for place, store in self._stores.items():
            due_ms = store.next_due_ms(now_ms)
            if due_ms is None or due_ms > now_ms or place not in self._owned:
                continue
            until_ms = now_ms if self._caught_up(place) else min(now_ms, self._at.stamp.get(place, 0) - 1)
            timers = store.take_due(until_ms, room)
            room -= len(timers)
            if timers:
                found.append((store, timers))
            if room <= 0:
                break
        return found

    def _caught_up(self, place: Place) -> bool:
        """Whether nothing lies behind what was consumed: asked of the broker now, after the timer's moment.

        On a connection of its own: on the consumer's, the question would wait behind the fetch that waits for records.
        """
        end = self._at.end.get(place)
        if end is None:
            return False
        try:
            _, high = self._asker.get_watermark_offsets(TopicPartition(*place), timeout=1)
        except KafkaException as error:
            logger.warning("kafka_error", reason=str(error))
            return False
        return end >= high

    def _take_over(self) -> None:
        """Restores the assigned partitions, those kept from before from where they stood, and drops what is gone."""
        assigned, self._assigned = self._assigned or set(), None
        began = self._clients.monotonic()
        fresh = [
            PartitionStore(aggregate, number)
            for aggregate in self._app.aggregates
            for topic, number in sorted(assigned)
            if topic == aggregate.commands_topic and (topic, number) not in self._stores
        ]
        parts = [TopicPartition(topic, number) for topic, number in sorted(assigned)]
        try:
            if parts:
                self._sweep(parts[0])
            kept = [store for place, store in self._stores.items() if place in assigned]
            read = restore(self._settings, fresh + kept, self._clients)
            first = self._topics[0]
            self._partitions = len(self._asker.list_topics(first, timeout=30).topics[first].partitions)
            committed = self._consumer.committed(parts, timeout=30) if parts else []
            for part in committed:
                if part.error is not None:
                    raise Aborted(f"committed offset of {part.topic} {part.partition}: {part.error}")
                low, high = self._asker.get_watermark_offsets(part, timeout=30)
                self._at.took_over((part.topic, part.partition), part.offset if part.offset >= 0 else low, high)
        except OutcomeUnknown:
            self._assigned = assigned
            raise
        except (KafkaException, Aborted) as error:
            self._assigned = assigned
            raise Aborted(f"not restored: {error}") from error
        self._stores |= {(store.aggregate.commands_topic, store.partition): store for store in fresh}
        self._owned = assigned
        self._journal.settle(self._comes_again)
        for place in sorted(assigned):
            self._seek(*place)
        if self._assigned is not None:
            raise Aborted("not restored: a partition cannot be sought in")
        metrics.RESTORE_SECONDS.set(took := self._clients.monotonic() - began)
        metrics.PARTITIONS.set(len({number for _, number in assigned}))
        metrics.AGGREGATES.set(sum(len(store) for store in self._stores.values()))
        logger.info("restored", partitions=len(assigned), records=read, seconds=round(took, 3))

    def _sweep(self, assigned: TopicPartition) -> None:
        """Ends what a failure left open; one that hangs is, as any transaction, for the watchdog to end."""
        self._began_s = self._clients.monotonic()
        try:
            offset = TopicPartition(assigned.topic, assigned.partition, 0)
            self._producer.sweep(self._app.outputs, [offset], self._consumer.consumer_group_metadata())
        finally:
            self._began_s = 0.0

    def _comes_again(self, taken: Taken) -> bool:
        """Whether a record is not committed, or a timer still open, in a partition held."""
        place = (taken.topic, taken.partition)
        if place not in self._owned:
            return False
        if taken.deadline is None:
            return taken.offset >= self._at.next[place]
        return self._stores[place].is_open(taken.aggregate_id, taken.deadline)

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned = {(part.topic, part.partition) for part in partitions}
        self._stores = {place: store for place, store in self._stores.items() if place in self._assigned}
        self._owned = set()
        logger.info("assigned", partitions=len(partitions))

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Nothing is open between turns. States stay; what comes back is brought up to date when it is taken over."""
        self._owned, self._assigned = set(), None
        self._at.end.clear()
        logger.info("revoked", partitions=len(partitions))

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Another may have decided since: nothing in memory is worth anything."""
        self._owned, self._assigned = set(), None
        self._stores.clear()
        self._at.end.clear()
        self._worn = True
        logger.warning("lost", partitions=len(partitions))


def _taken(store: PartitionStore, aggregate_id: str, deadline: Deadline) -> Taken:
    """A timer, as the journal knows it."""
    return Taken(store.aggregate.commands_topic, store.partition, aggregate_id=aggregate_id, deadline=deadline)
