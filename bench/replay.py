"""Deciding again: a log of whole deliveries made in memory by the real host, verified from memory and from Kafka.

The baseline is plain decoding of the same records, decisions with their commands and events, by the same codec.
"""

import time
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from bench.decisions import InTurn
from bench.town import STEPS, _header, now_ms
from dispatch import setup
from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.personal import split
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.inbound import InboundOrderReady
from dispatch.contract.records.system import Decision
from dispatch.core.policy import Policy
from dispatch.inputs.rules import Rules
from dispatch.log.application import Record
from dispatch.log.batch import Batch
from dispatch.log.reach import Reach
from dispatch.log.store import PartitionStore
from dispatch.processors.service import application
from dispatch.replay.policies import Policies
from dispatch.replay.ranges import Range
from dispatch.replay.report import Report
from dispatch.replay.run import verify as verify_log
from dispatch.replay.source import KafkaLog
from dispatch.replay.verify import Asked, Sources, Verifier

Log = dict[str, list[Record]]
_TOPICS = ("decisions", "delivery.events", "driver.events")


def run(kafka: str, orders: int = 2_000) -> dict[str, float]:
    """Figures over so many whole deliveries, 12 decisions each; a second of CPU, and of the clock for Kafka."""
    log = made(orders)
    decode_s, plain = _decoded(log), 0.0
    report = Report()
    begun = time.process_time()
    sources = Sources(*(_source(log[name]) for name in _TOPICS))
    Verifier(Policies(), sources, Asked(), report).run()
    plain = time.process_time() - begun
    _must_be_whole(report, len(log["decisions"]))
    clock_s, cpu_s = _from_kafka(kafka, log)
    count = len(log["decisions"])
    return {
        "decisions": count,
        "decisions verified a second of CPU": count / plain,
        "of plain decoding (1 = as fast)": decode_s / plain,
        "plain decoding of the same, a second of CPU": count / decode_s,
        "verified from Kafka, a second of CPU": count / cpu_s,
        "verified from Kafka, a second": count / clock_s,
    }


def made(orders: int) -> Log:
    """One partition's log."""
    now = now_ms()
    drivers = [f"d{number}" for number in range(orders)]
    app = application(Rules(Policy()), "", InTurn(drivers).search)
    stores = {one.commands_topic: PartitionStore(one, 0) for one in app.aggregates}
    log: Log = defaultdict(list)

    def decide(topic: str, commands: list[tuple[str, Any]]) -> None:
        records = [Record(topic, 0, -1, now, key.encode(), codec.encode(command)) for key, command in commands]
        batch = Batch(app.lookup, app.dead_letter, now, reach=Reach(stores, 1, stores.values()))
        batch.prepare(records, {(name, 0): store for name, store in stores.items()}, {})
        batch.look_up()
        for message in batch.decide():
            of = log[message.topic]
            of.append(Record(message.topic, 0, len(of), now, message.key, message.value))
        for store, name, raw, live in batch.written:
            store.put(name, raw, live)

    signs = [
        (name, vc.SignOn(**_header("driver", name), driver_id=name, vehicle="car", lat=48.0, lng=7.85, rating=4.5))
        for name in drivers
    ]
    decide("driver.commands", signs)
    for begin in range(0, orders, 500):
        named = [split(_order(number)) for number in range(begin, min(begin + 500, orders))]
        ready = [(name, dc.MarkReady(**_header("order_service", "s"), delivery_id=name, order=order))
                 for name, order, _ in named]  # fmt: skip
        decide("delivery.commands", ready)
        for step in ("", *STEPS):
            said = []
            for name, _, _ in named:
                phase: Any = stores["delivery.commands"].get(name).state.phase
                held = {"delivery_id": name, "offer_id": phase.offer_id, "driver_id": phase.driver_id}
                head = _header("driver", phase.driver_id)
                said.append(
                    (name, dc.ReportProgress(**head, **held, step=step) if step else dc.AcceptOffer(**head, **held))
                )
            decide("delivery.commands", said)
    return log


def _order(number: int) -> InboundOrderReady:
    """No two from the same place: one search would be for both, and find one driver."""
    return InboundOrderReady(
        message_id=str(number), seller_id="bench", seller_order_id=str(number), store_name="Anker", pickup_lat=48.0,
        pickup_lng=7.85 + number / 1e6, dropoff_lat=48.0 + number % 100 / 2_500, dropoff_lng=7.86,
        order_value_minor=2_000, delivery_fee_minor=299, currency="EUR", placed_at_ms=now_ms(),
        customer_name="A. Customer", customer_phone="+49 761 1234567", dropoff_address="Somewhere 1",
    )  # fmt: skip


def _source(records: list[Record]) -> Any:
    left = iter(records)
    return lambda: next(left, None)


def _decoded(log: Log) -> float:
    begun = time.process_time()
    for record in log["decisions"]:
        decision = codec.decode(record.value)
        assert isinstance(decision, Decision)
        codec.decode(decision.command)
    for name in _TOPICS[1:]:
        for record in log[name]:
            codec.decode(record.value)
    return time.process_time() - begun


def _from_kafka(kafka: str, log: Log) -> tuple[float, float]:
    settings = Settings(kafka=kafka, namespace=f"bench{uuid.uuid4().hex[:6]}.", partitions=1)
    setup.create_topics(settings)
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "enable.idempotence": True,
            "linger.ms": 20,
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    for name in _TOPICS:
        for record in log[name]:
            producer.produce(settings.namespace + name, record.value, record.key, 0)
            producer.poll(0)
    if producer.flush(120):
        raise RuntimeError("Kafka did not take the log within 120 s")
    source = KafkaLog(kafka, settings.namespace)
    clock, cpu = time.monotonic(), time.process_time()
    report = verify_log(source, Range((0,)), Path("/nonexistent"), lambda *_: None)
    took = time.monotonic() - clock, time.process_time() - cpu
    source.close()
    _must_be_whole(report, len(log[topics.DECISIONS.name]))
    return took


def _must_be_whole(report: Report, decisions: int) -> None:
    if not report.ok or report.equal != decisions:
        raise RuntimeError(f"{report.equal} of {decisions} came out the same: the figures mean nothing")
