"""What a process passes over undecoded is named by nothing that it folds events with."""

import inspect
import re
from types import ModuleType

import pytest

from dispatch.contract import codec
from dispatch.contract.records import delivery_events, driver_events
from dispatch.streams import approach, fleet, geo_feed, presence, resting, waiting, wakeups, zone_feed, zone_health

_EVENT = re.compile(r"\b(?:events|de|ve|delivery_events|driver_events)\.([A-Z]\w+)")
EVERY = {kind.__name__: kind for kind in (*delivery_events.AUDIT_WORDS, *driver_events.AUDIT_WORDS)}


def named(module: ModuleType) -> set[type]:
    """The events that a module's code names."""
    return {EVERY[name] for name in _EVENT.findall(inspect.getsource(module)) if name in EVERY}


@pytest.mark.parametrize(
    ("passed_over", "folds"),
    [
        (geo_feed._PASSED_OVER, (waiting, approach, fleet, presence, resting, wakeups)),
        (zone_feed._PASSED_OVER, (zone_health,)),
    ],
)
def test_nothing_is_passed_over_that_a_fold_names(passed_over: frozenset[bytes], folds: tuple[ModuleType, ...]) -> None:
    """The search's reach was, once: who came free in the wider reach of an understaffed zone woke nobody."""
    assert passed_over
    used = set().union(*map(named, folds))
    assert len(used) > 5
    assert passed_over.isdisjoint(codec.marks(used))
