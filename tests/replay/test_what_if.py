"""The recorded orders and drivers live again: as on record where they can, and said so where not."""

from dataclasses import replace as changed

import pytest
from city import START_MS, STEPS, City
from msgspec.structs import replace
from test_another_policy import steps

from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.core.policy import EscalationPolicy, OfferPolicy, Policy, RankingPolicy
from dispatch.replay.cast import Cast, cast
from dispatch.replay.diffing import Tally
from dispatch.replay.whatif import WhatIf, what_if

BASE = Policy(version=1, ranking=RankingPolicy(fairness_min_per_hour=0, fairness_max_min=0))
DRIVERS = ("ana", "ben", "cleo")


def minutes(city: City, count: int) -> None:
    """They pass, and everybody is heard of."""
    for _ in range(count):
        city.now_ms += 60_000
        for name in DRIVERS:
            city.send(vc.SeenAlive, name, seen_at_ms=city.now_ms)
        city.work()


@pytest.fixture(scope="module")
def people() -> Cast:
    """Three orders: one accepted, one refused and then accepted, one to which nobody answers in time."""
    city = City(BASE).sign_on(*DRIVERS)
    minutes(city, 1)
    for number, refuses in ((1, False), (2, True)):
        name = city.ready(number)
        city.now_ms += 4_000
        if refuses:
            city.reject(name)
            city.now_ms += 3_000
        city.accept(name)
        held = city.offer(name)
        driver = city.index._drivers[held["driver_id"]]
        city.index.put([replace(driver, orders=1)])
        for step in STEPS:
            minutes(city, 1)
            city.send(dc.ReportProgress, name, **held, step=step)
            city.work()
        city.index.put([driver])
        minutes(city, 1)
    silent = city.ready(3)
    city.pass_s(35, 5)
    held = city.offer(silent)
    minutes(city, 2)
    city.send(dc.ReportProgress, silent, **held, step="picked_up")
    city.send(dc.ReportProgress, silent, **held, step="delivered")
    city.send(dc.EscalateDelivery, silent, actor="admin")
    city.work()
    return cast(steps(city, Tally()), START_MS)


@pytest.fixture(scope="module")
def same(people: Cast) -> WhatIf:
    return what_if(people, BASE, BASE)


def test_who_took_part_is_read_from_the_record(people: Cast) -> None:
    assert len(people.orders) == 3
    assert sorted(answer.word for answer in people.answers.values()) == ["accept", "accept", "reject", "silence"]
    assert people.by_hand == 1
    assert {said.command.driver_id for said in people.drivers} == set(DRIVERS)
    assert sum(len(told) > 6 for told in people.steps.values()) == 2


def test_under_its_own_policy_what_was_happens_again(same: WhatIf) -> None:
    assert same.problems == []
    for name in ("orders ready", "delivered", "assignments", "assignments by silence", "offers sent"):
        recorded, was, would = same.figures[name]
        assert recorded == was == would, name
    assert same.was == same.would
    assert (same.was.answers, same.was.answers_off, same.was.first_off_ms) == (4, 0, 0)


def test_under_another_policy_it_says_what_would_be_and_where_it_left_the_record(people: Cast) -> None:
    quick = what_if(people, BASE, replace(BASE, offer=OfferPolicy(timeout_s=2, on_expiry="next_driver")))
    assert quick.problems == []
    recorded, was, would = quick.figures["offers that expire"]
    assert (recorded, was) == (1, 1)
    assert would > 3, "nobody ever answered within two seconds"
    assert quick.would.answers_off > 0
    assert quick.would.first_off_ms > START_MS
    assert quick.was.answers_off == 0


def test_the_same_is_the_same_every_time(people: Cast, same: WhatIf) -> None:
    assert what_if(people, BASE, BASE) == same


def test_from_a_later_moment_only_later_orders_are_there_and_drivers_who_work_are_present(people: Cast) -> None:
    city = City(BASE).sign_on(*DRIVERS)
    city.send(vc.EndShift, "cleo", after_delivery=False)
    city.work()
    city.ready(1)
    minutes(city, 2)
    moment = city.now_ms
    later = city.ready(2)
    found = cast(steps(city, Tally()), moment)
    assert found.orders == {later}
    assert set(found.present) == {"ana", "ben"}
    assert cast(steps(city, Tally()), START_MS, most=1).orders != {later}
    assert len(people.orders) == 3


def test_without_a_moment_it_begins_with_the_record_and_not_with_the_clock() -> None:
    city = City(BASE).sign_on(*DRIVERS)
    city.ready(1)
    minutes(city, 1)
    assert cast(steps(city, Tally()), 0).from_ms == START_MS


def test_both_go_on_as_long_after_the_record_so_that_who_escalates_sooner_is_not_told_to_escalate_more(
    people: Cast,
) -> None:
    nobody = changed(people, present={}, drivers=[], places=[])
    made = what_if(nobody, BASE, replace(BASE, escalation=EscalationPolicy(level_1_s=30, level_2_s=60, level_3_s=90)))
    assert made.figures["delivered"][1:] == [0, 0]
    assert made.figures["escalations"][1:] == [9, 9]
    assert made.drivers == 0
