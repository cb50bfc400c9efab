"""A running dispatch, for tests and for `make chaos`: topics of its own, words to drive it with, workers to kill."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from deploy.local import Addresses
from dispatch import setup
from dispatch.checker import Report, check_log
from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.inbound import InboundOrderReady
from dispatch.inputs.candidates.memory import MemoryIndex
from dispatch.inputs.candidates.port import IndexedDriver
from dispatch.inputs.rules import Rules
from dispatch.log.connecting import kafka_client
from dispatch.log.reading import read_all
from dispatch.log.settings import HostSettings
from dispatch.log.worker import Worker
from dispatch.processors.service import application

PLACE = (48.0, 7.85)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Dispatch:
    """One namespace: what is sent to it and read from it."""

    def __init__(self, servers: Addresses, namespace: str, home: Path, partitions: int = 4) -> None:
        self.settings = Settings(
            kafka=servers.kafka, postgres=servers.postgres, valkey=servers.valkey, namespace=namespace, home=home,
            partitions=partitions, reply_slots=2,
        )  # fmt: skip
        self.namespace = namespace
        setup.create_topics(self.settings)
        self._producer = Producer(
            {
                **kafka_client(servers.kafka, "test"),
                "partitioner": "murmur2_random",
                "linger.ms": 1,
                "message.max.bytes": 4_000_000,
            }
        )

    def send_raw(self, topic: topics.Topic, key: str, value: bytes | None, **more: Any) -> None:
        self._producer.produce(self.namespace + topic.name, value, key.encode(), **more)
        self._producer.poll(0)

    def send(self, topic: topics.Topic, key: str, record: Any, **more: Any) -> None:
        self.send_raw(topic, key, codec.encode(record), **more)

    def flush(self) -> None:
        assert self._producer.flush(20) == 0

    def driver(self, kind: type[Any], name: str, **fields: Any) -> None:
        command = kind(
            command_id=str(uuid.uuid4()), driver_id=name, at_ms=now_ms(), actor_type="driver", actor_id=name,
            correlation_id=name, **fields,
        )  # fmt: skip
        self.send(topics.DRIVER_COMMANDS, name, command)

    def sign_on(self, name: str, capacity: int = 1) -> None:
        self.driver(vc.SignOn, name, vehicle="car", capacity=capacity, rating=4.5, lat=PLACE[0], lng=PLACE[1])

    def delivery(self, kind: type[Any], name: str, actor: str = "driver", **fields: Any) -> None:
        more = {"command_id": str(uuid.uuid4())} | fields
        command = kind(delivery_id=name, at_ms=now_ms(), actor_type=actor, actor_id="t", correlation_id=name, **more)
        self.send(topics.DELIVERY_COMMANDS, name, command)

    def order(self, number: int, **changes: Any) -> str:
        """An order through the Kafka door; the delivery's id."""
        fields: dict[str, Any] = {
            "message_id": f"m{number}", "seller_id": "s1", "seller_order_id": f"o{number}", "store_name": "Anker",
            "pickup_lat": PLACE[0], "pickup_lng": PLACE[1], "dropoff_lat": 48.0123, "dropoff_lng": 7.8612,
            "order_value_minor": 2000, "delivery_fee_minor": 299, "currency": "EUR", "placed_at_ms": now_ms(),
            "customer_name": "Clara Q.", "customer_phone": "+49 761 5550123",
        } | changes  # fmt: skip
        self.send(topics.ORDERS_INBOUND, fields["seller_id"], InboundOrderReady(**fields))
        return identity.delivery_id(fields["seller_id"], fields["seller_order_id"])

    def read(self, *wanted: topics.Topic) -> list[Any]:
        """Every record of these topics, decoded, by time."""
        records = sorted(
            read_all(self.settings.kafka, [self.namespace + topic.name for topic in wanted]),
            key=lambda record: record.timestamp_ms,
        )
        return [codec.decode(record.value) for record in records]

    def wait(self, topic: topics.Topic, until: Callable[[list[Any]], bool], limit_s: float = 30) -> list[Any]:
        """Reads until what is wanted is there."""
        end = time.monotonic() + limit_s
        while True:
            records = self.read(topic)
            if until(records):
                return records
            if time.monotonic() > end:
                names = [type(record).__name__ for record in records[-20:]]
                raise AssertionError(f"not seen within {limit_s:g} s in {topic.name}; the last are {names}")
            time.sleep(0.1)

    def check(self, *, quiescent: bool = True) -> Report:
        return check_log(self.settings.kafka, self.namespace, quiescent=quiescent)


DISPATCH = ("-m", "dispatch.cli")


def spawn(
    settings: Settings, kind: str, slot: int = 0, program: tuple[str, ...] = DISPATCH, **more: str
) -> "subprocess.Popen[bytes]":
    """One of Baton's processes, with these settings; its log is in the home. Its lines are not counted: that takes a
    third of its time, and threads run the same ones. `program`: another way to start it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")} | {
        "BATON_KAFKA": settings.kafka, "BATON_POSTGRES": settings.postgres, "BATON_VALKEY": settings.valkey,
        "BATON_NAMESPACE": settings.namespace, "BATON_HOME": str(settings.home), **more,
    }  # fmt: skip
    command = [sys.executable, *program, "run", kind, *(("--slot", str(slot)) if kind == "worker" else ())]
    with (settings.home / f"{kind}-{slot}.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


class Workers:
    """Workers as threads (for speed and coverage) and as processes (to be killed)."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self.index = MemoryIndex()
        self.rules = Rules()
        self._threads: list[tuple[threading.Thread, threading.Event]] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def host(self, slot: int = 0) -> HostSettings:
        settings = self._dispatch.settings
        journal = settings.home / "journal" / f"{settings.namespace}worker-{slot}.json"
        return HostSettings(settings.kafka, f"{settings.namespace}dispatch", slot, journal=journal)

    def thread(self, slot: int = 0, **more: Any) -> Worker:
        app = application(self.rules, self._dispatch.namespace, self.index.search)
        worker = Worker(self.host(slot), app, **more)
        stop = threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,), name=f"worker-{slot}")
        thread.start()
        self._threads.append((thread, stop))
        return worker

    def process(self, slot: int = 0, crash_at: str = "") -> "subprocess.Popen[bytes]":
        process = spawn(self._dispatch.settings, "worker", slot, BATON_CRASH_AT=crash_at)
        self.processes.append(process)
        return process

    def known(self, *names: str, capacity: int = 1) -> None:
        """The index knows these drivers as free."""
        self.index.put([
            IndexedDriver(driver_id=name, lat=PLACE[0], lng=PLACE[1], vehicle="car", capacity=capacity, orders=0,
                          rating=4.5, availability="AVAILABLE") for name in names
        ])  # fmt: skip

    def stop(self) -> None:
        for _, event in self._threads:
            event.set()
        for thread, _ in self._threads:
            thread.join(30)
        self._threads = []
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait(20)
