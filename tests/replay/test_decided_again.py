"""Every decision comes out the same again, and what was changed in the log is found and named field by field."""

import json
from typing import Any

import msgspec
import pytest
from city import START_MS, City, Log, an_evening, changed, decisions, verified

from dispatch.contract import codec
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records.system import Decision
from dispatch.core.policy import OfferPolicy, Policy, SearchPolicy
from dispatch.log.application import Record
from dispatch.replay.ahead import WITHIN_MS
from dispatch.replay.report import Report
from dispatch.replay.states import States
from dispatch.replay.verify import Asked


@pytest.fixture(scope="module")
def evening() -> City:
    return an_evening()


def fields(report: Report) -> list[tuple[str, str, str, str]]:
    return [tuple(field) for one in report.differences for field in one.fields]


def event_record(log: Log, name: str, topic: str = "delivery.events") -> Record:
    return next(record for record in log[topic] if type(codec.decode(record.value)).__name__ == name)


def decision_of(log: Log, command: type[Any]) -> tuple[Record, Decision]:
    return next(
        (record, made) for record, made in decisions(log) if isinstance(codec.decode(made.command), command)
    )  # fmt: skip


@pytest.mark.parametrize("hand_over", [True, False])
def test_an_evening_comes_out_the_same(hand_over: bool) -> None:
    city = an_evening(hand_over=hand_over)
    report = verified(city.log, city.published)
    assert report.ok
    assert report.decisions == report.equal == len(city.log["decisions"]) > 60
    assert report.events == len(city.log["delivery.events"]) + len(city.log["driver.events"])


def test_every_version_of_the_policy_is_found_again() -> None:
    city = City().sign_on("ana", "ben")
    city.ready(1)
    city.policy(Policy(version=2, offer=OfferPolicy(timeout_s=11)))
    city.ready(2)
    city.policy(Policy(version=3, by_zone={"none": {"offer": {"timeout_s": 5}}}))
    city.ready(3)
    assert verified(city.log, city.published).ok
    without = verified(city.log, city.published[:1] + city.published[2:])
    assert without.different == 0
    assert without.undecided == {"policy 2 is not on record": without.decisions - without.equal}


def test_before_the_first_policy_the_defaults_held_and_no_version_of_them_is_mistaken_for_a_published_one() -> None:
    from dispatch.inputs.rules import Rules

    assert Rules().policy.version == 0
    city = City()
    city.rules.policy = Rules().policy
    city.ready(1)
    city.policy(Policy(version=1, search=SearchPolicy(retry_first_s=17)))
    city.ready(2)
    assert verified(city.log, city.published[1:]).ok


def test_one_flipped_byte_of_an_event_is_one_difference_with_its_field(evening: City) -> None:
    record = event_record(evening.log, "DriverAccepted")
    value = bytearray(record.value or b"")
    value[-1] ^= 2
    report = verified(changed(evening.log, "delivery.events", record.offset, bytes(value)), evening.published)
    assert report.different == 1
    assert report.undecided == {}
    (found,) = fields(report)
    assert found[1] == "response_ms"
    assert found[0] == f"event {codec.decode(record.value).version} DriverAccepted"  # type: ignore[attr-defined]
    assert found[2] != found[3] == "3000"


def test_an_event_that_cannot_be_read_is_one_difference(evening: City) -> None:
    record = event_record(evening.log, "DriverAccepted")
    report = verified(changed(evening.log, "delivery.events", record.offset, b"\x00nonsense"), evening.published)
    assert [field[1] for field in fields(report)] == ["bytes"]


def test_a_changed_fact_is_found_by_what_it_changes(evening: City) -> None:
    record, made = decision_of(evening.log, dc.MarkReady)
    facts = json.loads(made.facts)
    facts["search"]["drivers"][0]["distance_m"] += 777
    value = codec.encode(msgspec.structs.replace(made, facts=json.dumps(facts).encode()))
    report = verified(changed(evening.log, "decisions", record.offset, value), evening.published)
    assert report.different == 1
    names = {field[1] for field in fields(report)}
    assert "candidates[0].distance_m" in names or "candidates[2].distance_m" in names


@pytest.mark.parametrize("kind", ["DriverCandidatesFound", "DriverOfferSent", "DeliveryCompleted"])
def test_a_lost_event_is_found_and_what_comes_after_is_still_compared(evening: City, kind: str) -> None:
    record = event_record(evening.log, kind)
    report = verified(changed(evening.log, "delivery.events", record.offset, None), evening.published)
    assert report.different == 1
    assert [(field[1], field[2]) for field in fields(report)] == [("(whole event)", "not in the log")]
    assert report.undecided == {}


def test_an_event_that_nobody_decided_is_found(evening: City) -> None:
    record, made = decision_of(evening.log, dc.AcceptOffer)
    report = verified(changed(evening.log, "decisions", record.offset, None), evening.published)
    assert report.different == made.events
    assert {field[3] for field in fields(report)} == {"no decision on record made it"}


def test_the_last_decision_of_all_is_missed_too() -> None:
    city = City().sign_on("ana")
    city.ready(1)
    last = city.log["decisions"][-1]
    report = verified(changed(city.log, "decisions", last.offset, None), city.published)
    assert report.different == codec.decode(last.value).events > 0  # type: ignore[attr-defined]


def test_another_outcome_on_record_is_found(evening: City) -> None:
    record, made = decision_of(evening.log, dc.CancelDelivery)
    value = codec.encode(msgspec.structs.replace(made, outcome="refused", reason="already_ended"))
    report = verified(changed(evening.log, "decisions", record.offset, value), evening.published)
    assert [field[1:] for field in fields(report)] == [
        ("outcome", "refused", "accepted"), ("reason", "already_ended", ""),
    ]  # fmt: skip


def test_an_event_of_an_older_version_of_its_schema_is_compared_in_that_version(evening: City) -> None:
    from dispatch.contract import registry

    record = event_record(evening.log, "DeliveryCompleted")
    older = next(row for row in registry.registered() if row.subject.endswith("events.DeliveryCompleted"))
    values = msgspec.to_builtins(codec.decode(record.value))
    value = codec.written_as(values, older.id)
    assert value != record.value
    log = changed(evening.log, "delivery.events", record.offset, value)
    report = verified(log, evening.published)
    assert report.ok
    assert report.equal == report.decisions
    flipped = value[:-1] + bytes([value[-1] ^ 2])
    assert verified(changed(log, "delivery.events", record.offset, flipped), evening.published).different == 1


def test_decisions_of_another_release_are_told(evening: City) -> None:
    record, made = decisions(evening.log)[3]
    value = codec.encode(msgspec.structs.replace(made, code_version="9.9.9"))
    report = verified(changed(evening.log, "decisions", record.offset, value), evening.published)
    assert report.ok
    assert report.code_versions["9.9.9"] == 1


def test_facts_that_this_release_cannot_read_are_no_difference_but_no_proof_either(evening: City) -> None:
    record, made = decision_of(evening.log, dc.AcceptOffer)
    facts = json.loads(made.facts) | {"flags": {"a_flag_of_tomorrow": {}}}
    value = codec.encode(msgspec.structs.replace(made, facts=json.dumps(facts).encode()))
    report = verified(changed(evening.log, "decisions", record.offset, value), evening.published)
    assert not report.ok
    assert report.different == 0
    ((reason, count),) = report.undecided.items()
    assert "its facts" in reason
    assert "a_flag_of_tomorrow" in reason
    assert count == 1


def test_a_range_folds_what_came_before_and_compares_what_is_in_it(evening: City) -> None:
    middle = evening.log["decisions"][40].timestamp_ms
    within = [record for record in evening.log["decisions"] if record.timestamp_ms >= middle]
    log = {**evening.log, "decisions": within}
    asked = Asked(since_ms=middle, keys=frozenset(record.key or b"" for record in within))
    report = verified(log, evening.published, asked)
    assert report.ok
    assert report.decisions == len(within)
    assert report.before > 0
    lost = event_record(
        {"e": [r for r in log["delivery.events"] if r.timestamp_ms > middle + WITHIN_MS]}, "NoDriverFound", "e"
    )
    assert verified(changed(log, "delivery.events", lost.offset, None), evening.published, asked).different == 1


def test_one_delivery_is_verified_alone(evening: City) -> None:
    name = evening.log["delivery.commands"][0].key or b""
    report = verified(evening.log, evening.published, Asked(keys=frozenset([name])))
    assert report.ok
    assert report.decisions == sum(record.key == name for record in evening.log["decisions"])


def test_a_delivery_that_was_forgotten_and_came_again_begins_anew() -> None:
    city = City(Policy(version=1)).sign_on("ana")
    name = city.ready(1)
    city.send(dc.CancelDelivery, name, reason="no")
    city.work()
    city.now_ms += 3 * 86_400_000
    city.work()
    assert city.state(name).version == 0
    city.ready(1)
    city.send(dc.CancelDelivery, name, reason="again")
    city.work()
    assert verified(city.log, city.published).ok


def test_states_are_kept_as_bytes_beyond_a_number_and_let_go_when_their_marker_ran_out() -> None:
    city = an_evening()
    states = States(live=2)
    for store in city.stores.values():
        for name in [record.key.decode() for record in city.log["delivery.commands"] if record.key]:
            if store.aggregate.name == "delivery":
                states.put(("delivery", name), store.get(name).state)
    ended = [name for (_, name), _ in states.items() if city.state(name).phase.__class__.__name__ == "Closed"]
    assert ended
    for name in ended:
        assert states.get(("delivery", name)) == city.state(name)
    before = len(states)
    states.let_go(START_MS + 10 * 86_400_000)
    assert len(states) == before - len(ended)
