"""One decision again: the state before it, what was recorded with it, a policy; by the real core."""

from typing import Any, NamedTuple, cast

from dispatch.contract.records.shared import Outcome
from dispatch.core.facts import Refusal
from dispatch.core.policy import Policy
from dispatch.processors import recorded
from dispatch.processors.aggregate import Core
from dispatch.processors.cores import DELIVERY, DRIVER
from dispatch.replay.record import Recorded

CORES: dict[str, Core[Any]] = {"delivery": cast(Core[Any], DELIVERY), "driver": cast(Core[Any], DRIVER)}


class Decided(NamedTuple):
    """What the core makes of a command."""

    outcome: Outcome
    reason: str
    detail: str
    events: tuple[Any, ...]


def again(state: Any, one: Recorded, policy: Policy) -> Decided:
    """Decides with the facts of the record under this policy. Raises whatever the core raises."""
    facts = recorded.whole(one.facts, one.decision.now_ms, policy)
    result = CORES[one.decision.aggregate].decide(state, one.command, facts)
    if isinstance(result, Refusal):
        return Decided("refused", result.code, result.detail, ())
    return Decided("accepted" if result else "duplicate", "", "", result)


def folded(kind: str, state: Any, events: tuple[Any, ...]) -> Any:
    """The state after these events."""
    evolve = CORES[kind].evolve
    for event in events:
        state = evolve(state, event)
    return state
