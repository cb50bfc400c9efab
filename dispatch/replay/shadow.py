"""A second policy beside the first, live: every decision is decided again under it as soon as it is made, one step.

It follows the log with a group of its own and writes to `shadow.decisions` and nowhere else: its offsets and what it
says are one transaction, so each decision is judged once. The states before are folded from the events.
"""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import msgspec
from confluent_kafka import Consumer, TopicPartition

from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.records.system import ShadowDecision
from dispatch.core.policy import Policy
from dispatch.core.policy_document import whole
from dispatch.log import logs
from dispatch.log.application import Message
from dispatch.log.connecting import kafka_client
from dispatch.log.errors import Aborted
from dispatch.log.health import HealthServer, Serve
from dispatch.log.transaction import TransactionalProducer
from dispatch.metrics.shadow import BEHIND, JUDGED
from dispatch.replay.changes import SCORES, Came, kinds
from dispatch.replay.diffing import seen, words
from dispatch.replay.policies import Policies
from dispatch.replay.record import Place
from dispatch.replay.source import KafkaLog, TopicReader
from dispatch.replay.under import Other, Undecidable, decided
from dispatch.replay.verify import Asked, Sources
from dispatch.replay.walking import Step, Walker

AT_ONCE = 500
_IDLE_S = 0.1
_TRIES = 5
_LONGEST = 900
logger = logs.get("dispatch.replay.shadow")


def name_of(policy: Policy) -> str:
    """Tells policies in the shadow apart: the same document, the same name, whatever version it bears."""
    document = msgspec.json.encode({**whole(policy), "version": 0}, order="sorted")
    return hashlib.sha256(document).hexdigest()[:12]


def judged(step: Step, policies: Policies, other: Other, name: str) -> ShadowDecision | None:
    """What the policy in the shadow says of a decision; None: the policy in force is not known."""
    one, decision, where = step.one, step.one.decision, seen(step)
    was = policies.of(decision.policy_version, decision.policy_zone, one.facts.wall_ms)
    if was is None:
        return None
    old = Came(decision.outcome, decision.reason, step.events)
    place: Place = one.place
    head = ShadowDecision(
        shadow=name,
        aggregate=decision.aggregate,
        aggregate_id=decision.aggregate_id,
        command=where.command,
        command_id=decision.command_id,
        partition=place.partition,
        offset=place.offset,
        at_ms=decision.now_ms,
        zone=where.zone,
        policy_version=decision.policy_version,
        verdict="agrees",
        outcome=decision.outcome,
    )
    try:
        new = decided(step.before, one, was, other.at(one))
    except Undecidable as reason:
        return msgspec.structs.replace(head, verdict="undecidable", kinds=(str(reason),))
    found = [kind for kind in kinds(old, new) if kind != SCORES]
    if not found:
        return head
    told = {"was": words(old)[:_LONGEST], "would_be": words(new)[:_LONGEST]}
    return msgspec.structs.replace(head, verdict="differs", kinds=tuple(found), **told)


def run(
    settings: Settings, policy: Policy, stop: threading.Event, since_ms: int = 0, health: Serve = HealthServer
) -> None:
    """Until stopped; from where it was, else from that moment on, else from now. Raises Fenced when another comes."""
    log = KafkaLog(settings.kafka, settings.namespace)
    group = Consumer(
        {
            **kafka_client(settings.kafka, "shadow"),
            "group.id": f"{settings.namespace}shadow",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    lanes: list[_Lane] = []
    page = health(settings.health_port, lambda: {"shadow": "up" if lanes else "starting"})
    try:
        shadow = _Shadow(settings, log, policy, group)
        lanes += [_Lane(log, place, since_ms) for place in shadow.places()]
        logger.info("started", process="shadow")
        while not stop.is_set():
            done = sum([shadow.work(lane) for lane in lanes])
            BEHIND.set(sum(lane.behind for lane in lanes))
            if not done:
                stop.wait(_IDLE_S)
    finally:
        page.stop()
        for lane in lanes:
            lane.close()
        group.close()
        log.close()


class _Shadow:
    """Judges, and writes."""

    def __init__(self, settings: Settings, log: KafkaLog, policy: Policy, group: Consumer) -> None:
        self._log, self._group = log, group
        self._other, self._name, self._policies = Other(policy), name_of(policy), log.policies()
        self._topic, self._decisions = log.name(topics.SHADOW_DECISIONS), log.name(topics.DECISIONS)
        self._producer = TransactionalProducer(
            {
                **kafka_client(settings.kafka, "shadow"),
                "transactional.id": f"{settings.namespace}shadow",
                "transaction.timeout.ms": 30_000,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "log_level": 0,
            }
        )
        self._producer.initialise()

    def places(self) -> list[TopicPartition]:
        """Every partition of the decisions, with the offset that was committed."""
        wanted = [TopicPartition(self._decisions, number) for number in range(self._log.partitions())]
        return list(self._group.committed(wanted, timeout=30))

    def work(self, lane: "_Lane") -> int:
        """Some decisions of a lane; gives how many."""
        steps = lane.take()
        if not steps and not lane.moved():
            return 0
        messages, verdicts = [], Counter[str]()
        for step in steps:
            said = judged(step, self._policies, self._other, self._name)
            if said is None:
                self._policies = self._log.policies()  # one was put in force a moment ago
                said = judged(step, self._policies, self._other, self._name)
            if said is None:
                passed_over(f"policy {step.one.decision.policy_version} is not on record")
                continue
            verdicts[said.verdict] += 1
            messages.append(Message(self._topic, said.aggregate_id.encode(), codec.encode(said)))
        self._write(messages, TopicPartition(self._decisions, lane.partition, lane.committed()))
        for verdict, count in verdicts.items():
            JUDGED.labels(verdict).inc(count)
        return len(steps)

    def _write(self, messages: Sequence[Message], offset: TopicPartition) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self._producer.begin()
                self._producer.send(messages)
                self._producer.flush()
                self._producer.send_offsets([offset], self._group.consumer_group_metadata())
                self._producer.commit()
                return
            except Aborted:
                self._producer.abort()
                if not left:
                    raise
                time.sleep(_IDLE_S)


class _Lane:
    """One partition: its three topics, and how far it got."""

    def __init__(self, log: KafkaLog, place: TopicPartition, since_ms: int) -> None:
        self.partition = place.partition
        start = place.offset
        if start < 0:
            start = log.offset_at(topics.DECISIONS, self.partition, since_ms or _now_ms())
        self._decisions = log.reader(topics.DECISIONS, self.partition, start)
        self._events = [log.reader(topic, self.partition) for topic in (topics.DELIVERY_EVENTS, topics.DRIVER_EVENTS)]
        first = _first_stamp_ms(log, self.partition, start) or _now_ms()
        sources = Sources(self._decisions.now, self._events[0], self._events[1])
        self._walker = Walker(sources, Asked(since_ms=first), passed_over)
        self._committed = start

    def take(self) -> list[Step]:
        """The next ones, some at most."""
        return list(islice(self._walker.steps(), AT_ONCE))

    @property
    def behind(self) -> int:
        """Decisions that are there and were not taken."""
        return self._decisions.behind

    def moved(self) -> bool:
        """Whether decisions were read since the last commit."""
        return self._walker.next_offset > self._committed

    def committed(self) -> int:
        """The offset to commit."""
        self._committed = max(self._committed, self._walker.next_offset)
        return self._committed

    def close(self) -> None:
        """Closes its connections."""
        for reader in (self._decisions, *self._events):
            reader.close()


def _first_stamp_ms(log: KafkaLog, partition: int, start: int) -> int:
    reader: TopicReader = log.reader(topics.DECISIONS, partition, start)
    try:
        record = reader() if reader.end > start else None
        return record.timestamp_ms if record is not None else 0
    finally:
        reader.close()


def passed_over(reason: str) -> None:
    """Said in the log: of such a decision the shadow says nothing."""
    logger.warning("shadow_passed_over", reason=reason)
    JUDGED.labels("passed_over").inc()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
