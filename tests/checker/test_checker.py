"""The checker has teeth: a log that breaks a rule is told with the rule's number; a good one passes."""

import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dispatch.checker import Checker, Report
from dispatch.contract import identity
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.system import Decision

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from world import World


def an_evening() -> list[Any]:
    """Events of two deliveries, one given up and brought by another driver, by the real core."""
    world = World()
    for name in ("ana", "ben"):
        world.sign_on(name)
    first, second = world.ready(1), world.ready(2)
    for name in (first, second):
        world.accept(name)
        for step in ("picked_up", "delivered"):
            world.progress(name, step)
    return world.events


def judged(events: list[Any], *, quiescent: bool = True, decided: bool = True, timers: int = 0) -> Report:
    checker = Checker()
    for place, event in enumerate(events):
        take = checker.delivery_event if type(event).__module__ == de.__name__ else checker.driver_event
        take(event, f"log/0/{place}")
    if decided:
        for cause in dict.fromkeys(event.causation_id for event in events):
            checker.decision(a_decision(cause), "decisions/0/0", is_timer=False)
    for _ in range(timers):
        checker.decision(a_decision(identity.derived("timer")), "decisions/0/1", is_timer=True)
    return checker.finish(quiescent=quiescent)


def a_decision(command_id: str) -> Decision:
    return Decision(
        aggregate="delivery", aggregate_id="x", command_id=command_id, command=b"", facts=b"{}", now_ms=1,
        version_before=0, outcome="accepted", events=1, policy_version=1, code_version="t",
    )  # fmt: skip


def broken(report: Report) -> set[int]:
    return {violation.rule for violation in report.violations}


def at(events: list[Any], kind: type) -> int:
    return next(place for place, event in enumerate(events) if type(event) is kind)


def test_a_good_log_passes() -> None:
    report = judged(an_evening())
    assert report.ok, report.text()
    assert "held" in report.text()


def test_a_command_decided_twice_is_told_but_for_a_late_repeat_that_changes_nothing() -> None:
    for second, held in ((a_decision("c"), False), (replace(a_decision("c"), outcome="duplicate", events=0), True)):
        checker = Checker()
        checker.decision(a_decision("c"), "decisions/0/0", is_timer=False)
        checker.decision(second, "decisions/0/1", is_timer=False)
        assert (7 not in broken(checker.finish(quiescent=False))) is held


def without(kind: type) -> Any:
    return lambda events: [event for event in events if type(event) is not kind]


def twice(kind: type) -> Any:
    def doubled(events: list[Any]) -> list[Any]:
        place = at(events, kind)
        return [*events[: place + 1], replace(events[place], version=events[place].version), *events[place + 1 :]]

    return doubled


def changed(kind: type, **fields: Any) -> Any:
    def change(events: list[Any]) -> list[Any]:
        place = at(events, kind)
        return [*events[:place], replace(events[place], **fields), *events[place + 1 :]]

    return change


def ended_twice(events: list[Any]) -> list[Any]:
    last = next(event for event in reversed(events) if isinstance(event, de.DeliveryCompleted))
    return [*events, replace(last, version=last.version + 1)]


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (changed(dr.DriverSignedOn, capacity=0), 1),
        (twice(de.DriverAssigned), 2),
        (without(dr.DriverReserved), 3),
        (changed(dr.DriverReserved, fence=0), 4),
        (without(de.DriverAccepted), 5),
        (twice(de.PickupCompleted), 5),
        (ended_twice, 6),
        (lambda events: events[: at(events, de.DriverOfferSent)], 9),
        (without(dr.DriverReservationReleased), 10),
        (lambda events: events[: at(events, de.ReservationRequested) + 1], 10),
    ],
)
def test_a_rule_that_is_broken_is_told(spoil: Any, rule: int) -> None:
    events = an_evening()
    report = judged(spoil(events))
    assert rule in broken(report), report.text()


def test_decisions_are_one_a_command_and_timers_have_effect_once() -> None:
    events = an_evening()
    checker = Checker()
    checker.decision(a_decision(identity.derived("c")), "d/0/0", is_timer=False)
    checker.decision(a_decision(identity.derived("c")), "d/0/1", is_timer=False)
    assert broken(checker.finish(quiescent=False)) == {7}
    assert broken(judged(events, timers=2)) == {11}
    assert broken(judged(events, decided=False)) == {12}


def test_every_command_is_decided_or_set_aside() -> None:
    checker = Checker()
    checker.command(identity.derived("lost"), "commands/0/7")
    checker.unreadable(("commands", 0, 8))
    report = checker.finish(quiescent=True)
    assert broken(report) == {13}
    assert "commands/0/7" in report.text()
    fine = Checker()
    fine.dead_letter(("commands", 0, 8))
    fine.unreadable(("commands", 0, 8))
    assert fine.is_dead_letter(("commands", 0, 8))
    assert fine.finish(quiescent=True).ok
