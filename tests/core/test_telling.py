"""Who is told what: the customer of the first driver, of a new one after more than two changes, of lateness; others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from world import START_MS, World, an_order

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Eta, EtaBand
from dispatch.contract.records.system import Notice
from dispatch.core.delivery.telling import is_late
from dispatch.core.policy import Flags, NoticePolicy, Policy, ReassignmentPolicy

MINUTE_MS = 60_000
"""Of the tests; the policy's is given in seconds."""


def notices(world: World, audience: str) -> list[str]:
    return [one.kind for one in world.told if isinstance(one, Notice) and one.audience == audience]


def given_up(changes: int, **policy: Any) -> tuple[World, str]:
    """A delivery whose driver has changed so often, held by the next one."""
    world = World(Policy(**policy), Flags())
    name = identity.delivery_id("s1", "o1")
    for number in range(changes + 1):
        world.sign_on(f"d{number}")
    world.ask(dc.MarkReady, name, order=an_order(1))
    world.settle()
    for _ in range(changes):
        world.accept(name)
        world.ask(dc.GiveUpDelivery, name, **world.offer(name), note="flat tyre")
        world.settle()
    world.accept(name)
    return world, name


@pytest.mark.parametrize(("changes", "told"), [(0, 1), (1, 1), (2, 1), (3, 2)])
def test_a_customer_hears_of_a_new_driver_only_after_more_than_two_changes(changes: int, told: int) -> None:
    world, _ = given_up(changes)
    assert len(world.names_of(de.DriverAssigned)) == changes + 1
    assert notices(world, "customer") == ["driver_assigned"] * told


def test_after_how_many_changes_is_the_policy_s() -> None:
    world, _ = given_up(1, reassignment=ReassignmentPolicy(tell_customer_after=0))
    assert notices(world, "customer") == ["driver_assigned"] * 2


def moved(world: World, name: str, minutes: float) -> None:
    """The arrival at the door is now so many minutes later than was told with the driver."""
    assigned = world.names_of(de.DriverAssigned)[0].terms
    at_ms = round(assigned.delivery_eta_ms + minutes * MINUTE_MS)
    band = EtaBand(p10_ms=at_ms, p50_ms=at_ms, p90_ms=at_ms, confidence=50)
    store = replace(band, p50_ms=assigned.pickup_eta_ms)
    eta = Eta(pickup=store, delivery=band)
    world.ask(dc.UpdateEta, name, "system", **world.offer(name), eta=eta, why="driver_moved")
    world.settle()


def test_a_customer_hears_once_of_each_five_minutes_of_delay_and_never_of_being_early() -> None:
    world, name = given_up(0)
    for minutes in (-20, 2, 4, 5, 5.5, 6.5, 8, 10.4, 11, 3):
        moved(world, name, minutes)
    late = [one for one in world.told if isinstance(one, Notice) and one.kind == "delayed"]
    told_ms = world.names_of(de.DriverAssigned)[0].terms.delivery_eta_ms
    assert [(int(one.details["delivery_eta_ms"]) - told_ms) / MINUTE_MS for one in late] == [5.5, 11]
    assert len({one.notice_id for one in late}) == 2


def test_a_delay_that_came_with_an_unannounced_driver_is_told() -> None:
    world, name = given_up(1)
    assert notices(world, "customer") == ["driver_assigned"]
    first = world.deliveries[name].told_eta_ms
    assert first == world.names_of(de.DriverAssigned)[0].terms.delivery_eta_ms
    moved(world, name, 7)
    assert notices(world, "customer") == ["driver_assigned", "delayed"]


@given(told=st.integers(START_MS, START_MS + 10**7), later=st.integers(-(10**7), 10**7), after_s=st.integers(1, 3_600))
def test_late_is_more_than_the_policy_s_time_and_only_for_those_who_were_told(
    told: int, later: int, after_s: int
) -> None:
    policy = NoticePolicy(delayed_after_s=after_s)
    assert is_late(told, told + later, policy) == (later > after_s * 1000)
    assert not is_late(0, later, policy)


def test_operations_hear_of_every_level_and_support_of_the_first() -> None:
    world = World()
    name = identity.delivery_id("s1", "o1")
    world.ask(dc.MarkReady, name, order=an_order(1))
    world.settle()
    world.pass_s(1_900)
    assert notices(world, "operations") == ["unassigned", "unassigned_wider_search", "unassigned_critical"]
    assert notices(world, "support") == ["support_ticket"]


def test_each_step_to_the_door_is_told_once() -> None:
    world, name = given_up(0)
    for step in ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff",
                 "delivered"):  # fmt: skip
        world.progress(name, step)
    assert notices(world, "customer") == ["driver_assigned", "picked_up", "arriving", "delivered"]
