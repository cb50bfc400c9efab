"""What is learned from the log: calibrated in a city of chance, the same after a restart, and of bounded size."""

import math
from copy import deepcopy
from unittest.mock import Mock

import pytest

from bench.eta_city import City, lived
from bench.histories import filled
from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Eta
from dispatch.core.eta import Leg, moved
from dispatch.core.policy import Policy
from dispatch.inputs.arrivals import Arrivals
from dispatch.inputs.rules import Rules
from dispatch.inputs.travel import Roads
from dispatch.streams import eta_tracker
from dispatch.streams.eta_courses import UNUSED, Courses
from dispatch.streams.eta_report import Report, report_of, score
from dispatch.streams.eta_tracker import EtaTracker

POLICY = Policy()


class Heard:
    """A message of delivery.events, partition 3."""

    def __init__(self, value: bytes, offset: int) -> None:
        self.value, self.offset = (lambda: value), (lambda: offset)

    def topic(self) -> str:
        return topics.DELIVERY_EVENTS.name

    def partition(self) -> int:
        return 3

    def error(self) -> None:
        return None


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


def test_what_is_noted_of_a_stage_is_what_a_reckoning_at_its_beginning_comes_to() -> None:
    courses, noted = Courses(Arrivals()), 0
    for offset, event in enumerate(City(8).history(60, POLICY, courses.arrivals, days=0.2)):
        course = courses.take(event, POLICY, ("0", offset))
        if course is None or isinstance(event, de.PickupStarted):
            continue
        eta = courses.reckon(course, POLICY, event.at_ms)
        notes = {note.what: note.base_ms for note in course.notes if note.at_ms == event.at_ms}
        wanted = {"delivery": eta.base_delivery_ms} | ({"pickup": eta.base_pickup_ms} if eta.pickup else {})
        assert notes == wanted
        noted += 1
    assert noted == 180


def differs(told: Eta | None, eta: Eta) -> bool:
    if told is None:
        return True
    by_pickup = told.pickup and eta.pickup and moved(told.pickup.p50_ms, eta.pickup.p50_ms, POLICY.eta)
    return bool(by_pickup) or moved(told.delivery.p50_ms, eta.delivery.p50_ms, POLICY.eta)


def test_what_is_told_is_what_differs_as_a_whole_reckoning_has_it() -> None:
    courses, answers = Courses(Arrivals()), []
    for offset, event in enumerate(City(10).history(200, POLICY, courses.arrivals, days=0.2)):
        course = courses.take(event, POLICY, ("0", offset))
        if course is None:
            continue
        for late_ms, way in ((0, None), (30_000, None), (5_000, Leg(400.0, 300.0)), (90_000, Leg(30.0, 40.0))):
            eta = courses.reckon(course, POLICY, event.at_ms + late_ms, way)
            answers.append(courses.to_tell(course, POLICY, event.at_ms + late_ms, way))
            assert answers[-1] == differs(course.told, eta)
        course.told = eta
    assert 200 < sum(answers) < len(answers) - 200


def test_events_that_are_passed_over_change_no_course() -> None:
    courses = Courses(Arrivals())
    for offset, event in enumerate(City(9).history(3, POLICY, courses.arrivals, days=0.01)):
        courses.take(event, POLICY, ("0", offset))
        before = deepcopy((courses.under_way, courses.by_driver, courses.changed, courses.arrivals.model.version))
        for kind in UNUSED:
            made = filled(kind, delivery_id=event.delivery_id, version=1)
            assert courses.take(made, POLICY, ("0", offset)) is None
        now = (courses.under_way, courses.by_driver, courses.changed, courses.arrivals.model.version)
        assert now == before


def test_what_is_passed_over_undecoded_moves_on_as_any_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the ways of `Courses` are Kafka's here: the messages come one by one."""
    monkeypatch.setattr(eta_tracker, "Consumer", lambda _: None)
    monkeypatch.setattr(eta_tracker, "Producer", lambda _: None)
    tracker = EtaTracker(Settings(), Rules(), Roads(None))
    rejected = filled(de.DriverRejected, delivery_id=identity.delivery_id("s", "o"), version=1, reason="other")
    value = codec.encode(rejected)
    tracker._learned["3"] = 8
    for offset, news in ((7, False), (8, True)):
        tracker._note(Heard(value, offset))  # type: ignore[arg-type]
        assert (tracker._next["3"], tracker._dirty) == (offset + 1, news)
    assert value[:5] in codec.marks({de.DriverRejected, de.DriverLost})
    assert codec.encode(filled(de.DriverLost, delivery_id="d", version=1))[:5] not in codec.marks({de.DriverRejected})


def test_what_is_read_together_is_reckoned_once_by_its_last_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round reads what is there; all but `Courses` and its caller are Kafka's."""
    consumer = Mock()
    monkeypatch.setattr(eta_tracker, "Consumer", lambda _: consumer)
    monkeypatch.setattr(eta_tracker, "Producer", Mock())
    monkeypatch.setattr(eta_tracker, "LAGS", Mock())
    monkeypatch.setattr(eta_tracker, "PUBLISH_EVERY_S", math.inf)
    tracker = EtaTracker(Settings(), Rules(), Roads(None))
    reckoned: list[tuple[str, str, int]] = []
    monkeypatch.setattr(tracker, "_reckon", lambda course, why, at_ms: reckoned.append((course.stage, why, at_ms)))
    history = list(City(4).history(1, POLICY, tracker.courses.arrivals, days=0.1))
    at = {type(event): offset for offset, event in enumerate(history)}

    def read(begin: int, end: int) -> list[tuple[str, str, int]]:
        reckoned.clear()
        heard = [Heard(codec.encode(history[offset]), offset) for offset in range(begin, end)]
        consumer.poll.return_value, consumer.consume.return_value = heard[0], heard[1:]
        tracker.turn()
        return reckoned

    at_store, at_door = at[de.ArrivedAtPickup], at[de.ArrivedAtDropoff]
    assert read(0, at_store + 1) == [("at_store", "status_changed", history[at_store].at_ms)]
    assert read(at_store + 1, at_door + 1) == [("at_door", "status_changed", history[at_door].at_ms)]
    assert read(at_door, at[de.DeliveryCompleted] + 1) == []
    assert read(0, len(history)) == []


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
