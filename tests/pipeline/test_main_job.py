"""Orders through the Kafka door, to the customer's hands, on a real broker."""

import time
import uuid
from typing import Any

import pytest
from inbound_orders import an_inbound
from msgspec.structs import replace

from dispatch.contract import codec, identity, topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.inbound import InboundOrderCancelled, InboundOrderPlaced, InboundPrepTimeChanged
from dispatch.contract.records.system import Contact, DeadLetter, Decision, Reply

pytestmark = pytest.mark.servers


def seen(kind: type, count: int = 1) -> Any:
    return lambda records: sum(type(record) is kind for record in records) >= count


def ids(event: Any) -> dict[str, str]:
    return {"offer_id": event.offer_id, "driver_id": event.driver_id}


def test_an_order_goes_from_ready_to_delivered_and_the_log_holds_every_rule(dispatch: Any, workers: Any) -> None:
    workers.known("ana")
    workers.thread()
    dispatch.sign_on("ana")
    dispatch.flush()
    dispatch.wait(topics.DRIVER_EVENTS, seen(dr.DriverSignedOn))
    name = dispatch.order(1)
    events = dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DriverOfferSent))
    offer = ids(events[-1])
    accept = str(uuid.uuid4())
    for _ in range(2):
        dispatch.delivery(dc.AcceptOffer, name, **offer, command_id=accept, reply_to=1)
    for step in ("picked_up", "delivered"):
        dispatch.delivery(dc.ReportProgress, name, **offer, step=step)
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCompleted))
    dispatch.wait(topics.DRIVER_EVENTS, seen(dr.DriverReservationReleased))
    replies = [record for record in dispatch.read(topics.REPLIES) if isinstance(record, Reply)]
    assert [(reply.outcome, reply.status) for reply in replies] == [("accepted", "assigned")] * 2
    decisions = [record for record in dispatch.read(topics.DECISIONS) if record.command_id == accept]
    assert len(decisions) == 1
    report = dispatch.check()
    assert report.ok, report.text()
    assert report.counts["deliveries"] == 1


def test_names_phones_and_exact_places_stand_in_contacts_and_nowhere_else(dispatch: Any, workers: Any) -> None:
    workers.thread()
    name = dispatch.order(1)
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.NoDriverFound))
    (contact,) = dispatch.read(topics.CONTACTS)
    assert isinstance(contact, Contact)
    assert (contact.subject_id, contact.name, contact.lat) == (name, "Clara Q.", 48.0123)
    others = [
        topic
        for topic in topics.CATALOGUE
        if topic.name not in ("contacts", "orders.inbound", "delivery.state", "driver.state")
    ]
    for record in dispatch.read(*others):
        text = repr(record)
        assert "Clara" not in text
        assert "5550123" not in text
        assert "48.0123" not in text


def test_the_same_order_twice_on_the_door_is_one_delivery_and_another_content_is_refused(
    dispatch: Any, workers: Any
) -> None:
    workers.thread()
    name = dispatch.order(1)
    dispatch.order(1, message_id="again")
    dispatch.order(1, message_id="other", order_value_minor=1)
    dispatch.flush()
    decisions = dispatch.wait(topics.DECISIONS, seen(Decision, 3))
    assert [(decision.outcome, decision.reason) for decision in decisions[:3]] == [
        ("accepted", ""), ("duplicate", ""), ("refused", "order_conflict"),
    ]  # fmt: skip
    assert len([event for event in dispatch.read(topics.DELIVERY_EVENTS) if isinstance(event, de.DeliveryCreated)]) == 1
    assert name


def test_every_kind_of_inbound_record_becomes_its_command(dispatch: Any, workers: Any) -> None:
    workers.thread()
    order = {"message_id": "p", "seller_id": "s1", "seller_order_id": "o9"}
    dispatch.order(9)
    dispatch.send(topics.ORDERS_INBOUND, "s1", InboundPrepTimeChanged(**order, prep_s=900))
    dispatch.send(topics.ORDERS_INBOUND, "s1", InboundOrderCancelled(**order, reason="sold out"))
    dispatch.flush()
    events = dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCancelled))
    assert any(isinstance(event, de.PrepTimeChanged) and event.prep_s == 900 for event in events)
    placed = InboundOrderPlaced(
        message_id="x", seller_id="s2", seller_order_id="o", store_name="S", pickup_lat=1, pickup_lng=1, dropoff_lat=1,
        dropoff_lng=1, order_value_minor=1, delivery_fee_minor=1, currency="EUR", placed_at_ms=events[0].at_ms,
    )  # fmt: skip
    dispatch.send(topics.ORDERS_INBOUND, "s2", placed)
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated, 2))


def _bad_records() -> list[tuple[str, bytes, str]]:
    good = an_inbound()
    data = codec.encode(good)
    return [
        ("undecodable", data[:-4], "byte"),
        ("no wire format", b"{}", "byte 0"),
        ("unknown schema id", b"\x00\x00\x00\xff\xff" + data[5:], "bytes 1-4"),
        ("NaN", codec.encode(replace(good, pickup_lat=float("nan"))), "pickup_lat"),
        ("out of range", codec.encode(replace(good, pickup_lng=999.0)), "pickup_lng"),
        ("negative money", codec.encode(replace(good, order_value_minor=-1)), "order_value_minor"),
        ("a megabyte", codec.encode(replace(good, store_name="x" * 1_000_000)), "store_name"),
        ("far future", codec.encode(replace(good, placed_at_ms=9_999_999_999_999)), "placed_at_ms"),
        ("unknown vehicle", codec.encode(replace(good, vehicle="UNKNOWN")), "vehicle"),
        (
            "another kind",
            codec.encode(Contact(subject_id="x", name="", phone="", address="", lat=None, lng=None)),
            "schema id",
        ),
    ]


def test_bad_records_are_set_aside_with_reason_and_place_and_the_next_is_handled(dispatch: Any, workers: Any) -> None:
    workers.thread()
    bad = _bad_records()
    for _, value, _ in bad:
        dispatch.send_raw(topics.ORDERS_INBOUND, "s1", value)
    dispatch.order(1)
    dispatch.send_raw(topics.DELIVERY_COMMANDS, "x", b"rubbish")
    wrong_key = dc.SearchAgain(
        command_id=str(uuid.uuid4()),
        delivery_id=identity.delivery_id("a", "b"),
        at_ms=1,
        actor_type="system",
        actor_id="a",
        correlation_id="c",
    )
    dispatch.send(topics.DELIVERY_COMMANDS, "another", wrong_key)
    dispatch.flush()
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DeliveryCreated))
    letters = dispatch.wait(topics.DEAD_LETTERS, seen(DeadLetter, len(bad) + 2))
    inbound = sorted(
        (letter for letter in letters if letter.source_topic.endswith("orders.inbound")),
        key=lambda letter: letter.offset,
    )
    for letter, (what, value, place) in zip(inbound, bad, strict=True):
        assert place in letter.place, what
        assert letter.reason, what
        assert (letter.value, letter.value_bytes) == (None, len(value)), "an order names a customer: not kept on"
    assert {letter.place for letter in letters if letter.source_topic.endswith("delivery.commands")} == {
        "byte 0",
        "key",
    }
    assert dispatch.check(quiescent=False).ok


def test_a_record_stamped_in_the_future_is_refused(dispatch: Any, workers: Any) -> None:
    workers.thread()
    dispatch.send(topics.DRIVER_COMMANDS, "ana", _sign_on(), timestamp=time.time_ns() // 1_000_000 + 60_000)
    dispatch.flush()
    (letter,) = dispatch.wait(topics.DEAD_LETTERS, seen(DeadLetter))
    assert "in the future" in letter.reason
    assert letter.place == "timestamp"


def _sign_on() -> Any:
    from dispatch.contract.records.driver_commands import SignOn

    return SignOn(
        command_id=str(uuid.uuid4()),
        driver_id="ana",
        at_ms=1,
        actor_type="driver",
        actor_id="ana",
        correlation_id="c",
        vehicle="car",
        lat=1.0,
        lng=1.0,
    )


def test_timers_come_at_their_time_without_any_record_behind_them(dispatch: Any, workers: Any, fast: Any) -> None:
    missed_later = replace(fast.availability, offline_after_s=6)  # at 200 times the pace ana is missed after 1.5 s
    workers.rules.policy = replace(fast, availability=missed_later)
    workers.known("ana")
    workers.thread()
    dispatch.sign_on("ana")
    dispatch.flush()
    dispatch.wait(topics.DRIVER_EVENTS, seen(dr.DriverSignedOn))
    dispatch.order(1)
    dispatch.flush()
    events = dispatch.wait(topics.DELIVERY_EVENTS, seen(de.DriverAssigned))
    assert [event.how for event in events if isinstance(event, de.DriverAssigned)] == ["auto"]
    dispatch.wait(topics.DELIVERY_EVENTS, seen(de.AssignmentReassigned))
    report = dispatch.check(quiescent=False)
    assert report.ok, report.text()


@pytest.mark.usefixtures("fast")
def test_nobody_found_escalates_through_all_levels(dispatch: Any, workers: Any) -> None:
    workers.thread()
    dispatch.order(1)
    dispatch.flush()
    events = dispatch.wait(topics.DELIVERY_EVENTS, seen(de.UnassignedEscalated, 3), limit_s=45)
    assert [event.level for event in events if isinstance(event, de.UnassignedEscalated)] == [1, 2, 3]
    workers.stop()  # the search goes on, and the ends of a log that moves are not of one moment
    report = dispatch.check()
    assert report.ok, report.text()
