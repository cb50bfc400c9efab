"""Kafka's start, laid out ahead: Java's archive of classes and of what they do often (JEP 483, 514, 515), made once.

`python -m deploy.local.ahead` runs a broker for a moment on a folder of its own and keeps the archive beside the
environment; `make setup` does. A broker started with it is up in half the time, at a third of the CPU. Without it, or
with one of another Java, other jars or other flags, Java starts as it always did.
"""

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.local.errors import StartFailed

_STOP_S = 120.0
"""The archive is written when the broker ends."""
_TOPICS = tuple(f"ahead-{number}" for number in range(8))
_READERS = 3
_TRANSACTIONS = 1_200
"""So many that the archive holds what is called often, too (JEP 515): Java compiles it at once, not when it has
counted. More of them make no better archive (docs/decisions/0036)."""


def archive(java: Sequence[str]) -> Path:
    """Where the archive of this command line is kept, whether it is there or not."""
    release = Path(java[0]).parents[1] / "release"
    words = [*java, release.read_text() if release.exists() else ""]
    mark = hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
    return Path(sys.prefix) / "share" / "baton" / f"kafka-{mark}.aot"


def use(java: Sequence[str]) -> list[str]:
    """The options that a broker is started with."""
    found = archive(java)
    return [f"-XX:AOTCache={found}", "-Xlog:disable", "-Xlog:all=error:stderr"] if found.exists() else []


def make() -> Path:
    """Makes it, if it is not there. Raises StartFailed."""
    from deploy.local.kafka import Kafka

    with tempfile.TemporaryDirectory(prefix="baton-ahead-") as folder:
        kafka = Kafka(Path(folder))
        made = archive(kafka.java())
        if made.exists():
            return made
        made.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(folder) / made.name
        kafka.options = [f"-XX:AOTCacheOutput={fresh}"]
        kafka.start()
        try:
            _use(kafka.address)
        finally:
            kafka.stop(_STOP_S)
        if not fresh.exists():
            raise StartFailed(f"Java made no archive of Kafka: {kafka.last_lines()}")
        for old in made.parent.glob("kafka-*.aot*"):
            old.unlink()
        beside = made.with_suffix(".aot.new")
        beside.write_bytes(fresh.read_bytes())
        beside.replace(made)
    return made


def _use(address: str) -> None:
    """What a stack asks of its broker: topics, a group, and a worker's transactions with readers behind them."""
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

    admin = AdminClient({"bootstrap.servers": address})
    for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in _TOPICS]).values():
        made.result(30)
    producers = [Producer({"bootstrap.servers": address, "transactional.id": f"ahead-{turn}", "linger.ms": 1,
                           "log_level": 0})
                 for turn in range(2)]  # fmt: skip
    consumers = [Consumer({"bootstrap.servers": address, "group.id": f"ahead-{number}", "enable.auto.commit": False,
                           "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
                 for number in range(_READERS)]  # fmt: skip
    for producer in producers:
        producer.init_transactions(30)
    for consumer in consumers:
        consumer.subscribe(list(_TOPICS))
    try:
        for number in range(_TRANSACTIONS):
            producer = producers[number % 2]
            producer.begin_transaction()
            for topic in _TOPICS * 2:
                producer.produce(topic, bytes(300), str(number))
            producer.flush(30)
            for consumer in consumers:
                consumer.consume(100, 0)
            producer.send_offsets_to_transaction(consumers[0].position(consumers[0].assignment()),
                                                 consumers[0].consumer_group_metadata())  # fmt: skip
            producer.commit_transaction(30)
    finally:
        for consumer in consumers:
            consumer.close()


def main() -> int:
    """0, whether it could be made or not: nothing needs it."""
    from confluent_kafka import KafkaException

    try:
        print(f"Kafka's start is laid out in {make()}")
    except (StartFailed, OSError, KafkaException) as error:
        print(f"Kafka will start as ever, for its start could not be laid out: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
