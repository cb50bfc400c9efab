"""Policy and flags on the running system: in force everywhere at once, changed by one at a time, off without harm."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from couriers import ping
from msgspec.structs import replace
from running import Dispatch, now_ms
from town import DRIVERS, POLICY, Town, until

from deploy.local import Addresses
from deploy.local.servers import free_port
from dispatch import setup
from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.system import Decision, FeatureFlagToggled, PolicyPublished
from dispatch.core.policy import Flag, Flags, Policy, scaled
from dispatch.core.policy_document import parse
from dispatch.inputs import rulebook
from dispatch.inputs.rules import POLICY_KEY
from dispatch.log.errors import Misconfigured
from dispatch.log.reading import read_all

pytestmark = pytest.mark.servers
OFF = Flag(enabled=False)
IN_FORCE_S = 10.0


@pytest.fixture
def town(servers: Addresses, namespace: str, tmp_path: Path) -> Iterator[Town]:
    made = Town(Addresses(servers.kafka, "", servers.valkey), namespace, tmp_path)
    yield made
    made.close()


def put(dispatch: Dispatch, **flags: Flag) -> None:
    for name, flag in flags.items():
        setup.publish_flag(dispatch.settings, name, flag, actor_id="ops", reason="a test")


def metric(port: int, name: str) -> float | None:
    try:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=2).text
    except httpx.HTTPError:
        return None
    found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else None


def process(dispatch: Dispatch, arguments: str, port: int) -> "subprocess.Popen[bytes]":
    """One of Baton's processes, with its metrics at a port."""
    settings = dispatch.settings
    environment = os.environ | {
        "BATON_KAFKA": settings.kafka, "BATON_POSTGRES": settings.postgres, "BATON_VALKEY": settings.valkey,
        "BATON_NAMESPACE": settings.namespace, "BATON_HOME": str(settings.home),
    }  # fmt: skip
    command = [sys.executable, "-m", "dispatch.cli", "run", *arguments.split(), "--health-port", str(port)]
    with (settings.home / f"{arguments.replace(' ', '')}.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def test_a_flag_and_a_policy_are_in_force_in_every_process_within_ten_seconds(
    dispatch: Dispatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.publish_policy(dispatch.settings, Policy())
    ports = {name: free_port() for name in ("worker --slot 0", "worker --slot 1", "streams")}
    processes = [process(dispatch, name, port) for name, port in ports.items()]
    enabled, toggles = 'feature_flags_enabled{flag="driver_offers"}', 'feature_flag_toggles_total{flag="driver_offers"}'
    share = 'feature_flags_rollout_percent{flag="driver_offers"}'

    def all_show(name: str, value: float) -> Callable[[], bool]:
        return lambda: all(metric(port, name) == value for port in ports.values())

    try:
        until(all_show(enabled, 1), "all up", 120)
        until(all_show(toggles, 0), "none toggled", 5)
        put(dispatch, driver_offers=Flag(enabled=False, rollout_percent=30))
        flag_s = until(all_show(enabled, 0), "off everywhere", IN_FORCE_S)
        until(all_show(share, 30), "the share", 5)
        until(all_show(toggles, 1), "counted", 5)
        rulebook.change(
            dispatch.settings.kafka,
            dispatch.namespace,
            lambda found: [rulebook.next_policy(found, parse({"offer": {"timeout_s": 25}}), "ops", "a test")],
        )
        policy_s = until(all_show("baton_policy_version", 2), "policy everywhere", IN_FORCE_S)
    finally:
        for started in processes:
            started.terminate()
        for started in processes:
            started.wait(30)
    with capsys.disabled():
        print(f"\nin force in 3 processes: a flag after {flag_s:.2f} s, a policy after {policy_s:.2f} s")


def test_versions_rise_by_one_and_of_two_writers_at_once_one_is_told(dispatch: Dispatch) -> None:
    kafka, namespace = dispatch.settings.kafka, dispatch.namespace

    def apply(document: Any) -> Any:
        return rulebook.change(
            kafka, namespace, lambda found: [rulebook.next_policy(found, parse(document), "ana", "x")]
        )

    for version in (1, 2):
        _, (made,) = apply({"offer": {"timeout_s": 20 + version}})
        assert made.version == version

    def slow(found: rulebook.InForce) -> list[rulebook.Rule]:
        apply({"offer": {"timeout_s": 40}})  # somebody else, between reading and writing
        return [rulebook.next_policy(found, parse({"offer": {"timeout_s": 50}}), "ben", "x")]

    with pytest.raises(Misconfigured, match=r"^somebody else changed the rules at the same moment"):
        rulebook.change(kafka, namespace, slow)
    found = rulebook.in_force(kafka, namespace)
    assert found.published is not None
    assert found.policy is not None
    assert (found.published.version, found.policy.offer.timeout_s, found.published.actor_id) == (3, 40, "ana")
    kept = [rule.version for rule in rulebook.history(kafka, namespace) if isinstance(rule, PolicyPublished)]
    assert kept == [1, 2, 3]


def test_a_flag_s_change_is_an_event_with_what_it_was_who_and_why_and_setting_it_again_is_none(
    dispatch: Dispatch,
) -> None:
    put(dispatch, reassignment=Flag(rollout_percent=40))
    put(dispatch, reassignment=Flag(rollout_percent=40))
    put(dispatch, reassignment=Flag(rollout_percent=40, zones=("centre",)))
    rules = rulebook.history(dispatch.settings.kafka, dispatch.namespace)
    told = [rule for rule in rules if isinstance(rule, FeatureFlagToggled)]
    assert [(rule.was_rollout_percent, rule.rollout_percent, rule.zones, rule.version) for rule in told] == [
        (100, 40, (), 1), (40, 40, ("centre",), 2),
    ]  # fmt: skip
    assert {(rule.actor_id, rule.reason, rule.flag) for rule in told} == {("ops", "a test", "reassignment")}


def test_setup_starts_the_rules_once_and_never_undoes_what_somebody_chose(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dispatch.settings
    monkeypatch.setenv("OFFER_EXPIRATION_SECONDS", "20")
    monkeypatch.setenv("DRIVER_OFFERS_ROLLOUT", "50")
    assert setup.start_rules(settings) == "policy 1 is put in force, 1 flags start as the environment says"
    assert setup.start_rules(settings) == "policy 1 stays in force"
    assert setup.start_rules(settings, speed=10) == "policy 2 is put in force"
    monkeypatch.setenv("DRIVER_OFFERS_ROLLOUT", "70")
    found = rulebook.in_force(settings.kafka, settings.namespace)
    assert (found.policy or Policy()).offer.timeout_s == 2
    assert found.flag("driver_offers") == Flag(rollout_percent=50)
    rulebook.change(
        settings.kafka, settings.namespace, lambda now: [rulebook.next_policy(now, Policy(), "ana", "by hand")]
    )
    assert setup.start_rules(settings, speed=60) == "policy 3 stays in force"
    assert rulebook.in_force(settings.kafka, settings.namespace).flag("driver_offers") == Flag(rollout_percent=50)


def test_a_record_that_is_no_policy_or_flag_changes_nothing_and_decisions_go_on(town: Town) -> None:
    town.run("worker", "streams")
    town.sign_on()
    for topic, record in (
        (topics.POLICIES, _published('{"search": {"radius_m": -5}}')),
        (topics.POLICIES, _published('{"pay": {"currency": "EUR"}, "cost": {"currency": "USD"}}')),
        (topics.POLICIES, _published("{")),
        (topics.POLICIES, _published("[]")),
    ):
        town.dispatch.send(topic, POLICY_KEY.decode(), record)
    town.dispatch.send_raw(topics.FLAGS, "driver_offers", b"nonsense")
    town.dispatch.send_raw(topics.FLAGS, "driver_offers", None)
    town.dispatch.flush()
    town.delivered(town.orders(2))
    versions = {record.policy_version for record in town.dispatch.read(topics.DECISIONS)}
    assert versions == {POLICY.version}
    assert rulebook.in_force(town.settings.kafka, town.settings.namespace).policy == POLICY


def _published(document: str) -> PolicyPublished:
    return PolicyPublished(version=99, at_ms=now_ms(), actor_id="somebody", document=document)


def test_a_zone_s_overrides_shape_its_decisions_and_stand_in_their_records(town: Town) -> None:
    by_zone = {"none": {"offer": {"timeout_s": 7}}}
    setup.publish_policy(town.settings, replace(POLICY, version=8, by_zone=by_zone))
    town.run("worker", "streams")
    town.sign_on()
    (name,) = town.orders(1)

    def offered(records: list[Any]) -> bool:
        return any(isinstance(record, de.DriverOfferSent) for record in records)

    events = town.dispatch.wait(topics.DELIVERY_EVENTS, offered)
    offer = next(event for event in events if isinstance(event, de.DriverOfferSent))
    assert (offer.delivery_id, offer.expires_at_ms - offer.sent_at_ms) == (name, 7_000)
    decisions = [record for record in town.dispatch.read(topics.DECISIONS) if record.aggregate_id == name]
    assert {(record.policy_version, record.policy_zone) for record in decisions} == {(8, "none")}


def of(events: list[Any], name: str) -> list[str]:
    return [type(event).__name__ for event in events if event.delivery_id == name]


def test_each_flag_off_in_turn_and_all_of_them_still_deliver(town: Town) -> None:
    town.run("worker", "streams")
    town.sign_on()
    off: dict[str, list[str]] = {}

    def decided_so(flag: str) -> bool:
        """The worker hears of flags a moment after the log: one order more until it has."""
        names = town.orders(1)
        town.delivered(names)
        events = town.dispatch.read(topics.DELIVERY_EVENTS)
        started = next(e for e in events if isinstance(e, de.AssignmentStarted) and e.delivery_id == names[0])
        return (started.driver_offers, started.reassignment, started.escalation) == tuple(
            flag not in (part, "all") for part in ("driver_offers", "reassignment", "escalation")
        )

    for flag in (*Flags.__struct_fields__, "all"):
        names = Flags.__struct_fields__ if flag == "all" else (flag,)
        put(town.dispatch, **dict.fromkeys(names, OFF))
        until(partial(decided_so, flag), f"decided with {flag} off")
        off[flag] = town.orders(2)
        town.delivered(off[flag])
        if flag != "all":
            put(town.dispatch, **{flag: Flag()})
    events = town.dispatch.read(topics.DELIVERY_EVENTS)
    for flag, names in off.items():
        for name in names:
            asked = "DriverOfferSent" in of(events, name)
            assert asked == (flag not in ("driver_offers", "all")), (flag, of(events, name))
            started = next(e for e in events if isinstance(e, de.AssignmentStarted) and e.delivery_id == name)
            variant = (started.driver_offers, started.reassignment, started.escalation)
            assert variant == tuple(
                flag not in (part, "all") for part in ("driver_offers", "reassignment", "escalation")
            )
    assert {
        event.how for event in events if isinstance(event, de.DriverAssigned) and event.delivery_id in off["all"]
    } == {"direct"}
    town.holds()


def test_without_reassignment_and_escalation_people_must_look_and_nobody_is_told(town: Town) -> None:
    policy = scaled(replace(POLICY, version=8), 60)
    setup.publish_policy(town.settings, replace(policy, availability=POLICY.availability))
    put(town.dispatch, driver_offers=OFF, reassignment=OFF, escalation=OFF)
    town.run("worker", "streams")
    (waits,) = town.orders(1)  # nobody works yet
    time.sleep(6)  # level 1 would come after 5 s
    assert not any(isinstance(event, de.UnassignedEscalated) for event in town.dispatch.read(topics.DELIVERY_EVENTS))
    town.dispatch.sign_on("ana")
    town.dispatch.flush()

    def assigned(records: list[Any]) -> bool:
        return any(isinstance(record, de.DriverAssigned) for record in records)

    events = town.dispatch.wait(topics.DELIVERY_EVENTS, assigned)
    held = next(event for event in events if isinstance(event, de.DriverAssigned))
    town.dispatch.delivery(dc.GiveUpDelivery, waits, offer_id=held.offer_id, driver_id="ana", note="flat tyre")
    town.dispatch.flush()

    def reviewed(records: list[Any]) -> bool:
        return any(isinstance(record, de.ManualReviewRequired) for record in records)

    events = town.dispatch.wait(topics.DELIVERY_EVENTS, reviewed)
    assert [event.reason for event in events if isinstance(event, de.ManualReviewRequired)] == ["reassignment_is_off"]
    town.holds()


def test_drivers_on_a_break_when_availability_states_go_off_count_as_offline_until_they_resume(town: Town) -> None:
    town.run("worker", "streams")
    town.sign_on()
    resting, working = DRIVERS[0], DRIVERS[1]
    town.dispatch.driver(vc.TakeBreak, resting, duration_ms=1_800_000)
    town.dispatch.flush()
    until(lambda: _word(town, resting) == "ON_BREAK", "on a break")
    put(town.dispatch, availability_states=OFF)
    took_s = until(lambda: _word(town, resting) == "OFFLINE", "offline", IN_FORCE_S)
    ping(town.dispatch, [resting])
    town.dispatch.driver(vc.TakeBreak, working, duration_ms=1_800_000)
    town.dispatch.driver(vc.EndShift, DRIVERS[2])
    town.dispatch.flush()
    town.delivered(town.orders(4))
    until(lambda: _word(town, working) == "AVAILABLE", "free again")
    assert _word(town, resting) == "OFFLINE"
    town.dispatch.driver(vc.ResumeWork, resting)
    town.dispatch.flush()
    until(lambda: _word(town, resting) == "AVAILABLE", "available")
    changes = _changes(town)
    when_off = next(event.at_ms for event in changes if event.reason == "availability_states_off")
    assert {event.to_availability for event in changes if event.at_ms >= when_off} <= {"AVAILABLE", "BUSY", "OFFLINE"}
    assert not any(event.driver_id == resting for event in town.dispatch.read(topics.DELIVERY_EVENTS)
                   if isinstance(event, de.DriverAssigned))  # fmt: skip
    assert took_s < IN_FORCE_S
    town.holds()


def _changes(town: Town) -> list[Any]:
    records = town.dispatch.read(topics.DRIVER_EVENTS)
    return [record for record in records if isinstance(record, dr.DriverAvailabilityChanged)]


def _word(town: Town, driver: str) -> str:
    words = [change.to_availability for change in _changes(town) if change.driver_id == driver]
    return words[-1] if words else ""


def test_offers_in_flight_finish_as_they_began_when_offers_go_off_under_load(town: Town) -> None:
    town.run("worker", "streams")
    for name in DRIVERS:
        town.dispatch.sign_on(name, capacity=10)
    town.dispatch.flush()

    def all_in(records: list[Any]) -> bool:
        return sum(isinstance(record, dr.DriverSignedOn) for record in records) == len(DRIVERS)

    town.dispatch.wait(topics.DRIVER_EVENTS, all_in)  # from here on it decides
    names = town.orders(12)

    def load(seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            names.extend(town.orders(1))
            time.sleep(0.05)

    load(1.5)
    put(town.dispatch, driver_offers=OFF)
    load(2.5)
    until(lambda: len(_open_offers(town)) >= 10, "ten offers open")
    in_flight = _open_offers(town)
    town.delivered(names)  # only now anybody answers
    events = town.dispatch.read(topics.DELIVERY_EVENTS)
    variant = {event.delivery_id: event.driver_offers for event in events if isinstance(event, de.AssignmentStarted)}
    began = sorted(variant.values(), reverse=True)
    assert set(began) == {True, False}
    assert all(variant[name] for name in in_flight)
    how = {event.delivery_id: event.how for event in events if isinstance(event, de.DriverAssigned)}
    for name in names:
        assert ("DriverOfferSent" in of(events, name)) == variant[name], of(events, name)
        assert how[name] == ("accepted" if variant[name] else "direct")
    town.holds()


def _open_offers(town: Town) -> set[str]:
    events = town.dispatch.read(topics.DELIVERY_EVENTS)
    answered = {event.delivery_id for event in events if isinstance(event, de.DriverAssigned)}
    return {event.delivery_id for event in events if isinstance(event, de.DriverOfferSent)} - answered


def test_the_record_of_a_decision_names_a_policy_that_the_history_keeps_whole(dispatch: Dispatch, workers: Any) -> None:
    setup.publish_policy(dispatch.settings, replace(Policy(), version=4))
    (kept,) = read_all(dispatch.settings.kafka, [dispatch.namespace + topics.RULES_HISTORY.name])
    document = json.loads(codec.decode(kept.value or b"").document)
    assert document["offer"]["timeout_s"] == 30
    workers.rules.policy = rulebook.policy_in(codec.decode(kept.value or b""))
    workers.thread()
    dispatch.sign_on("ana")
    dispatch.flush()
    (decision,) = dispatch.wait(topics.DECISIONS, bool)
    assert isinstance(decision, Decision)
    assert (decision.policy_version, decision.policy_zone) == (4, "")
