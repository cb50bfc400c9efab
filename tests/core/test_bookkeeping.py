"""Versions without a gap, and a search that never happened."""

from typing import Any

import pytest
from world import START_MS, World, an_order

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.core import delivery, driver
from dispatch.core.facts import Facts, Refusal


def an_evening() -> tuple[World, str]:
    """Ana accepts, delivers; Ben is only there."""
    world = World().sign_on("ana").sign_on("ben")
    name = world.ready()
    world.accept(name)
    for step in ("picked_up", "delivered"):
        world.progress(name, step)
    return world, name


@pytest.mark.parametrize("of", ["delivery", "ana", "ben"])
def test_the_version_is_the_number_of_events_and_every_event_carries_its_own(of: str) -> None:
    world, name = an_evening()
    core: Any = delivery if of == "delivery" else driver
    module, field, key = (de, "delivery_id", name) if of == "delivery" else (dr, "driver_id", of)
    ours = [event for event in world.events if type(event).__module__ == module.__name__]
    versions = [event.version for event in ours if getattr(event, field) == key]
    state = world.deliveries[name] if of == "delivery" else world.drivers[of]
    assert versions == list(range(1, core.version(state) + 1))
    assert core.version(core.initial(key)) == 0


def test_a_search_that_was_not_made_counts_as_nobody_found_and_is_made_later() -> None:
    world = World().sign_on("ana")
    name = identity.delivery_id("s1", "o1")
    command = world.made(dc.MarkReady, name, order=an_order())
    facts = Facts(now_ms=START_MS, wall_ms=START_MS, policy=world.policy, flags=world.flags, search=None)
    result = delivery.decide(delivery.initial(name), command, facts)
    assert not isinstance(result, Refusal)
    *_, last = result
    assert isinstance(last, de.NoDriverFound)
    assert (last.why, last.retry_at_ms > START_MS) == ("unknown", True)
