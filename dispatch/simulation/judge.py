"""What a run is judged by besides the checker's own books: what is stored is what the core folds the events to, and
deciding again from what was recorded gives the same bytes.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from dispatch.contract import codec, topics
from dispatch.contract.records.system import Decision
from dispatch.core.facts import Refusal
from dispatch.core.policy import Policy
from dispatch.log.application import Record
from dispatch.log.envelope import load
from dispatch.processors import recorded
from dispatch.processors.cores import DELIVERY, DRIVER

_STORED: dict[str, Any] = {core.kind: msgspec.msgpack.Decoder(core.state_type) for core in (DELIVERY, DRIVER)}


class Again:
    """Decides again under the policies of a run, by their versions: the checker's Redecide (rule 15)."""

    def __init__(self, policies: Mapping[int, Policy]) -> None:
        self._policies = policies
        self._states: dict[str, tuple[int, Any]] = {}
        """By aggregate how many events are folded, and to what."""

    def __call__(self, decision: Decision, before: list[bytes]) -> list[bytes]:
        """The events' bytes; of a refusal none."""
        core: Any = DELIVERY if decision.aggregate == "delivery" else DRIVER
        count, state = self._states.get(decision.aggregate_id, (0, core.initial(decision.aggregate_id)))
        for value in before[count:]:
            state = core.evolve(state, codec.decode(value))
        self._states[decision.aggregate_id] = len(before), state
        facts = recorded.whole(recorded.read(decision.facts), decision.now_ms, self._policies[decision.policy_version])
        made = core.decide(state, codec.decode(decision.command), facts)
        return [] if isinstance(made, Refusal) else [codec.encode(event) for event in made]


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
