"""Each flag off, and all of them: what the rules make of it, decided by the real core."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from world import World

from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as dr
from dispatch.core.facts import Refusal
from dispatch.core.policy import Flag, Flags

MINUTE_MS = 60_000
OFF = Flag(enabled=False)
ALL_OFF = Flags(**dict.fromkeys(Flags.__struct_fields__, OFF))
PLAIN = {"AVAILABLE", "BUSY", "OFFLINE"}


def a_resting_driver(how: str) -> World:
    world = World().sign_on("ana")
    match how:
        case "break":
            world.ask(vc.TakeBreak, "ana", duration_ms=30 * MINUTE_MS)
        case "ended":
            world.ask(vc.EndShift, "ana")
        case "paused":
            world.ask(vc.PauseDriver, "ana", "admin", reason="papers", held="keep")
    return world


def switched(world: World, enabled: bool) -> World:
    world.flags = replace(world.flags, availability_states=Flag(enabled=enabled))
    world.ask(vc.ApplyAvailabilityStates, "ana", "system")
    return world


@pytest.mark.parametrize(("how", "word"), [("break", "ON_BREAK"), ("ended", "SHIFT_ENDED"), ("paused", "PAUSED")])
def test_who_rests_when_availability_states_go_off_counts_as_offline_and_shows_again_when_they_come_back(
    how: str, word: str
) -> None:
    world = a_resting_driver(how)
    assert world.availability("ana") == word
    assert switched(world, False).availability("ana") == "OFFLINE"
    assert switched(world, True).availability("ana") == word


def test_only_resuming_ends_it_neither_a_sign_of_life_nor_the_end_of_the_break() -> None:
    world = switched(a_resting_driver("break"), False)
    for _ in range(40):  # the break would end after 30
        world.pass_s(60)
        world.ask(vc.SeenAlive, "ana", seen_at_ms=world.now_ms)
    assert world.availability("ana") == "OFFLINE"
    world.ask(vc.ResumeWork, "ana")
    assert world.availability("ana") == "AVAILABLE"


def test_a_paused_driver_stays_out_of_work_until_an_admin_says_otherwise() -> None:
    world = switched(a_resting_driver("paused"), False)
    assert isinstance(world.ask(vc.ResumeWork, "ana"), Refusal)
    assert world.availability("ana") == "OFFLINE"
    world.ask(vc.UnpauseDriver, "ana", "admin", reason="papers are there")
    assert world.availability("ana") == "AVAILABLE"


def test_a_break_asked_for_before_begins_as_being_offline() -> None:
    world = World().sign_on("ana")
    name = world.ready()
    world.accept(name)
    world.ask(vc.TakeBreak, "ana", duration_ms=30 * MINUTE_MS)
    switched(world, False)
    assert world.availability("ana") == "BUSY"
    for step in ("picked_up", "delivered"):
        world.progress(name, step)
    assert world.availability("ana") == "OFFLINE"


@given(
    st.lists(st.sampled_from(["break", "end", "pause", "unpause", "resume", "seen", "off", "on", "time"]), max_size=12)
)
def test_with_the_flag_off_no_other_word_is_ever_said(steps: list[str]) -> None:
    world = World().sign_on("ana")
    told = 0
    for step in steps:
        match step:
            case "break":
                world.ask(vc.TakeBreak, "ana", duration_ms=10 * MINUTE_MS)
            case "end":
                world.ask(vc.EndShift, "ana")
            case "pause":
                world.ask(vc.PauseDriver, "ana", "admin", reason="papers", held="keep")
            case "unpause":
                world.ask(vc.UnpauseDriver, "ana", "admin", reason="well")
            case "resume":
                world.ask(vc.ResumeWork, "ana")
            case "seen":
                world.ask(vc.SeenAlive, "ana", seen_at_ms=world.now_ms)
            case "time":
                world.pass_s(400)
            case _:
                switched(world, step == "on")
        changes = world.names_of(dr.DriverAvailabilityChanged)
        if not world.flags.availability_states.enabled:
            assert world.availability("ana") in PLAIN
            assert {change.to_availability for change in changes[told:]} <= PLAIN
        told = len(changes)


def test_all_off_is_the_first_version_assigned_at_once_no_breaks_no_second_driver_no_ladder() -> None:
    world = World(flags=ALL_OFF).sign_on("ana").sign_on("ben")
    name = world.ready()
    assert world.status(name) == "assigned"
    assert world.names_of(de.DriverOfferSent) == []
    assert world.names_of(de.DriverAssigned)[0].how == "direct"
    held = world.offer(name)
    for command, fields in ((vc.TakeBreak, {"duration_ms": 30 * MINUTE_MS}), (vc.EndShift, {})):
        refused = world.ask(command, "ben", **fields)
        assert isinstance(refused, Refusal)
        assert refused.code == "feature_off"
    world.ask(dc.GiveUpDelivery, name, **held)
    world.settle()
    assert len(world.names_of(de.DriverAssigned)) == 1
    assert [event.reason for event in world.names_of(de.ManualReviewRequired)] == ["reassignment_is_off"]


def test_all_off_who_finds_nobody_waits_and_is_never_escalated_but_is_served_when_somebody_comes() -> None:
    world = World(flags=ALL_OFF)
    name = world.ready()
    world.pass_s(3600)
    assert world.names_of(de.UnassignedEscalated) == []
    assert world.status(name) == "searching"
    world.sign_on("ana")
    world.pass_s(60)
    assert world.status(name) == "assigned"


def test_offers_in_flight_finish_as_they_began_when_offers_go_off() -> None:
    world = World().sign_on("ana").sign_on("ben")
    first = world.ready(1)
    assert world.status(first) == "offered"
    world.flags = ALL_OFF
    second = world.ready(2)
    assert (world.status(first), world.status(second)) == ("offered", "assigned")
    result: Any = world.ask(dc.RejectOffer, first, reason="too_far", **world.offer(first))
    world.settle()
    assert not isinstance(result, Refusal)
    world.sign_on("cleo")
    world.pass_s(40)
    assert world.status(first) in ("offered", "assigned")
    assert len([event for event in world.names_of(de.DriverOfferSent) if event.delivery_id == first]) == 2
