"""The simulated broker is held to the same cases as the real one: what the host's promises rest on."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition
from two_brokers import Kafka, RealKafka, SimulatedKafka, everything, refusal

from deploy.local import Addresses


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.servers)])
def kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    if request.param == "simulated":
        yield SimulatedKafka()
    else:
        servers: Addresses = request.getfixturevalue("servers")
        yield RealKafka(servers.kafka, request.getfixturevalue("namespace"))


def opened(kafka: Kafka, name: str, timeout_ms: int = 5_000) -> Any:
    producer = kafka.producer(name, timeout_ms)
    producer.init_transactions(20)
    return producer


def written(kafka: Kafka, producer: Any, *values: bytes, partition: int = 0) -> None:
    for value in values:
        producer.produce(kafka.topic, value, b"k", partition)
    assert producer.flush(20) == 0


def test_what_is_committed_is_seen_in_the_order_of_the_log_and_what_is_aborted_never(kafka: Kafka) -> None:
    def case() -> None:
        one, two = opened(kafka, "one"), opened(kafka, "two")
        for producer, value, commits in ((one, b"1", True), (two, b"2", False), (one, b"3", False), (two, b"4", True)):
            producer.begin_transaction()
            written(kafka, producer, value, value + b"'")
            if commits:
                producer.commit_transaction(20)
            else:
                producer.abort_transaction(20)
        assert everything(kafka)[0] == [b"1", b"1'", b"4", b"4'"]
        assert everything(kafka, committed=False)[0] == [b"1", b"1'", b"2", b"2'", b"3", b"3'", b"4", b"4'"]

    kafka.live(case)


def test_nobody_sees_beyond_what_is_open_but_who_asks_for_the_end(kafka: Kafka) -> None:
    def case() -> None:
        one, two = opened(kafka, "one"), opened(kafka, "two")
        one.begin_transaction()
        written(kafka, one, b"open")
        two.begin_transaction()
        written(kafka, two, b"committed", b"committed too")
        two.commit_transaction(20)
        kafka.rest(1)
        place = TopicPartition(kafka.topic, 0)
        assert everything(kafka)[0] == []
        assert kafka.reader(committed=True).get_watermark_offsets(place, timeout=20) == (0, 0)
        assert kafka.reader(committed=False).get_watermark_offsets(place, timeout=20) == (0, 4)
        one.commit_transaction(20)
        kafka.rest(1)
        assert everything(kafka)[0] == [b"open", b"committed", b"committed too"]
        assert kafka.reader(committed=True).get_watermark_offsets(place, timeout=20) == (0, 5)

    kafka.live(case)


def test_the_end_of_a_partition_is_told_behind_the_marks(kafka: Kafka) -> None:
    def case() -> None:
        one = opened(kafka, "one")
        one.begin_transaction()
        written(kafka, one, b"1", b"2")
        one.commit_transaction(20)
        one.begin_transaction()
        written(kafka, one, b"3")
        one.abort_transaction(20)
        kafka.rest(1)
        reader = kafka.reader(committed=True)
        reader.assign([TopicPartition(kafka.topic, 0, 1)])
        told = []
        while not told or told[-1][0] != KafkaError._PARTITION_EOF:
            message = reader.poll(1)
            if message is not None:
                told.append((message.error() and message.error().code(), message.offset()))
        assert told == [(None, 1), (KafkaError._PARTITION_EOF, 5)]

    kafka.live(case)


def test_a_producer_whose_identity_was_taken_over_is_beyond_repair_and_what_it_left_open_is_aborted(
    kafka: Kafka,
) -> None:
    def case() -> None:
        first = opened(kafka, "one")
        first.begin_transaction()
        written(kafka, first, b"zombie")
        second = opened(kafka, "one")
        second.begin_transaction()
        written(kafka, second, b"successor")
        second.commit_transaction(20)
        refused = refusal(first.commit_transaction, 20)
        assert (refused.code(), refused.fatal()) == (KafkaError._FENCED, True)
        assert refusal(first.abort_transaction, 20).fatal()
        assert everything(kafka)[0] == [b"successor"]

    kafka.live(case)


def test_a_transaction_that_lasts_too_long_is_aborted_and_its_producer_beyond_repair(kafka: Kafka) -> None:
    def case() -> None:
        one = opened(kafka, "one", timeout_ms=1_000)
        one.begin_transaction()
        written(kafka, one, b"late")
        assert everything(kafka, committed=False)[0] == [b"late"]
        kafka.rest(13)
        refused = refusal(one.commit_transaction, 20)
        assert refused.fatal()
        assert everything(kafka)[0] == []

    kafka.live(case)


class Member:
    """A consumer of the group, with what it was told."""

    def __init__(self, kafka: Kafka, slot: int) -> None:
        self.consumer, self.told = kafka.consumer(slot), []
        self.places: list[tuple[str, int]] = []
        self.wrong: KafkaError | None = None
        self.consumer.subscribe([kafka.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, _consumer: Any, places: list[TopicPartition]) -> None:
        self.places = [(place.topic, place.partition) for place in places]
        self.told.append(len(places))

    def _revoked(self, _consumer: Any, places: list[TopicPartition]) -> None:
        self.places = []
        self.told.append(-len(places))

    def turn(self) -> None:
        message = self.consumer.poll(0.2)
        wrong = message.error() if message is not None else None
        if wrong is not None and wrong.code() != KafkaError._PARTITION_EOF:
            self.wrong = wrong


def turns(*members: Member, until: Any) -> None:
    for _ in range(200):
        if until():
            return
        for member in members:
            member.turn()
    raise AssertionError([member.told for member in members])


def test_offsets_count_when_their_transaction_is_committed(kafka: Kafka) -> None:
    def case() -> None:
        member, one = Member(kafka, 0), opened(kafka, "one")
        turns(member, until=lambda: len(member.places) == 2)
        place = [TopicPartition(kafka.topic, 0, 7)]
        for commits in (True, False):
            one.begin_transaction()
            written(kafka, one, b"1")
            place[0].offset = 7 if commits else 9
            one.send_offsets_to_transaction(place, member.consumer.consumer_group_metadata(), 20)
            if commits:
                one.commit_transaction(20)
            else:
                one.abort_transaction(20)
            found = member.consumer.committed([TopicPartition(kafka.topic, 0)], timeout=20)
            assert found[0].offset == 7

    kafka.live(case)


def test_who_asks_for_offsets_that_an_open_transaction_may_change_waits(kafka: Kafka) -> None:
    def case() -> None:
        member, one = Member(kafka, 0), opened(kafka, "one")
        turns(member, until=lambda: len(member.places) == 2)
        one.begin_transaction()
        written(kafka, one, b"1")
        metadata = member.consumer.consumer_group_metadata()
        one.send_offsets_to_transaction([TopicPartition(kafka.topic, 0, 7)], metadata, 20)
        refused = refusal(lambda: member.consumer.committed([TopicPartition(kafka.topic, 0)], timeout=1))
        assert refused.code() == KafkaError._TIMED_OUT
        one.commit_transaction(20)

    kafka.live(case)


def test_offsets_of_a_generation_that_is_over_are_refused_and_the_transaction_must_be_aborted(kafka: Kafka) -> None:
    def case() -> None:
        first, one = Member(kafka, 0), opened(kafka, "one")
        turns(first, until=lambda: len(first.places) == 2)
        old = first.consumer.consumer_group_metadata()
        second = Member(kafka, 1)
        turns(first, second, until=lambda: len(first.places) == 1 and len(second.places) == 1)
        assert first.told == [2, -2, 1]
        one.begin_transaction()
        written(kafka, one, b"zombie")
        refused = refusal(one.send_offsets_to_transaction, [TopicPartition(kafka.topic, 0, 1)], old, 20)
        assert refused.txn_requires_abort()
        assert refusal(one.commit_transaction, 20).txn_requires_abort()
        one.abort_transaction(20)
        assert everything(kafka)[0] == []
        one.begin_transaction()  # what sends no offsets is not fenced: so a transaction of timers alone sends some
        written(kafka, one, b"zombie again")
        one.send_offsets_to_transaction([], old, 20)
        one.commit_transaction(20)
        assert everything(kafka)[0] == [b"zombie again"]

    kafka.live(case)


def test_a_member_that_comes_again_under_its_name_takes_its_place_over_and_the_other_is_beyond_repair(
    kafka: Kafka,
) -> None:
    def case() -> None:
        first, other = Member(kafka, 0), Member(kafka, 1)
        turns(first, other, until=lambda: len(first.places) == 1 and len(other.places) == 1)
        before, held = len(other.told), first.places
        again = Member(kafka, 0)
        turns(other, again, until=lambda: len(again.places) == 1)
        assert again.places == held
        turns(first, other, until=lambda: first.wrong is not None)
        assert first.wrong is not None
        assert first.wrong.code() == KafkaError._FATAL
        assert len(other.told) == before, "there was no rebalance"

    kafka.live(case)
