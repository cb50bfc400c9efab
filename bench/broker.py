"""What Kafka takes on this machine: CPU and time a transaction of a worker, and a start, in turns so that noise shows.

A transaction writes what two steps of deliveries write: seventeen records to eight topics, while six consumers follow.
"""

import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from deploy.local import Kafka, ahead
from deploy.local import kafka as local
from dispatch.contract import topics
from dispatch.log.topics import TopicSpec, create

Figures = dict[str, float | str]
_OF_DELIVERY = (topics.DELIVERY_EVENTS, topics.DELIVERY_STATE, topics.DECISIONS, topics.NOTICES)
_OF_DRIVER = (topics.DRIVER_EVENTS, topics.DRIVER_STATE, topics.DECISIONS, topics.OFFERS)
_FOLLOWED = (topics.DELIVERY_EVENTS, topics.DRIVER_EVENTS, topics.OFFERS)
_VERIFIED = "transaction.partition.verification.enable"
_WARM, _COUNTED, _ROUNDS, _FOLLOWERS = 150, 250, 2, 6
_RECORD = bytes(300)
_STOP_S = 120.0


def transactions() -> Figures:
    """By partitions a topic and whether the broker verifies them: CPU ms of the broker and ms, a transaction."""
    figures: Figures = {}
    for number in range(1, _ROUNDS + 1):
        for verified in ("true", "false"):
            for partitions in (8, 2, 1):
                cpu_ms, took_ms = _transactions(partitions, verified)
                what = f"round {number}, {partitions} partitions, {'' if verified == 'true' else 'not '}verified"
                figures |= {f"{what}: broker's CPU ms": cpu_ms, f"{what}: ms": took_ms}
    return figures


def _transactions(partitions: int, verified: str) -> tuple[float, float]:
    before, local.SETTINGS[_VERIFIED] = local.SETTINGS[_VERIFIED], verified
    try:
        with _broker() as kafka, _followed(kafka.address, partitions):
            producers = [Producer({"bootstrap.servers": kafka.address, "transactional.id": name, "linger.ms": 1,
                                   "log_level": 0})
                         for name in ("a", "b")]  # fmt: skip
            for producer in producers:
                producer.init_transactions(30)
            chance = random.Random(1)
            for number in range(_WARM):
                _transact(producers[number % 2], chance, partitions)
            used_s, began = _cpu_s(kafka), time.monotonic()
            for number in range(_COUNTED):
                _transact(producers[number % 2], chance, partitions)
            return (_cpu_s(kafka) - used_s) / _COUNTED * 1000, (time.monotonic() - began) / _COUNTED * 1000
    finally:
        local.SETTINGS[_VERIFIED] = before


def _transact(producer: Producer, chance: random.Random, partitions: int) -> None:
    producer.begin_transaction()
    for _ in range(2):
        for side in (_OF_DELIVERY, _OF_DRIVER):
            place = chance.randrange(partitions)
            for topic in side:
                producer.produce(topic.name, _RECORD, str(place), place)
    producer.produce(topics.REPLIES.name, _RECORD, "gateway", 0)
    producer.flush(30)
    producer.commit_transaction(30)


@contextlib.contextmanager
def _followed(address: str, partitions: int) -> Iterator[None]:
    written = {topic.name: topic for topic in (*_OF_DELIVERY, *_OF_DRIVER, topics.REPLIES)}
    create(address, [TopicSpec(name, partitions, topic.settings()) for name, topic in written.items()])
    stop = threading.Event()
    threads = [threading.Thread(target=_follow, args=(address, partitions, stop)) for _ in range(_FOLLOWERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _follow(address: str, partitions: int, stop: threading.Event) -> None:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bench", "enable.auto.commit": False,
                         "isolation.level": "read_committed", "fetch.min.bytes": 50_000, "fetch.wait.max.ms": 200,
                         "log_level": 0})  # fmt: skip
    consumer.assign([TopicPartition(topic.name, number, 0) for topic in _FOLLOWED for number in range(partitions)])
    while not stop.is_set():
        consumer.consume(500, 0.2)
    consumer.close()


def starts() -> Figures:
    """A broker's start with every topic there: CPU s and s until it answers, plain and laid out ahead, in turns."""
    ahead.make()
    figures: Figures = {}
    with _broker() as kafka:
        create(kafka.address, [TopicSpec(topic.name, topics.partitions_of(topic, keyed=8, replies=16),
                                         topic.settings()) for topic in topics.CATALOGUE])  # fmt: skip
        kafka.stop(_STOP_S)
        for number in range(1, _ROUNDS + 2):
            for what, options in (("plain", []), ("laid out ahead", None)):
                kafka.options, began = options, time.monotonic()
                kafka.start()
                figures[f"start {number}, {what}: s"] = time.monotonic() - began
                figures[f"start {number}, {what}: CPU s"] = _cpu_s(kafka)
                kafka.stop(_STOP_S)
    return figures


@contextlib.contextmanager
def _broker() -> Iterator[Kafka]:
    with tempfile.TemporaryDirectory() as folder:
        kafka = Kafka(Path(folder))
        kafka.start()
        try:
            yield kafka
        finally:
            kafka.kill()


def _cpu_s(kafka: Kafka) -> float:
    times = psutil.Process(kafka.pid).cpu_times()
    return float(times.user + times.system)
