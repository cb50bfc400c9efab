"""Whatever is commanded in whatever order, every decision comes out the same again."""

from collections import defaultdict
from typing import Any

import pytest
from city import STEPS, City, Log, verified
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.core.policy import Flag, Flags, OfferPolicy, Policy, scaled
from dispatch.inputs.rules import policy_record
from dispatch.simulation import run

DRIVERS = ("ana", "ben", "cleo")
ACTS = ("order", "place", "answer", "refuse", "step", "give up", "fail", "return", "cancel", "prep", "search",
        "escalate", "reassign", "assign", "rest", "resume", "end shift", "pause", "unpause", "seen", "wait", "long",
        "policy", "flags", "index fails")  # fmt: skip


class Chance:
    """Does what a list of numbers says."""

    def __init__(self, city: City) -> None:
        self.city, self.versions = city, 1

    def act(self, kind: str, number: int, choice: int) -> None:
        city = self.city
        name, order = city.order(number % 3)
        driver = DRIVERS[choice % len(DRIVERS)]
        phase: Any = city.state(name).phase
        held = {"offer_id": getattr(phase, "offer_id", "none"), "driver_id": getattr(phase, "driver_id", driver)}
        match kind:
            case "order":
                city.send(dc.MarkReady, name, order=order, reply_to=choice % 3 - 1)
            case "place":
                city.send(dc.PlaceOrder, name, order=order)
            case "answer":
                city.send(dc.AcceptOffer, name, **held)
            case "refuse":
                city.send(dc.RejectOffer, name, **held, reason="no_time", note="n" * (choice % 3))
            case "step":
                city.send(dc.ReportProgress, name, **held, step=STEPS[choice % len(STEPS)])
            case "give up":
                city.send(dc.GiveUpDelivery, name, **held, note="")
            case "fail":
                city.send(dc.FailDelivery, name, **held, reason="broken")
            case "return":
                city.send(dc.ReturnDelivery, name, **held)
            case "cancel":
                city.send(dc.CancelDelivery, name, actor="admin" if choice % 2 else "order_service", reason="no")
            case "prep":
                city.send(dc.ChangePrepTime, name, prep_s=60 * (choice % 5 + 1))
            case "search":
                city.send(dc.SearchAgain, name, actor="admin" if choice % 2 else "system")
            case "escalate":
                city.send(dc.EscalateDelivery, name, actor="admin")
            case "reassign":
                city.send(dc.ReassignDelivery, name, actor="admin", offer_id=held["offer_id"], reason="admin_forced",
                          note="")  # fmt: skip
            case "assign":
                city.send(dc.AssignDriver, name, actor="admin", driver_id=driver, note="")
            case _:
                self.of_driver(kind, driver, choice)

    def of_driver(self, kind: str, driver: str, choice: int) -> None:
        city = self.city
        match kind:
            case "rest":
                city.send(vc.TakeBreak, driver, duration_ms=600_000 * (choice % 3 + 1), reason="lunch")
            case "resume":
                city.send(vc.ResumeWork, driver)
            case "end shift":
                city.send(vc.EndShift, driver, after_delivery=bool(choice % 2))
            case "pause":
                city.send(vc.PauseDriver, driver, actor="admin", reason="r", held="keep" if choice % 2 else "reassign")
            case "unpause":
                city.send(vc.UnpauseDriver, driver, actor="admin", reason="r")
            case "seen":
                city.send(vc.SeenAlive, driver, seen_at_ms=city.now_ms, lat=48.0, lng=7.85)
            case "wait":
                city.now_ms += 1_000 * (choice % 40)
            case "long":
                city.now_ms += 600_000
            case "policy":
                self.versions += 1
                base = scaled(Policy(version=self.versions), 1 + choice % 3)
                city.policy(base)
            case "flags":
                city.rules.flags = Flags(driver_offers=Flag(rollout_percent=choice % 101),
                                         reassignment=Flag(enabled=bool(choice % 2)))  # fmt: skip
            case "index fails":
                city.index.clear()


@settings(
    max_examples=10,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    acts=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 2), st.integers(0, 100)), min_size=5, max_size=30),
    on_expiry=st.sampled_from(["auto_assign", "next_driver", "auto_assign_after_n"]),
    hand_over=st.booleans(),
    every=st.integers(1, 4),
)
def test_any_sequence_of_commands_comes_out_the_same(
    acts: list[tuple[str, int, int]], on_expiry: Any, hand_over: bool, every: int
) -> None:
    city = City(Policy(version=1, offer=OfferPolicy(on_expiry=on_expiry)), hand_over=hand_over).sign_on(*DRIVERS)
    chance = Chance(city)
    for place, act in enumerate(acts):
        chance.act(*act)
        if place % every == 0:
            city.work()
    city.work()
    report = verified(city.log, city.published)
    assert report.differences == []
    assert report.ok
    assert report.decisions == len(city.log["decisions"])


@pytest.mark.parametrize("seed", range(12))
def test_what_was_lived_through_with_faults_comes_out_the_same(seed: int) -> None:
    """Crashes, lost answers, zombies and rebalances of the simulation: what is in the log is what decided."""
    lived = run(seed)
    published = [policy_record(policy, at_ms=0, actor_id="t") for policy in lived.policies.values()]
    logs: dict[int, Log] = defaultdict(lambda: defaultdict(list))
    for record in sorted(lived.log, key=lambda one: one.offset):
        logs[record.partition][record.topic].append(record)
    reports = [verified(log, published) for log in logs.values()]
    assert [one for report in reports for one in report.differences] == []
    assert all(report.ok for report in reports)
    assert sum(report.equal for report in reports) == lived.decisions
