"""How far consumers are behind: true against a real broker, gone with the consumer, and free of the marks at rest."""

import json
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local import Addresses
from dispatch.log import logs
from dispatch.log.lag import Ends, Lags


def test_for_how_long_is_never_said_to_be_more_than_it_was() -> None:
    ends = Ends()
    assert ends.behind_s(position=10, end=10, now_s=0) == 0
    assert ends.behind_s(10, 14, now_s=15) == 0, "it may have been a moment ago"
    assert ends.behind_s(10, 20, now_s=30) == 15, "at 15 s the end was beyond already"
    assert ends.behind_s(10, 20, now_s=45) == 30
    assert ends.behind_s(15, 20, now_s=60) == 30, "it went on: 14 lies behind it, 20 was there at 30 s"
    assert ends.behind_s(19, 20, now_s=75) == 0, "what is left is the mark of a transaction"
    assert ends.behind_s(19, 25, now_s=90) == 0


def test_what_was_read_of_an_end_is_bounded() -> None:
    ends = Ends()
    for second in range(1_000):
        behind_s = ends.behind_s(0, 10 + second, now_s=second)
    assert 200 <= behind_s < 1_000, "at least so long, as far as is remembered"


@pytest.mark.servers
def test_a_consumer_s_lag_is_the_records_it_has_not_taken(servers: Addresses, namespace: str) -> None:
    topic = f"{namespace}lagging"
    admin = AdminClient({"bootstrap.servers": servers.kafka})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(10)
    producer = Producer({"bootstrap.servers": servers.kafka, "transactional.id": f"{namespace}lag"})
    producer.init_transactions(10)
    send(producer, topic, 30)
    lags = Lags()
    consumer = Consumer(
        {"bootstrap.servers": servers.kafka, "group.id": f"{namespace}lag", "isolation.level": "read_committed",
         "enable.auto.commit": False, "fetch.wait.max.ms": 20}
    )  # fmt: skip
    lags.watch("one", consumer)
    assert told(lags) == {}, "nothing is assigned: nothing is known"
    consumer.assign([TopicPartition(topic, 0, 0)])
    first = consumer.consume(10, 10)
    assert len(first) == 10
    assert told(lags) == {("one", topic, "0"): 21}, "20 records and the transaction's mark"
    assert len(consumer.consume(20, 10)) == 20
    assert told(lags) == {("one", topic, "0"): 1}, "the mark alone"
    assert seconds(lags) == {("one", topic, "0"): 0}
    send(producer, topic, 5)
    until(lambda: told(lags) == {("one", topic, "0"): 7})  # the client hears of the end as it fetches ahead
    time.sleep(0.3)
    assert seconds(lags)["one", topic, "0"] >= 0.25
    lags.watch("one", consumer)
    assert len(told(lags)) == 1, "watched twice is shown once"
    lags.forget(consumer)
    assert told(lags) == {}
    consumer.close()
    assert [family.samples for family in lags.collect()] == [[], []]


def test_a_closed_consumer_that_is_still_watched_is_told_and_leaves_the_rest_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lags = Lags()
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "closed", "log_level": 0})
    lags.watch("gone", consumer)
    consumer.close()
    logs.configure("a test")
    assert told(lags) == {}
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["consumer"]) == ("lag_unknown", "gone")


def send(producer: Producer, topic: str, count: int) -> None:
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, str(number).encode())
    producer.commit_transaction(10)


def told(lags: Lags) -> dict[tuple[str, str, str], float]:
    return of(lags, 0)


def seconds(lags: Lags) -> dict[tuple[str, str, str], float]:
    return of(lags, 1)


def of(lags: Lags, which: int) -> dict[tuple[str, str, str], float]:
    samples = list(lags.collect())[which].samples
    return {(one.labels["consumer"], one.labels["topic"], one.labels["partition"]): one.value for one in samples}


def until(true: Callable[[], bool], limit_s: float = 10) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
