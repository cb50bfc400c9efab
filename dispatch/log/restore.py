"""Reads the state topic back, up to the high watermark: what another has open is waited out."""

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, TopicPartition

from dispatch.log.clients import KAFKA, Clients
from dispatch.log.errors import Aborted
from dispatch.log.settings import HostSettings
from dispatch.log.store import PartitionStore

_LIMIT_S = 120.0


def restore(settings: HostSettings, stores: Sequence[PartitionStore], clients: Clients = KAFKA) -> int:
    """Brings the stores up to the end of their state topics and sets their timers; gives the records read.

    One that was kept while its partition was away is not to be believed: whoever had that meanwhile may have decided.
    It reads what was written since. Raises Aborted.
    """
    by_place = {(store.aggregate.state_topic, store.partition): store for store in stores}
    left = _ends(settings, by_place, clients)
    reader = clients.consumer(settings.reader())
    try:
        reader.assign([TopicPartition(*place, by_place[place].known_until) for place in left])
        read, until = 0, clients.monotonic() + _LIMIT_S
        while left:
            for message in reader.consume(10_000, 0.1):
                place = (message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is None:
                    by_place[place].restored((message.key() or b"").decode(), message.value())
                    read += 1
                elif error.code() == KafkaError._PARTITION_EOF and (message.offset() or 0) >= left.get(place, 0):
                    left.pop(place, None)
                    by_place[place].known_until = message.offset() or 0
            if clients.monotonic() > until:
                raise Aborted(f"not restored within {_LIMIT_S:g} s; waiting for {sorted(left)}")
    finally:
        reader.close()
    for store in stores:
        store.set_timers()
    return read


def _ends(
    settings: HostSettings, stores: Mapping[tuple[str, int], PartitionStore], clients: Clients
) -> dict[tuple[str, int], int]:
    """Where the partitions end in which there is more than is known, open transactions included.

    A predecessor's transaction may have sent its offsets and be about to commit: the last stable offset lies before
    its states, the committed offsets will lie after them.
    """
    asker = clients.consumer(settings.asker())
    ends = {}
    try:
        for place, store in stores.items():
            low, high = asker.get_watermark_offsets(TopicPartition(*place), timeout=30)
            if high > max(low, store.known_until):
                ends[place] = high
    finally:
        asker.close()
    return ends
