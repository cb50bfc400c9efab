"""States of aggregates between their decisions: the last used decoded, the rest as bytes, as in a worker's store.

A delivery that ended is let go once its marker has run out, as the worker forgets it; what comes then begins anew.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import msgspec

from dispatch.core.delivery.states import Closed
from dispatch.replay.deciding import CORES

LIVE = 20_000
"""States kept decoded."""
LATE_MS = 3_600_000
"""So long after its marker ran out a delivery is still kept: its timer may have come late."""
Key = tuple[str, str]
"""Kind and id of an aggregate."""


class States:
    """What is known of every aggregate so far."""

    def __init__(self, live: int = LIVE) -> None:
        self._limit = live
        self._live: OrderedDict[Key, Any] = OrderedDict()
        self._raw: dict[Key, bytes] = {}
        self._ends: list[tuple[int, str]] = []
        self._decoders = {kind: msgspec.msgpack.Decoder(core.state_type) for kind, core in CORES.items()}
        self._encoder = msgspec.msgpack.Encoder()

    def __len__(self) -> int:
        return len(self._live) + len(self._raw)

    def get(self, key: Key) -> Any:
        """The aggregate's state; its initial one where nothing is known."""
        state = self._live.get(key)
        if state is not None:
            self._live.move_to_end(key)
            return state
        raw = self._raw.pop(key, None)
        state = CORES[key[0]].initial(key[1]) if raw is None else self._decoders[key[0]].decode(raw)
        self._keep(key, state)
        return state

    def put(self, key: Key, state: Any) -> None:
        """The state from now on."""
        self._raw.pop(key, None)
        self._keep(key, state)
        phase = getattr(state, "phase", None)
        if isinstance(phase, Closed):
            heapq.heappush(self._ends, (phase.forget_at_ms, key[1]))

    def forget(self, key: Key) -> None:
        """Nothing is known of it any more."""
        self._live.pop(key, None)
        self._raw.pop(key, None)

    def let_go(self, now_ms: int) -> None:
        """Forgets the deliveries whose markers ran out long ago."""
        while self._ends and self._ends[0][0] + LATE_MS < now_ms:
            _, name = heapq.heappop(self._ends)
            phase = getattr(self.get(("delivery", name)), "phase", None)
            if not isinstance(phase, Closed) or phase.forget_at_ms + LATE_MS < now_ms:
                self.forget(("delivery", name))

    def items(self) -> Iterator[tuple[Key, bytes]]:
        """Every state as bytes, for a checkpoint."""
        for key, state in self._live.items():
            yield key, self._encoder.encode(state)
        yield from self._raw.items()

    def restored(self, key: Key, raw: bytes) -> None:
        """Takes a state from a checkpoint."""
        self.put(key, self._decoders[key[0]].decode(raw))

    def _keep(self, key: Key, state: Any) -> None:
        self._live[key] = state
        self._live.move_to_end(key)
        if len(self._live) > self._limit:
            old, known = self._live.popitem(last=False)
            self._raw[old] = self._encoder.encode(known)
