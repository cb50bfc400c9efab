"""What a run is judged by besides the checker: what is stored is what the core folds the events to, byte for byte."""

from typing import Any

import msgspec

from dispatch.contract import codec, topics
from dispatch.log.application import Record
from dispatch.log.envelope import load
from dispatch.processors.cores import DELIVERY, DRIVER

_STORED: dict[str, Any] = {core.kind: msgspec.msgpack.Decoder(core.state_type) for core in (DELIVERY, DRIVER)}


def folds(log: list[Record]) -> list[str]:
    """Where the stored state is not what the events fold to (rule 14)."""
    states: dict[tuple[str, str], Any] = {}
    kept: dict[tuple[str, str], bytes | None] = {}
    wrong = []
    cores: tuple[tuple[Any, str, str], ...] = (
        (DELIVERY, topics.DELIVERY_EVENTS.name, topics.DELIVERY_STATE.name),
        (DRIVER, topics.DRIVER_EVENTS.name, topics.DRIVER_STATE.name),
    )
    for core, events, state in cores:
        for record in log:
            key = (core.kind, (record.key or b"").decode())
            if record.topic == events:
                before = states.get(key)
                states[key] = core.evolve(
                    core.initial(key[1]) if before is None else before, codec.decode(record.value)
                )
            elif record.topic == state:
                kept[key] = record.value
    for key, value in kept.items():
        if value is None:
            continue
        initial: Any = (DELIVERY if key[0] == "delivery" else DRIVER).initial
        stored = _STORED[key[0]].decode(load(value).state)
        folded = states.get(key, initial(key[1]))
        if stored != folded:
            wrong.append(f"{key[0]} {key[1]} is stored as {stored}, and its events fold to {folded}")
    return wrong
