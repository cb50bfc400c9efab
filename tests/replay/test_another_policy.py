"""The same recorded facts under another policy, and under another version of the code."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from city import City, an_evening, source
from msgspec.structs import replace

from dispatch.core.policy import (
    AvailabilityPolicy,
    CostPolicy,
    EscalationPolicy,
    OfferPolicy,
    PayPolicy,
    Policy,
    PresencePolicy,
    RankingPolicy,
    ReassignmentPolicy,
    SearchPolicy,
)
from dispatch.log.errors import Misconfigured
from dispatch.replay.diffing import Diff, Tally, acts_outside, under_policy
from dispatch.replay.other_code import under_code, unpacked
from dispatch.replay.policies import Policies
from dispatch.replay.verify import Asked, Sources
from dispatch.replay.walking import Step, walk

BASE = Policy(version=1)
TOPICS = ("decisions", "delivery.events", "driver.events")


@pytest.fixture(scope="module")
def evening() -> City:
    return an_evening()


def steps(city: City, tally: Tally) -> list[Step]:
    return list(walk(Sources(*(source(city.log[name]) for name in TOPICS)), Asked(), tally.passed_over))


def differ(city: City, policy: Policy, zone: str = "") -> Diff:
    tally = Tally()
    under_policy(steps(city, tally), Policies(city.published), policy, tally, zone)
    return tally.finish()


def counts(made: Diff) -> dict[str, int]:
    return {name: group.decisions for name, group in made.groups.items()}


def test_under_its_own_policy_nothing_changes(evening: City) -> None:
    made = differ(evening, BASE)
    assert (made.decided, made.changed, made.scores_only) == (len(evening.log["decisions"]), 0, 0)
    assert made.groups == made.undecidable == made.passed_over == {}
    assert all(old == new for old, new in made.effects.values())
    assert made.effects["offers sent"][0] > 2


def test_the_number_of_a_policy_is_no_difference(evening: City) -> None:
    assert differ(evening, replace(BASE, version=77)).changed == 0


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (replace(BASE, offer=OfferPolicy(timeout_s=20)), {"the offer is open for another time"}),
        (replace(BASE, offer=OfferPolicy(on_expiry="next_driver")), {"silence does not assign any more"}),
        (replace(BASE, pay=PayPolicy(base_minor=400)), {"other pay"}),
        (replace(BASE, cost=CostPolicy(platform_minor=99)), {"other money expected", "other money settled"}),
        (replace(BASE, escalation=EscalationPolicy(level_1_s=60)), {"escalates at other times"}),
        (replace(BASE, search=SearchPolicy(retry_max_s=20)), {"searches again at another time"}),
        (replace(BASE, availability=AvailabilityPolicy(offline_after_s=200)), {"DriverSignedOn.offline_at_ms"}),
        (replace(BASE, offer=OfferPolicy(reserve_timeout_s=9)), {"a reservation is waited for another time"}),
    ],
)
def test_what_changes_is_named(evening: City, policy: Policy, wanted: set[str]) -> None:
    made = differ(evening, policy)
    assert made.decided == len(evening.log["decisions"])
    assert made.changed > 0
    assert wanted <= set(made.groups)
    assert all(group.examples for group in made.groups.values())


def test_what_an_offer_time_changes_is_exactly_the_offers(evening: City) -> None:
    made = differ(evening, replace(BASE, offer=OfferPolicy(timeout_s=20)))
    assert counts(made) == {"the offer is open for another time": 3}
    (example, *_) = made.groups["the offer is open for another time"].examples
    (field,) = example.fields
    assert field.field == "expires_at_ms"
    assert int(field.logged) - int(field.again) == 10_000


def test_another_order_asks_another_driver() -> None:
    city = City().sign_on("ana", "ben")
    driver = city.index._drivers["ana"]
    city.index.put([replace(driver, rating=4.4)])
    city.ready(1)
    made = differ(city, replace(BASE, ranking=RankingPolicy(rating_min_per_star=60)))
    assert counts(made)["another driver is asked"] == 1
    (example,) = made.groups["another driver is asked"].examples
    assert ("ReservationRequested ana" in example.was, "ReservationRequested ben" in example.would_be) == (True, True)


def test_scores_in_the_same_order_are_counted_apart() -> None:
    city = City().sign_on("ana", "ben")
    city.ready(1)
    made = differ(city, replace(BASE, ranking=RankingPolicy(fairness_max_min=2.9)))
    assert (made.changed, made.scores_only) == (0, 1)


def test_a_narrower_search_is_cut_out_of_the_answer_on_record() -> None:
    city = City().sign_on("ana", "ben", "cleo", metres=1_000)
    city.ready(1)
    made = differ(city, replace(BASE, search=SearchPolicy(radius_m=1_500)))
    assert made.undecidable == {}
    assert counts(made)["other candidates"] == 1
    nobody = differ(city, replace(BASE, search=SearchPolicy(radius_m=500)))
    assert counts(nobody) == {"finds nobody, where somebody was asked": 1}
    (example,) = nobody.groups["finds nobody, where somebody was asked"].examples
    assert "NoDriverFound distance_exceeded" in example.would_be
    assert nobody.effects["searches that find nobody"] == [0, 1]


def test_a_wider_search_is_not_decidable_from_the_record_unless_the_answer_was_full() -> None:
    city = City(replace(BASE, search=SearchPolicy(limit=2))).sign_on("ana", "ben", "cleo")
    city.ready(1)
    few = City().sign_on("ana")
    few.ready(1)
    wider = SearchPolicy(radius_m=9_000)
    made = differ(few, replace(BASE, search=wider))
    assert made.undecidable == {"it would search farther": 1}
    assert made.decided == made.decisions - 1
    full = differ(city, replace(BASE, search=replace(wider, limit=2)))
    assert full.undecidable == {}
    more = differ(city, replace(BASE, search=SearchPolicy(limit=3)))
    assert more.undecidable == {"it would look at more candidates": 1}


def test_what_would_search_where_nothing_was_searched_is_not_decidable() -> None:
    city = City(replace(BASE, reassignment=ReassignmentPolicy(max_attempts=0))).sign_on("ana", "ben")
    name = city.ready(1)
    city.accept(name)
    from dispatch.contract.records import delivery_commands as dc

    city.send(dc.GiveUpDelivery, name, **city.offer(name), note="")
    city.work()
    made = differ(city, replace(BASE, reassignment=ReassignmentPolicy(max_attempts=3)))
    assert made.undecidable == {"it would search, and nothing was searched then": 1}


def test_a_zone_is_looked_at_alone_and_drivers_are_of_none(evening: City) -> None:
    made = differ(evening, replace(BASE, pay=PayPolicy(base_minor=400)))
    assert set(made.by_zone) == {"none", "(drivers)"}
    assert made.by_zone["(drivers)"][1] == 0
    assert differ(evening, BASE, zone="none").decisions == made.by_zone["none"][0]
    assert differ(evening, BASE, zone="elsewhere").decisions == 0


def test_a_zones_own_values_hold_in_its_decisions(evening: City) -> None:
    made = differ(evening, replace(BASE, by_zone={"none": {"offer": {"timeout_s": 7}}}))
    assert set(made.groups) == {"the offer is open for another time"}
    assert differ(evening, replace(BASE, by_zone={"market": {"offer": {"timeout_s": 7}}})).changed == 0


def test_decisions_that_do_not_come_out_the_same_themselves_are_not_compared(evening: City) -> None:
    other = replace(evening.published[0], document='{"version": 1, "offer": {"timeout_s": 5}}')
    tally = Tally()
    under_policy(steps(evening, tally), Policies([other]), BASE, tally)
    assert tally.finish().passed_over == {"does not come out the same under its own policy": 3}


def test_changes_that_no_decision_looks_at_are_told() -> None:
    other = replace(BASE, presence=PresencePolicy(oldest_s=5), offer=OfferPolicy(timeout_s=5))
    assert acts_outside(BASE, other) == ("presence.oldest_s",)


def repository() -> Path | None:
    root = Path(__file__).parents[2]
    made = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, check=False)
    return root if made.returncode == 0 else None


needs_git = pytest.mark.skipif(repository() is None, reason="this copy is no git repository, and has no revisions")


@needs_git
def test_this_very_revision_decides_the_same(evening: City) -> None:
    tally = Tally()
    under_code(steps(evening, tally), Policies(evening.published), "HEAD", tally)
    made = tally.finish()
    assert made.undecidable == {}
    assert (made.decided, made.changed) == (len(evening.log["decisions"]), 0)


@needs_git
def test_a_revision_that_is_not_there_or_no_name_is_refused(tmp_path: Path) -> None:
    for revision, said in (("nowhere", "cannot be unpacked"), ("--output=x", "no name of a git revision")):
        with pytest.raises(Misconfigured, match=said):
            unpacked(revision, tmp_path)


def test_another_code_is_compared_by_value_and_what_it_cannot_do_is_said(
    evening: City, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dispatch.replay import other_code

    tree = tmp_path / "tree"
    root = Path(__file__).parents[2]
    subprocess.run(["cp", "-r", str(root / "dispatch"), str(root / "schemas"), str(tmp_path)], check=True)
    tree.mkdir()
    for name in ("dispatch", "schemas"):
        (tmp_path / name).rename(tree / name)
    offering = tree / "dispatch/core/delivery/offering.py"
    offering.write_text(
        offering.read_text().replace("facts.policy.offer.timeout_s * 1000", "facts.policy.offer.timeout_s * 500")
    )
    duty = tree / "dispatch/core/driver/duty.py"
    duty.write_text(
        duty.read_text().replace(
            "def sign_on(", "def sign_on(*_a: object) -> None:\n    raise ValueError('gone')\n\n\ndef old_sign_on("
        )
    )
    monkeypatch.setattr(other_code, "unpacked", lambda _revision, _room: tree)
    tally = Tally()
    under_code(steps(evening, tally), Policies(evening.published), "other", tally)
    made = tally.finish()
    assert counts(made) == {"the offer is open for another time": 3}
    assert made.undecidable == {"other cannot read it: ValueError: gone": 3}


def test_the_program_of_the_other_side_leans_on_nothing_of_replay() -> None:
    import ast

    from dispatch.replay import elsewhere

    found: set[Any] = {
        node.module for node in ast.walk(ast.parse(Path(elsewhere.__file__).read_text()))
        if isinstance(node, ast.ImportFrom)
    }  # fmt: skip
    assert not [name for name in found if "replay" in str(name)]
    assert sys.version_info >= (3, 11)
