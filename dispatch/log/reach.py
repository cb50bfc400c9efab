"""What a batch may hand over to: the stores held here whose partitions have read all that was sent to them before."""

from collections.abc import Iterable
from functools import lru_cache

from dispatch.log.store import PartitionStore

_SEED, _MIX, _ALL = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


class Reach:
    """Stores by topic of commands and partition, of which each topic has as many."""

    def __init__(self, topics: Iterable[str], partitions: int, stores: Iterable[PartitionStore]) -> None:
        self.topics = frozenset(topics)
        self._partitions = partitions
        self._stores = {(store.aggregate.commands_topic, store.partition): store for store in stores}

    def holder(self, topic: str, key: bytes) -> PartitionStore | None:
        """The store that holds this key, if it is here and open."""
        return self._stores.get((topic, murmur2(key) % self._partitions))


NOWHERE = Reach((), 1, ())


@lru_cache(200_000)
def murmur2(key: bytes) -> int:
    """The hash by which a keyed record finds its partition, made positive (Kafka's Utils.murmur2 and toPositive)."""
    mixed = _SEED ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        part = int.from_bytes(key[at : at + 4], "little") * _MIX & _ALL
        mixed = mixed * _MIX & _ALL ^ (part ^ part >> 24) * _MIX & _ALL
    if rest := key[whole:]:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * _MIX & _ALL
    mixed = (mixed ^ mixed >> 13) * _MIX & _ALL
    return (mixed ^ mixed >> 15) & 0x7FFFFFFF
