"""Kafka's start, laid out ahead: Java's archive of loaded and linked classes (JEP 483, 514), made once an environment.

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
_RECORDS = 200


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
    """What a stack asks of its broker in the first moments: topics, transactions, a group."""
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic("ahead", 8, 1)])["ahead"].result(30)
    producer = Producer({"bootstrap.servers": address, "transactional.id": "ahead"})
    producer.init_transactions(30)
    consumer = Consumer({"bootstrap.servers": address, "group.id": "ahead", "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed", "enable.auto.commit": False})  # fmt: skip
    consumer.subscribe(["ahead"])
    try:
        for _ in range(_RECORDS // 20):
            producer.begin_transaction()
            for number in range(20):
                producer.produce("ahead", b"", str(number))
            producer.flush(30)
            producer.send_offsets_to_transaction(consumer.position(consumer.assignment()),
                                                 consumer.consumer_group_metadata())  # fmt: skip
            producer.commit_transaction(30)
            consumer.consume(20, 0.3)
    finally:
        consumer.close()


def main() -> int:
    """0, whether it could be made or not: nothing needs it."""
    try:
        print(f"Kafka's start is laid out in {make()}")
    except (StartFailed, OSError) as error:
        print(f"Kafka will start as ever, for its start could not be laid out: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
