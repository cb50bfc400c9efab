"""Whom something reached, by a predicate over decisions; and predicates that are wrong."""

from typing import Any

import pytest
from city import City, an_evening
from msgspec.structs import replace
from test_another_policy import steps

from dispatch.core.policy import Flag, Flags, Policy
from dispatch.replay.blast import Radius, radius
from dispatch.replay.diffing import Tally
from dispatch.replay.predicate import BadPredicate, Predicate


@pytest.fixture(scope="module")
def evening() -> City:
    return an_evening()


def reached(city: City, text: str) -> Radius:
    return radius(steps(city, Tally()), Predicate(text), text)


def test_a_code_path_is_found_by_the_events_that_it_made(evening: City) -> None:
    found = reached(evening, '"OfferExpired" in events && "DriverAssigned" in events')
    assert (found.decisions, found.deliveries, found.drivers) == (1, 1, 0)
    assert found.by_command == {"DeliveryTimerDue": 1}
    (one,) = found.reached
    assert one.first_ms == one.last_ms == found.first_ms == found.last_ms
    assert found.examples[0].events[0] == "OfferExpired"
    assert found.looked_at == len(evening.log["decisions"])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("true", lambda _: True),
        ("false", lambda _: False),
        ('aggregate == "driver"', lambda step: step.one.decision.aggregate == "driver"),
        ('command == "RejectOffer"', lambda step: type(step.one.command).__name__ == "RejectOffer"),
        ('"NoDriverFound" in events', lambda step: any(type(one).__name__ == "NoDriverFound" for one in step.events)),
        (
            'searched && search.source == "memory" && size(search.drivers) == 3',
            lambda step: step.one.facts.search is not None and len(step.one.facts.search.drivers) == 3,
        ),
        ("searched && size(search.drivers) == 0",
         lambda step: step.one.facts.search is not None and not step.one.facts.search.drivers),
        ("policy_version > 1", lambda _: False),
        ('zone == "none" && policy_zone == ""', lambda _: True),
        ("flags.driver_offers && !flags.acceptance_ranking", lambda _: True),
        ("has(facts.quote)", lambda _: False),
        ('phase == "offered"', lambda step: type(getattr(step.before, "phase", None)).__name__ == "Offered"),
        ("version_before == 0", lambda step: step.one.decision.version_before == 0),
        ("late_ms > 0", lambda step: step.one.facts.wall_ms > step.one.decision.now_ms),
    ],
)  # fmt: skip
def test_what_a_predicate_may_ask(evening: City, text: str, wanted: Any) -> None:
    found = reached(evening, text)
    assert found.unjudged == {}
    assert found.decisions == sum(bool(wanted(step)) for step in steps(evening, Tally()))


def test_a_flags_variant_is_that_of_the_delivery() -> None:
    half = Flags(driver_offers=Flag(rollout_percent=50))
    city = City(flags=half).sign_on(*(f"d{number}" for number in range(30)))
    names = [city.ready(number) for number in range(12)]
    found = reached(city, 'command == "MarkReady" && flags.driver_offers')
    offered = [name for name in names if half.driver_offers.covers(name, "none")]
    assert {one.aggregate_id for one in found.reached} == set(offered)
    assert 0 < len(offered) < len(names)


def test_a_policy_is_found_by_its_version() -> None:
    city = City().sign_on("ana", "ben")
    first = city.ready(1)
    city.policy(replace(Policy(), version=2))
    second = city.ready(2)
    found = reached(city, 'policy_version == 2 && command == "MarkReady"')
    assert [one.aggregate_id for one in found.reached] == [second] != [first]
    assert found.by_policy == {"2": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("outcome ==", "at character 11 of the predicate, near 'outcome ==': "),
        ("outcome = 'x'", "at character 9 of the predicate"),
        ("", "at character 1 of the predicate"),
        ("outcme == 'refused'", "'outcme' at character 1 is nothing of a decision; is outcome meant?"),
        (
            "outcome == 'x' && nothing_like_it > 1",
            "'nothing_like_it' at character 19 is nothing of a decision; there are",
        ),
        ("search.sauce == 'valkey'", "cannot be judged"),
        ("flags.no_such_flag", "cannot be judged"),
        ("outcome", "says 'x', and not whether something is so"),
        ("policy_version + 1", "says 2, and not whether"),
        ("explode(outcome)", "cannot be judged"),
        ("true || " * 400 + "true", "at most 2000 are read"),
    ],
)
def test_a_wrong_predicate_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(BadPredicate) as refused:
        Predicate(text)
    assert said in str(refused.value)
