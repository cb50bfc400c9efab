"""What a record costs to write, to read and to judge: compiled from its schema, beside the library it is held to."""

import statistics
import time
import timeit
from collections.abc import Callable
from functools import partial

from bench import replay
from dispatch.contract import codec, limits

_KINDS = ("DriverAccepted", "Decision", "DeliveryCreated", "DriverCandidatesFound")
_TIMES, _RUNS = 1_000, 7


def run() -> dict[str, float]:
    """Microseconds of a process' CPU a record, for the first of each kind in a made log."""
    seen = {}
    for records in replay.made(20).values():
        for record in records:
            if codec.subject_in(record.value).rpartition(".")[2] in _KINDS:
                decoded = codec.decode(record.value)
                seen.setdefault(type(decoded).__name__, (decoded, record.value or b""))
    figures = {}
    for kind in _KINDS:
        record, data = seen[kind]
        writer, reader = codec._writer(type(record)), codec._reader(codec.schema_id(type(record)))
        for what, library, ours in (
            ("write", partial(codec._write_by_library, writer, record), partial(codec.encode, record)),
            ("read", partial(codec._read_by_library, reader, data), partial(codec.decode, data)),
            ("judge", partial(limits._check, record, ""), partial(limits.check, record)),
        ):
            figures |= {f"{what} {kind}, µs, one by one": _us(library), f"{what} {kind}, µs, compiled": _us(ours)}
    return figures


def _us(work: Callable[[], object]) -> float:
    """The median of some runs."""
    return statistics.median(timeit.repeat(work, time.process_time, number=_TIMES, repeat=_RUNS)) / _TIMES * 1e6
