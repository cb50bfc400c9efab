"""The same pass-through work on Baton's host, on Faust and on Kafka Streams: one command in, an event, a decision and
a changed state out. No decoding, no deciding: what the machinery itself costs.

Measured alike for all: from the first to the last record of the events topic, by the records' own times.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from deploy.local.jars import classpath
from dispatch.log.application import Context, DeadLetter, Deadline, Message, Record, Step
from dispatch.log.reading import read_all, watermarks
from dispatch.log.settings import HostSettings
from dispatch.log.topics import TopicSpec, create
from dispatch.log.worker import Application, Worker

HERE = Path(__file__).parent
PARTITIONS = 8
KEYS = 10_000
VALUE_BYTES = 300
LIMIT_S = 90
_OUTPUTS = ("events", "decisions", "state")
STREAMS = ("org.apache.kafka:kafka-streams:4.3.0", "org.slf4j:slf4j-simple:1.7.36")


class PassesThrough:
    """Baton's host with nothing in it: the port at its least."""

    name = "passes"

    def __init__(self, prefix: str, commands: str) -> None:
        self.commands_topic, self.state_topic = commands, f"{prefix}state"
        self._events, self._decisions = f"{prefix}events", f"{prefix}decisions"

    def decode(self, record: Record) -> Record:
        """As it is."""
        return record

    def identity(self, command: Record) -> tuple[str, bytes]:
        """The key; the value begins with the command's id."""
        return (command.key or b"").decode(), (command.value or b"")[:16]

    def initial(self, aggregate_id: str) -> bytes:
        """Nothing."""
        return aggregate_id.encode()

    def needs(self, state: bytes, command: Record, now_ms: int) -> None:
        """Nothing."""

    def timer_command(self, aggregate_id: str, deadline: Deadline) -> Any:
        """There are none."""
        raise NotImplementedError(f"{aggregate_id}: {deadline}")

    def step(self, state: bytes, command: Record, fact: None, context: Context) -> Step[bytes]:  # noqa: ARG002
        """An event, a decision and a state."""
        value = command.value or b""
        told = [Message(self._events, command.key, value), Message(self._decisions, command.key, value * 2)]
        return Step(value * 2, told, (), b"seen")

    def repeat(self, command: Record, outcome: bytes) -> list[Message]:  # noqa: ARG002 - the port's
        """Nothing."""
        return []

    def dump(self, state: bytes) -> bytes:
        """As it is."""
        return state

    def load(self, aggregate_id: str, data: bytes) -> bytes:  # noqa: ARG002 - the port's
        """As it is."""
        return data


def run(kafka: str, records: int = 100_000) -> dict[str, float | str]:
    """Records a second of each, and the ratios."""
    prefix = f"peers{uuid.uuid4().hex[:6]}."
    commands = f"{prefix}commands"
    _create(kafka, [commands])
    _fill(kafka, commands, records)
    figures: dict[str, float | str] = {"records": float(records)}
    for name, runner in (("Baton's host", _host), ("Faust", _faust), ("Kafka Streams", _streams)):
        mine = f"{prefix}{name.split()[-1].lower()}."
        _create(kafka, [mine + topic for topic in _OUTPUTS])
        with tempfile.TemporaryDirectory() as folder:
            why_not = _why_not(name)
            if why_not:
                figures[f"{name}, records a second"] = f"left out: {why_not}"
                continue
            with runner(kafka, commands, mine, folder):
                figures[f"{name}, records a second"] = _rate(kafka, f"{mine}events", records)
    host, faust = figures["Baton's host, records a second"], figures["Faust, records a second"]
    streams = figures["Kafka Streams, records a second"]
    if isinstance(host, float) and isinstance(faust, float):
        figures["Baton's host / Faust"] = host / faust
    if isinstance(host, float) and isinstance(streams, float):
        figures["Baton's host / Kafka Streams"] = host / streams
    return figures


def _why_not(name: str) -> str:
    if name == "Kafka Streams" and not (shutil.which("javac") and shutil.which("java")):
        return "no Java development kit on this machine"
    return ""


def _create(kafka: str, topics: Sequence[str]) -> None:
    create(kafka, [TopicSpec(topic, PARTITIONS, {}) for topic in topics])


def _fill(kafka: str, topic: str, records: int) -> None:
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 20,
                         "queue.buffering.max.messages": records + 1})  # fmt: skip
    for number in range(records):
        value = uuid.uuid4().bytes + bytes(VALUE_BYTES - 16)
        producer.produce(topic, value, f"key-{number % KEYS}".encode())
        producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the input was not written")


def _rate(kafka: str, topic: str, records: int) -> float:
    """Waits until every record has come out; records a second between the first and the last."""
    asker = Consumer({"bootstrap.servers": kafka, "group.id": "bench-asks", "isolation.level": "read_uncommitted"})
    until, seen, before = time.monotonic() + LIMIT_S, 0, -1
    try:
        while seen < records or seen != before:  # the ends count commits too: they stand still when all is out
            before = seen
            ends = (watermarks(asker, TopicPartition(topic, number)) for number in range(PARTITIONS))
            seen = sum(high - low for low, high in ends)
            if time.monotonic() > until:
                raise RuntimeError(f"{topic}: {seen} of {records} records within {LIMIT_S} s")
            time.sleep(1)
    finally:
        asker.close()
    stamps = [record.timestamp_ms for record in read_all(kafka, [topic])]
    if len(stamps) < records:
        raise RuntimeError(f"{topic}: {len(stamps)} of {records} records committed")
    return len(stamps) / max(1, max(stamps) - min(stamps)) * 1000


@contextmanager
def _host(kafka: str, commands: str, mine: str, folder: str) -> Iterator[None]:
    del folder

    def dead_letter(letter: DeadLetter) -> Message:
        raise RuntimeError(f"set aside: {letter}")

    host = HostSettings(kafka, f"{mine}group")
    passes = PassesThrough(mine, commands)
    outputs = tuple(mine + topic for topic in _OUTPUTS)
    app = Application((passes,), (), lambda needs: [None for _ in needs], dead_letter, outputs)
    stop = threading.Event()
    thread = threading.Thread(target=Worker(host, app).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _faust(kafka: str, commands: str, mine: str, folder: str) -> Iterator[None]:
    said = ",".join((kafka, commands, f"{mine}events", f"{mine}decisions", f"{mine}group", str(PARTITIONS), folder))
    with _program([sys.executable, str(HERE / "faust_passthrough.py")], {"BENCH_PEER": said}, folder):
        yield


@contextmanager
def _streams(kafka: str, commands: str, mine: str, folder: str) -> Iterator[None]:
    jars = classpath(*STREAMS)
    subprocess.run(["javac", "-cp", jars, "-d", folder, str(HERE / "PassThrough.java")], check=True)
    given = [kafka, commands, f"{mine}events", f"{mine}decisions", f"{mine}group", folder]
    java = ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-Xmx512m", "-cp", f"{folder}:{jars}"]
    with _program([*java, "PassThrough", *given], {}, folder):
        yield


@contextmanager
def _program(command: Sequence[str], environment: dict[str, str], folder: str) -> Iterator[None]:
    log = Path(folder) / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{log.read_text(errors='replace')[-2000:]}") from error
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
