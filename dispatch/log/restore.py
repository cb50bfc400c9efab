"""Reads the state topic back, up to the high watermark: what another has open is waited out."""

import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, TopicPartition

from dispatch.log.errors import Aborted
from dispatch.log.settings import HostSettings
from dispatch.log.store import PartitionStore

_LIMIT_S = 120.0


def restore(settings: HostSettings, stores: Sequence[PartitionStore]) -> int:
    """Fills the stores from their state topics and sets their timers; gives the records read. Raises Aborted."""
    by_place = {(store.aggregate.state_topic, store.partition): store for store in stores}
    left = _ends(settings, list(by_place))
    reader = Consumer(settings.reader())
    try:
        reader.assign([TopicPartition(topic, partition, 0) for topic, partition in left])
        read, until = 0, time.monotonic() + _LIMIT_S
        while left:
            for message in reader.consume(10_000, 0.1):
                place = (message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is None:
                    by_place[place].restored((message.key() or b"").decode(), message.value())
                    read += 1
                elif error.code() == KafkaError._PARTITION_EOF and (message.offset() or 0) >= left.get(place, 0):
                    left.pop(place, None)
            if time.monotonic() > until:
                raise Aborted(f"not restored within {_LIMIT_S:g} s; waiting for {sorted(left)}")
    finally:
        reader.close()
    for store in stores:
        store.set_timers()
    return read


def _ends(settings: HostSettings, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Where the partitions that are not empty end, open transactions included.

    A predecessor's transaction may have sent its offsets and be about to commit: the last stable offset lies before
    its states, the committed offsets will lie after them.
    """
    asker = Consumer(settings.asker())
    ends = {}
    try:
        for topic, partition in places:
            low, high = asker.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
            if high > low:
                ends[topic, partition] = high
    finally:
        asker.close()
    return ends
