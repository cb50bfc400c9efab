"""The checker has teeth: a log that breaks a rule is told with the rule's number; a good one passes."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dispatch.checker import Report, Row, check_records
from dispatch.checker.report import RULES, Place
from dispatch.contract import codec
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records import offers
from dispatch.contract.records.system import DeadLetter, Decision, Notice, Reply
from dispatch.log.application import Record

sys.path.insert(0, str(Path(__file__).parent))
from evening import Chance, Evening, a_long_evening

Log = list[Record]
Spoil = Callable[[Log], Log]
GOOD = a_long_evening().log
BY_THE_LOG = a_long_evening(hands_over=False).log


def broken(report: Report) -> set[int]:
    return {violation.rule for violation in report.violations}


def content(record: Record) -> Any:
    try:
        return codec.decode(record.value)
    except Exception:  # noqa: BLE001 - states and nonsense are no records of the contract
        return None


def at(log: Log, wanted: type, nth: int = 0, **fields: Any) -> int:
    """Where the nth record of a kind stands."""
    places = [place for place, record in enumerate(log) if type(found := content(record)) is wanted
              and all(getattr(found, name) == value for name, value in fields.items())]  # fmt: skip
    return places[nth]


def without(wanted: type, nth: int = 0, **fields: Any) -> Spoil:
    def spoil(log: Log) -> Log:
        place = at(log, wanted, nth, **fields)
        return [*log[:place], *log[place + 1 :]]

    return spoil


def twice(kind: type, nth: int = 0) -> Spoil:
    def spoil(log: Log) -> Log:
        place = at(log, kind, nth)
        return [*log[: place + 1], *log[place:]]

    return spoil


def changed(kind: type, nth: int = 0, by: dict[str, Any] | None = None, **fields: Any) -> Spoil:
    """One record altered; `by` adds to numbers."""

    def spoil(log: Log) -> Log:
        place = at(log, kind, nth)
        old = content(log[place])
        new = {name: getattr(old, name) + more for name, more in (by or {}).items()} | fields
        return [*log[:place], log[place]._replace(value=codec.encode(replace(old, **new))), *log[place + 1 :]]

    return spoil


def swapped(kind: type, nth: int = 0) -> Spoil:
    """One record changes places with the next of its partition."""

    def spoil(log: Log) -> Log:
        place = at(log, kind, nth)
        here = log[place][:2]
        other = next(number for number in range(place + 1, len(log)) if log[number][:2] == here)
        log = list(log)
        log[place], log[other] = log[other], log[place]
        return log

    return spoil


def exchanged(kind: type) -> Spoil:
    """The first two records of a kind and a key change places."""

    def spoil(log: Log) -> Log:
        place = at(log, kind)
        other = next(number for number in range(place + 1, len(log))
                     if type(content(log[number])) is kind and log[number].key == log[place].key)  # fmt: skip
        log = list(log)
        log[place], log[other] = log[other], log[place]
        return log

    return spoil


def of_state(topic: str, change: Callable[[Any], Any]) -> Spoil:
    """The last record of a state topic altered."""

    def spoil(log: Log) -> Log:
        place = max(number for number, record in enumerate(log) if record.topic == topic)
        return [*log[:place], log[place]._replace(value=change(log[place].value)), *log[place + 1 :]]

    return spoil


def stored_otherwise(value: bytes) -> bytes:
    envelope = msgspec.msgpack.decode(value)
    envelope[4] = msgspec.msgpack.encode(msgspec.msgpack.decode(envelope[4]) | {"version": 77})
    return msgspec.msgpack.encode(envelope)


def stored_without_timers(value: bytes) -> bytes:
    envelope = msgspec.msgpack.decode(value)
    envelope[2] = []
    return msgspec.msgpack.encode(envelope)


def place_of_timer(log: Log) -> int:
    """Which of the decisions is the first of a timer."""
    decisions = [found for record in log if type(found := content(record)) is Decision]
    return next(number for number, found in enumerate(decisions)
                if isinstance(codec.decode(found.command), dc.DeliveryTimerDue))  # fmt: skip


ELSE = "22222222-2222-5222-8222-222222222222"
WRONG: list[tuple[int, str, Spoil]] = [
    (1, "a capacity that is none", changed(dr.DriverSignedOn, capacity=0)),
    (1, "a release left out", without(dr.DriverReservationReleased)),
    (2, "assigned twice", twice(de.DriverAssigned)),
    (2, "asked twice", twice(de.ReservationRequested)),
    (3, "a grant left out", without(dr.DriverReserved)),
    (3, "not ended", without(de.DeliveryCompleted, -1)),
    (4, "a fence that stays", changed(dr.DriverReserved, fence=0)),
    (4, "a confirmation under another fence", changed(dr.DriverReservationConfirmed, by={"fence": 1})),
    (5, "an event left out", without(de.PickupStarted)),
    (5, "an event twice", twice(de.PickupCompleted)),
    (5, "two events exchanged", swapped(de.PickupCompleted)),
    (5, "an event of a driver left out", without(dr.DriverSeen)),
    (6, "ended twice", twice(de.DeliveryCompleted)),
    (6, "cancelled twice", twice(de.DeliveryCancelled)),
    (7, "decided twice", twice(Decision, 5)),
    (7, "accepted with no events", changed(Decision, 5, events=0)),
    (8, "a reply left out", without(Reply, 1)),
    (8, "a reply twice", twice(Reply, 0)),
    (8, "another outcome told", changed(Reply, 0, outcome="refused")),
    (8, "another version told", changed(Reply, 0, by={"version": 1})),
    (10, "a release left out", without(dr.DriverReservationReleased, -1)),
    (10, "a release twice", twice(dr.DriverReservationReleased)),
    (11, "a timer that was not set", changed(de.OfferExpired, causation_id=ELSE)),
    (11, "the loss left out whose grace ends", without(de.DriverLost)),
    (
        11,
        "a timer that had no effect",
        lambda log: changed(Decision, place_of_timer(log), outcome="duplicate", events=0)(log),
    ),
    (12, "a cause that nobody decided", changed(de.DriverAccepted, causation_id=ELSE)),
    (12, "a decision left out", without(Decision, 3)),
    (12, "an event before the last", changed(de.DriverAccepted, by={"at_ms": -60_000})),
    (12, "a decision before its command", changed(Decision, 6, by={"now_ms": -60_000})),
    (12, "decided, and nobody sent it", without(dc.RejectOffer)),
    (12, "a decision of another time", changed(Decision, 7, by={"now_ms": 1})),
    (13, "a dead letter left out", without(DeadLetter)),
    (13, "set aside twice", twice(DeadLetter)),
    (13, "set aside by an error of the engine", changed(DeadLetter, error="KeyError", reason="'offer'")),
    (14, "another version stored", of_state("delivery.state", stored_otherwise)),
    (14, "timers not stored", of_state("delivery.state", stored_without_timers)),
    (14, "a driver's timers not stored", of_state("driver.state", stored_without_timers)),
    (14, "forgotten too early", of_state("delivery.state", lambda _: None)),
    (14, "a driver forgotten", of_state("driver.state", lambda _: None)),
    (17, "a grace that is longer than was kept", changed(de.DriverLost, by={"grace_until_ms": 500_000})),
    (18, "accepted after the offer's time", changed(de.DriverOfferSent, expires_at_ms=1)),
    (18, "an answer to another offer", changed(de.DriverRejected, offer_id=ELSE)),
    (18, "expired before its time", changed(de.OfferExpired, by={"at_ms": -5_000})),
    (19, "offered under another fence", changed(de.DriverOfferSent, fence=99)),
    (20, "said to have been another", changed(dr.DriverAvailabilityChanged, -1, from_availability="PAUSED")),
    (20, "said to be another", changed(dr.DriverAvailabilityChanged, to_availability="PAUSED")),
    (20, "attempts not counted", changed(de.AssignmentReassigned, attempt_count=3)),
    (20, "picked up by nobody", without(de.DriverAssigned)),
    (20, "delivered without being picked up", without(de.PickupCompleted)),
    (20, "taken away for a reason that was not given", changed(de.AssignmentReassigned, reason="admin_forced")),
    (21, "an offer that nobody was told of", without(offers.OfferCreated)),
    (21, "the end of an offer told twice", twice(offers.OfferEnded)),
    (21, "the end of an assignment not told", without(offers.AssignmentEnded)),
    (21, "a customer not told", without(Notice, kind="picked_up")),
    (22, "the second step before the first", exchanged(dc.ReportProgress)),
]


@pytest.mark.parametrize("log", [GOOD, BY_THE_LOG], ids=["handed over", "by the log"])
def test_a_good_log_passes(log: Log) -> None:
    report = check_records(log)
    assert report.ok, report.text()
    assert "held" in report.text()
    assert report.counts["records"] > 300
    assert report.first is None


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_people_do_a_log_of_the_real_engine_passes(seed: int) -> None:
    report = check_records(Chance(seed, 40).here.log)
    assert report.ok, report.text()


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_topics_may_be_read_in_any_order(chance: Any) -> None:
    """As Kafka gives them: each partition in order, and no order between partitions."""
    queues: dict[tuple[str, int], Log] = {}
    for record in GOOD:
        queues.setdefault((record.topic, record.partition), []).append(record)
    mixed = []
    while queues:
        place = chance.choice(sorted(queues))
        taken = chance.randint(1, 40)
        mixed += queues[place][:taken]
        queues[place] = queues[place][taken:]
        if not queues[place]:
            del queues[place]
    report = check_records(mixed)
    assert report.ok, report.text()


@pytest.mark.parametrize("log", [GOOD, BY_THE_LOG], ids=["handed over", "by the log"])
@pytest.mark.parametrize(("rule", "what", "spoil"), WRONG, ids=[f"{rule} {what}" for rule, what, _ in WRONG])
def test_a_rule_that_is_broken_is_told(log: Log, rule: int, what: str, spoil: Spoil) -> None:
    report = check_records(spoil(log))
    assert rule in broken(report), f"{what}: {report.text()}"
    assert f"BROKEN {report.broken[rule]} times" in report.text()


def test_every_rule_is_broken_by_some_test() -> None:
    elsewhere = {9, 15, 16}
    assert {rule for rule, _, _ in WRONG} | elsewhere == set(RULES)


ALWAYS_TOLD = (Decision, *de.AUDIT_WORDS, *dr.AUDIT_WORDS, offers.OfferCreated, offers.OfferEnded,
               offers.DeliveryAssigned, offers.AssignmentEnded)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_event_decision_or_offer_can_be_left_out_or_come_twice_unnoticed(data: Any) -> None:
    places = [place for place, record in enumerate(GOOD) if type(content(record)) in ALWAYS_TOLD]
    place = data.draw(st.sampled_from(places))
    left_out = check_records([*GOOD[:place], *GOOD[place + 1 :]])
    doubled = check_records([*GOOD[: place + 1], *GOOD[place:]])
    assert not left_out.ok, f"{GOOD[place].topic} {type(content(GOOD[place])).__name__} can be left out"
    assert not doubled.ok, f"{GOOD[place].topic} {type(content(GOOD[place])).__name__} can come twice"


def test_the_first_record_that_breaks_a_rule_is_named_with_its_place_and_why() -> None:
    place = at(GOOD, dr.DriverReserved, 1)
    report = check_records(changed(dr.DriverReserved, 1, fence=0)(GOOD))
    first = next(violation for violation in report.violations if violation.rule == 4)
    record = GOOD[place]
    assert first.place == str(Place(record.topic, record.partition, record.offset))
    assert first.at_ms == record.timestamp_ms
    assert "fence 0 after" in first.sentence
    assert report.first is not None
    assert report.first.at_ms <= first.at_ms


def test_a_command_that_no_one_decided_is_told_once_all_is_quiet_or_later_ones_were() -> None:
    here = Evening().sign_on("ana")
    here.append("driver.commands", b"ana", here.log[0].value)  # a repeat is no new command
    last = here.log[-1]
    lost = codec.encode(replace(codec.decode(here.log[0].value), command_id=ELSE))
    here.log.append(last._replace(offset=last.offset + 1, value=lost))
    assert broken(check_records(here.log)) == {13}
    assert check_records(here.log, quiescent=False).ok
    here.log[-1] = here.log[-1]._replace(offset=-1)  # before what was decided
    assert check_records(here.log, quiescent=False).ok, "it may have been decided where one looked first"
    here.now_ms += 20_000
    here.sign_on("ben")
    assert broken(check_records(here.log, quiescent=False)) == {13}


def test_half_of_a_transaction_at_the_end_of_a_log_that_goes_on_is_held_against_nobody() -> None:
    here = Evening().sign_on("ana")
    here.order(1)
    spoil = without(Decision, sum(type(content(record)) is Decision for record in here.log) - 1)
    assert 12 in broken(check_records(spoil(here.log)))
    assert check_records(spoil(here.log), quiescent=False).ok
    here.now_ms += 20_000
    here.sign_on("ben")
    assert check_records(here.log, quiescent=False).ok
    assert 12 in broken(check_records(spoil(here.log), quiescent=False)), "the same, once later ones were decided"


def test_a_repeat_of_an_order_that_comes_by_the_log_later_is_not_what_was_decided_first() -> None:
    """Seed 61 of the simulation, once: order, decision, repeat by another way, and the repeat read first."""
    here = Evening().sign_on("ana")
    here.order(1)
    order = next(record for record in here.log if record.topic == "orders.inbound")
    decided: Any = next(found for record in here.log if type(found := content(record)) is Decision
                        and isinstance(codec.decode(found.command), dc.MarkReady))  # fmt: skip
    here.now_ms += 14_000
    here.append("delivery.commands", decided.aggregate_id.encode(), decided.command)
    log = [here.log[-1], *(record for record in here.log[:-1] if record is not order), order]
    assert 12 not in broken(check_records(log))
    assert 12 in broken(check_records(log[:-1]))


def test_an_order_that_nobody_decided_is_told() -> None:
    here = Evening().sign_on("ana")
    here.order(1)
    order = next(record for record in here.log if record.topic == "orders.inbound")
    more = codec.encode(replace(codec.decode(order.value), message_id="m2", seller_order_id="o2"))
    report = check_records([*here.log, order._replace(offset=order.offset + 1, value=more)])
    assert 13 in broken(report)


def test_a_repeat_is_decided_again_only_when_it_is_late_and_changes_nothing() -> None:
    here = Evening().sign_on("ana")
    place = at(here.log, Decision)
    again: Any = replace(content(here.log[place]), outcome="duplicate", events=0, version_before=2)
    assert 7 in broken(check_records([*here.log, here.log[place]._replace(value=codec.encode(again))]))
    for _ in range(12):
        here.send(dc.SearchAgain, ELSE, "admin")
        here.sign_on("ana")
    version = here.driver("ana").version
    late = codec.encode(replace(again, version_before=version))
    last = here.log[place]._replace(value=late, timestamp_ms=here.now_ms)
    assert 7 not in broken(check_records([*here.log, last]))


def test_one_who_waits_too_long_is_escalated_by_the_deadline() -> None:
    here = Evening()
    here.order(1)
    here.pass_s(301)
    assert check_records(here.log).ok
    report = check_records(without(de.UnassignedEscalated)(here.log))
    assert 9 in broken(report)
    waits = Evening()
    waits.order(1)
    assert broken(check_records(waits.log)) == {9}
    assert check_records(waits.log, quiescent=False).ok
    level = check_records(changed(de.UnassignedEscalated, level=2)(here.log))
    assert 9 in broken(level)


def test_a_timer_that_never_came_is_told() -> None:
    here = Evening().sign_on("ana")
    name = here.order(1)
    here.forget_timers()
    here.now_ms += 45_000
    here.sign_on("ben")
    report = check_records(here.log)
    assert 11 in broken(report)
    assert f"offer_expiry {here.open(name)['offer_id']} of {name} was due" in report.text()


def test_a_former_driver_is_not_asked_again() -> None:
    here = Evening().sign_on("ana", "ben")
    name = here.order(1)
    here.say(dc.RejectOffer, name, reason="too_far")
    asked = [place for place, record in enumerate(here.log) if type(content(record)) is de.ReservationRequested]
    first = content(here.log[asked[0]]).driver_id
    assert 16 in broken(check_records(changed(de.ReservationRequested, 1, driver_id=first)(here.log)))
    assert 16 not in broken(check_records(changed(de.ReservationRequested, 1, driver_id=first, how="manual")(here.log)))


def test_what_one_commands_another_is_decided_in_the_order_in_which_it_was_sent() -> None:
    here = Evening(hands_over=False).sign_on("ana")
    name = here.order(1)
    here.say(dc.AcceptOffer, name)
    here.bring(name)
    log = here.log
    wanted = (vc.ConfirmReservation, vc.ReleaseReservation)
    decided = [place for place, record in enumerate(log) if type(found := content(record)) is Decision
               and isinstance(codec.decode(found.command), wanted)]  # fmt: skip
    log[decided[0]], log[decided[1]] = log[decided[1]], log[decided[0]]
    report = check_records(log)
    assert any("which was sent first" in violation.sentence for violation in report.violations), report.text()


def test_deciding_again_must_give_the_same_bytes() -> None:
    asked: list[tuple[str, int]] = []
    events = {(found.causation_id, found.version): record.value for record in GOOD
              if hasattr(found := content(record), "causation_id")}  # fmt: skip

    def as_recorded(decision: Decision, before: list[bytes]) -> list[bytes]:
        asked.append((decision.command_id, len(before)))
        versions = range(decision.version_before + 1, decision.version_before + 1 + decision.events)
        return [events[decision.command_id, version] or b"" for version in versions]

    report = check_records(GOOD, redecide=as_recorded)
    assert report.ok, report.text()
    assert "same bytes: held" in report.text()
    assert len(asked) == report.counts["decisions"]
    assert max(before for _, before in asked) > 10

    def otherwise(decision: Decision, before: list[bytes]) -> list[bytes]:
        return as_recorded(decision, before)[:-1]

    assert broken(check_records(GOOD, redecide=otherwise)) == {15}
    assert "same bytes: not asked" in check_records(GOOD).text()


def tables_of(log: Iterable[Record]) -> dict[str, Row]:
    """What right tables say, as far as this evening needs it: everything ended, and nobody holds anything."""
    ends = {de.DeliveryCompleted: "delivered", de.DeliveryCancelled: "cancelled"}
    rows: dict[str, Row] = {}
    for record in log:
        found = content(record)
        if type(found) in de.AUDIT_WORDS:
            rows[found.delivery_id] = Row(ends.get(type(found), ""), "", found.version)
        elif type(found) in dr.AUDIT_WORDS:
            before = rows.get(found.driver_id, Row("OFFLINE", "", 0))
            rows[found.driver_id] = Row(getattr(found, "to_availability", before.status), "", found.version)
    return rows


def test_the_tables_must_say_what_the_events_say() -> None:
    rows = tables_of(GOOD)
    report = check_records(GOOD, tables=rows)
    assert report.ok, report.text()
    for name in list(rows)[:2]:
        spoilt = rows | {name: rows[name]._replace(version=99)}
        assert broken(check_records(GOOD, tables=spoilt)) == {14}
        missing = {known: row for known, row in rows.items() if known != name}
        assert broken(check_records(GOOD, tables=missing)) == {14}
    assert broken(check_records(GOOD, tables=rows | {"ghost": Row("AVAILABLE", "", 1)})) == {14}


def test_a_report_names_the_first_violations_of_each_rule_and_counts_all() -> None:
    report = check_records([record for record in GOOD if record.topic != "decisions"])
    assert report.broken[12] > 1
    kept = Counter(violation.rule for violation in report.violations)
    assert kept[12] <= report.broken[12]
    stamps = [violation.at_ms for violation in report.violations if violation.rule == 12]
    assert stamps == sorted(stamps)
