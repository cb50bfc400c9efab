"""How far consumers are behind: true against a real broker, gone with the consumer, and free of the marks at rest."""

import json
import threading
import time
from collections.abc import Callable
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local import Addresses
from dispatch.log import logs
from dispatch.log.lag import EVERY_S, Ends, Lags
from dispatch.metrics.consumers import LAG_RECORDS, LAG_SECONDS, SILENT_SECONDS
from dispatch.metrics.form import Metric


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
    for second in range(2_000):
        behind_s = ends.behind_s(0, 10 + second, now_s=second)
    assert 500 <= behind_s < 2_000, "at least so long, as far as is remembered"


@pytest.mark.servers
def test_a_consumer_s_lag_is_the_records_it_has_not_taken(servers: Addresses, namespace: str) -> None:
    topic = f"{namespace}lagging"
    admin = AdminClient({"bootstrap.servers": servers.kafka})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(10)
    producer = Producer({"bootstrap.servers": servers.kafka, "transactional.id": f"{namespace}lag"})
    producer.init_transactions(10)
    send(producer, topic, 30)
    clock = Clock()
    lags = Lags(clock)
    consumer = Consumer(
        {"bootstrap.servers": servers.kafka, "group.id": f"{namespace}lag", "isolation.level": "read_committed",
         "enable.auto.commit": False, "fetch.wait.max.ms": 20}
    )  # fmt: skip

    def noted() -> dict[tuple[str, ...], float]:
        clock.now_s += EVERY_S
        lags.note("one", consumer)
        return told(lags)

    assert noted() == {}, "nothing is assigned: nothing is known"
    consumer.assign([TopicPartition(topic, 0, 0)])
    assert len(consumer.consume(10, 10)) == 10
    assert noted() == {("one", topic, "0"): 21}, "20 records and the transaction's mark"
    assert len(consumer.consume(20, 10)) == 20
    lags.note("one", consumer)
    assert told(lags) == {("one", topic, "0"): 21}, "it is noted every two seconds, not each turn"
    assert noted() == {("one", topic, "0"): 1}, "the mark alone"
    assert seconds(lags) == {("one", topic, "0"): 0}
    send(producer, topic, 5)
    place = TopicPartition(topic, 0)  # the client hears of the records as it fetches ahead, then of their mark
    until(lambda: consumer.get_watermark_offsets(place, cached=True)[1] == 37)
    assert noted() == {("one", topic, "0"): 7}
    noted()
    assert seconds(lags) == {("one", topic, "0"): EVERY_S}
    clock.now_s += 60
    assert seconds(lags) == {("one", topic, "0"): EVERY_S + 60}, "it took nothing since"
    assert values(lags, SILENT_SECONDS) == {("one",): 60}
    lags.forget(consumer)
    assert told(lags) == {}
    consumer.close()
    assert [family.samples for family in lags.collect()] == [[], [], []]


@pytest.mark.servers
def test_metrics_are_answered_while_the_reader_has_its_consumer(servers: Addresses, namespace: str) -> None:
    """A consumer answers one thread at a time: whoever asked it from another waited for good."""
    lags, stop = Lags(), threading.Event()
    consumer = Consumer({"bootstrap.servers": servers.kafka, "group.id": f"{namespace}reader"})

    def reads() -> None:
        while not stop.is_set():
            lags.note("reader", consumer)
            consumer.consume(500, 0.5)

    reader = threading.Thread(target=reads)
    reader.start()
    until(lambda: values(lags, SILENT_SECONDS) != {})
    took_s = []
    for _ in range(20):
        began = time.monotonic()
        list(lags.collect())
        took_s.append(time.monotonic() - began)
        time.sleep(0.02)
    stop.set()
    reader.join()
    consumer.close()
    assert sorted(took_s)[len(took_s) // 2] < 0.4


def test_a_consumer_that_cannot_say_where_it_stands_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    class Gone:
        def assignment(self) -> list[TopicPartition]:
            raise KafkaException(KafkaError(KafkaError._STATE))

    lags = Lags()
    logs.configure("a test")
    lags.note("gone", cast(Consumer, Gone()))
    assert told(lags) == {}
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["consumer"]) == ("lag_unknown", "gone")


class Clock:
    """Goes when it is told to."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def send(producer: Producer, topic: str, count: int) -> None:
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, str(number).encode())
    producer.commit_transaction(10)


def told(lags: Lags) -> dict[tuple[str, ...], float]:
    return values(lags, LAG_RECORDS)


def seconds(lags: Lags) -> dict[tuple[str, ...], float]:
    return values(lags, LAG_SECONDS)


def values(lags: Lags, metric: Metric) -> dict[tuple[str, ...], float]:
    family = next(family for family in lags.collect() if family.name == metric.name)
    return {tuple(one.labels[label] for label in metric.labels): one.value for one in family.samples}


def until(true: Callable[[], bool], limit_s: float = 10) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
