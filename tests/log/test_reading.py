"""Reading whole topics of a real broker: everything up to one moment, and nothing that is written meanwhile."""

from confluent_kafka import Producer

from deploy.local import Addresses
from dispatch.log import topics
from dispatch.log.reading import read_all

MORE_THAN_IS_TAKEN_AT_ONCE = 6_000


def test_what_is_written_while_it_is_read_is_left_out_in_every_partition(servers: Addresses, namespace: str) -> None:
    names = [namespace + name for name in ("one", "two")]
    topics.create(servers.kafka, [topics.TopicSpec(name, 2, {}) for name in names])
    producer = Producer({"bootstrap.servers": servers.kafka})

    def write(count: int, word: bytes) -> None:
        for name in names:
            for number in range(count):
                producer.produce(name, word, partition=number % 2)
        assert producer.flush(20) == 0

    write(MORE_THAN_IS_TAKEN_AT_ONCE, b"before")
    reading = read_all(servers.kafka, names)
    found = [next(reading).value]
    write(100, b"meanwhile")
    found += [record.value for record in reading]
    assert set(found) == {b"before"}
    assert len(found) == 2 * MORE_THAN_IS_TAKEN_AT_ONCE
