"""What is learned from the log: calibrated in a city of chance, the same after a restart, and of bounded size."""

import pytest

from bench.eta_city import City, lived
from dispatch.contract.records import delivery_events as de
from dispatch.core.policy import Policy
from dispatch.inputs.arrivals import Arrivals
from dispatch.streams.eta_courses import Courses
from dispatch.streams.eta_report import Report, report_of, score

POLICY = Policy()


@pytest.mark.no_cover  # nine thousand lives; counting lines triples its time, and the tests below count the same ones
def test_eight_of_ten_come_within_the_band_and_most_within_five_minutes_of_the_middle() -> None:
    """Three cities; what is judged is the second half of each, each foretold before it happened."""
    whole = Report()
    for seed in (1, 2, 3):
        history, _ = lived(3_000, POLICY, seed)
        latest = report_of(history).last(1_500)
        for arrivals in (latest.pickups, latest.deliveries):
            judged = score(arrivals, POLICY.eta.good_s)
            assert judged is not None
            assert 0.75 <= judged.covered <= 0.85, (seed, judged)
            assert abs(judged.bias_s) < 60 < judged.plain_bias_s
            assert judged.good > judged.plain_good + 0.1
        whole.pickups += latest.pickups
        whole.deliveries += latest.deliveries
    for arrivals in (whole.pickups, whole.deliveries):
        judged = score(arrivals, POLICY.eta.good_s)
        assert judged is not None
        assert judged.good >= 0.85, judged


def test_the_same_log_teaches_the_same_in_one_go_or_after_a_restart() -> None:
    history = list(City(5).history(150, POLICY, Arrivals(), days=0.2))
    at_once = Courses(Arrivals())
    for offset, event in enumerate(history):
        at_once.take(event, POLICY, ("0", offset))
    cut = len(history) // 2
    before = Courses(Arrivals())
    for offset, event in enumerate(history[:cut]):
        before.take(event, POLICY, ("0", offset))
    assert before.under_way
    begin = min(course.place[1] for course in before.under_way.values())
    after = Courses(Arrivals())
    for scope in before.arrivals.model.scopes:
        after.arrivals.model.load(scope, before.arrivals.model.dump(scope))
    after.arrivals.model.version = before.arrivals.model.version
    for offset, event in enumerate(history[begin:], begin):
        after.take(event, POLICY, ("0", offset), learns=offset >= cut)
    assert after.arrivals.model.version == at_once.arrivals.model.version == 150
    ours, theirs = after.arrivals.model.scopes, at_once.arrivals.model.scopes
    assert set(ours) == set(theirs)
    for scope, cells in theirs.items():
        for kind, counts in cells.items():
            assert abs(sum(counts) - sum(ours[scope][kind])) < 0.01, (scope, kind)


def test_what_ended_is_forgotten() -> None:
    history, courses = lived(60, POLICY, seed=4, days=0.2)
    assert sum(isinstance(event, de.DeliveryCompleted) for event in history) == 60
    assert courses.under_way == {}
    assert courses.by_driver == {}


def test_what_never_ends_is_forgotten_in_time() -> None:
    courses = Courses(Arrivals())
    for offset, event in enumerate(City(4).history(40, POLICY, courses.arrivals, days=0.2)):
        if not isinstance(event, de.DeliveryCompleted):
            courses.take(event, POLICY, ("0", offset))
    assert len(courses.under_way) == 40
    courses.forget_before(2**60)
    assert courses.under_way == {}
    assert courses.by_driver == {}


def test_deliveries_without_a_band_are_counted_and_not_judged() -> None:
    from msgspec.structs import replace

    history, _ = lived(20, POLICY, seed=6, days=0.1)
    plain = [
        replace(event, terms=replace(event.terms, eta=None)) if isinstance(event, de.DriverAssigned) else event
        for event in history
    ]
    found = report_of(plain)
    assert (found.deliveries, found.without) == ([], 20)
    assert score(found.deliveries, 300) is None
