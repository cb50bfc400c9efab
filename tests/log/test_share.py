"""Who gets no share of its group while brokers answer ends; who reaches no broker waits, and so does who has one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer

from deploy.local.ports import free_port
from deploy.local.servers import Addresses
from dispatch.log.errors import Fenced
from dispatch.log.share import Share
from dispatch.log.topics import TopicSpec, create

PATIENCE_S = 30.0


@contextmanager
def member(brokers: str, group: str, limit_s: float) -> Iterator[tuple[Consumer, Share]]:
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": group, "session.timeout.ms": 6_000, "log_level": 0})
    try:
        yield consumer, Share(consumer, limit_s=limit_s)
    finally:
        consumer.close()


def polled(consumer: Consumer, share: Share, for_s: float, *, until_it_has_any: bool = False) -> None:
    """Polls and checks, as whoever has a consumer does."""
    until = time.monotonic() + for_s
    while time.monotonic() < until and not (until_it_has_any and consumer.assignment()):
        share.check()
        consumer.poll(0.1)


@pytest.fixture
def topic(servers: Addresses, namespace: str) -> str:
    create(servers.kafka, [TopicSpec(f"{namespace}shared", 1, {})])
    return f"{namespace}shared"


def test_who_is_given_nothing_while_brokers_answer_ends(servers: Addresses, topic: str) -> None:
    with member(servers.kafka, topic, PATIENCE_S) as (silent, its), member(servers.kafka, topic, 1.0) as (late, share):
        its.subscribe([topic])
        polled(silent, its, PATIENCE_S, until_it_has_any=True)
        assert silent.assignment()
        share.subscribe([topic])  # the share-out waits for the one that polls no more
        with pytest.raises(Fenced, match="the group has given no share for 2 s"):
            polled(late, share, PATIENCE_S)


def test_who_was_told_that_it_has_none_stays(servers: Addresses, topic: str) -> None:
    """One partition for two members: one of them has nothing to do."""
    with (
        member(servers.kafka, topic, PATIENCE_S) as (first, its),
        member(servers.kafka, topic, 20.0) as (second, share),
    ):
        told: list[int] = []
        for whose in (its, share):
            whose.subscribe([topic], on_assign=lambda _consumer, partitions: told.append(len(partitions)))
        until = time.monotonic() + PATIENCE_S
        while 0 not in told and time.monotonic() < until:
            for one, whose in ((first, its), (second, share)):
                polled(one, whose, 0.1)
        assert 0 in told
        assert share._without_since_s is None is its._without_since_s


def test_time_in_which_nobody_polled_is_not_held_against_the_group(servers: Addresses, topic: str) -> None:
    """A worker polls nothing while it waits for brokers that are away; then the group has yet to be asked."""
    with member(servers.kafka, topic, 2.0) as (consumer, share):
        share.subscribe([topic])
        time.sleep(5.0)
        polled(consumer, share, PATIENCE_S, until_it_has_any=True)
        assert consumer.assignment()


def test_who_reaches_no_broker_waits() -> None:
    with member(f"127.0.0.1:{free_port()}", "nobody", 0.2) as (consumer, share):
        share.subscribe(["nothing"])
        polled(consumer, share, 5.0)


def test_what_is_taken_counts_from_then_on(servers: Addresses, topic: str) -> None:
    with member(servers.kafka, topic, PATIENCE_S) as (consumer, share):
        heard: list[str] = []
        share.subscribe([topic], lambda *_: heard.append("given"), lambda *_: heard.append("taken"))
        polled(consumer, share, PATIENCE_S, until_it_has_any=True)
        assert share._without_since_s is None
        consumer.unsubscribe()
        polled(consumer, share, 2.0)
        assert (heard, share._without_since_s is not None) == (["given", "taken"], True)
