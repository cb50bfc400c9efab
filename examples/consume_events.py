"""Reads a topic of Baton's with Confluent's own deserializer, through the gateway's registry; ends when it is read.

`python examples/consume_events.py --kafka 127.0.0.1:9092 --registry http://127.0.0.1:8080`. The addresses are in what
`baton status` shows. Needs confluent-kafka[avro,schemaregistry].
"""

import argparse
import json
import sys
import uuid
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def main() -> None:
    """Prints every record of the topic as a line of JSON; with --names only how many there are of each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kafka", required=True)
    arguments.add_argument("--registry", required=True)
    arguments.add_argument("--topic", default="delivery.events")
    given = arguments.parse_args()
    registry = SchemaRegistryClient({"url": given.registry})
    read = AvroDeserializer(registry)
    consumer = Consumer(
        {"bootstrap.servers": given.kafka, "group.id": f"example-{uuid.uuid4().hex}", "enable.auto.commit": False,
         "isolation.level": "read_committed", "enable.partition.eof": True}
    )  # fmt: skip
    known = consumer.list_topics(given.topic, timeout=10).topics[given.topic]
    if known.error is not None:
        sys.exit(f"no topic {given.topic}: {known.error}")
    consumer.assign([TopicPartition(given.topic, number, OFFSET_BEGINNING) for number in known.partitions])
    unread, count = set(known.partitions), 0
    while unread:
        message = consumer.poll(10)
        if message is None:
            sys.exit(f"nothing came from {given.kafka} for 10 s")
        if message.error() is not None:  # the end of a partition
            unread.discard(message.partition())
            continue
        if message.value() is not None:
            said: Any = read(message.value(), SerializationContext(given.topic, MessageField.VALUE))
            print(json.dumps(said, default=str))
            count += 1
    consumer.close()
    registry.close()
    print(f"{count} records of {given.topic}", file=sys.stderr)


if __name__ == "__main__":
    main()
