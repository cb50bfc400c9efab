"""Who could be asked: an index of drivers by place. Never a judge: the driver's aggregate grants or denies.

`port` says what an index answers and how it is written, `valkey` is the fast one, `postgres` the fallback over the
drivers table, `memory` the one for tests, `chain` asks them in order within time limits.
"""

from dispatch.inputs.candidates.chain import Chain, open_index
from dispatch.inputs.candidates.port import CandidateIndex, DriverIndex, IndexedDriver

__all__ = ["CandidateIndex", "Chain", "DriverIndex", "IndexedDriver", "open_index"]
