"""Who sees a customer's name, phone, address and door: the driver who holds the delivery. Nobody and nothing else."""

import json
import struct
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from psycopg import sql
from websockets.sync.client import ClientConnection
from whole_system import System, an_order, heard, heard_all, problem

from dispatch import setup
from dispatch.contract import topics
from dispatch.core.policy import Flag
from dispatch.log.reading import read_all

pytestmark = pytest.mark.servers
CONTACT = {"name": "Clara Q.", "phone": "+49 761 5550123", "address": "Basler Str. 1", "note": ""}
DOOR = {"lat": 48.012345, "lng": 7.861234}
TOLD = ("Clara", "5550123", "Basler", "48.01234", "7.86123")
TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'contacts'"
ASSIGNED = ("store_name", "pickup", "pickup_in_min", "delivery_at", "earning", "how", "offer_id")


@pytest.fixture(autouse=True)
def nobody_else_works(system: System) -> Iterator[None]:
    """Each test has its own driver, and the flag as it was."""
    yield
    for name in ("ana", "ben", "cleo", "dora"):
        system.post(f"/v2/drivers/{name}/availability/end-shift")


def offers(system: System, enabled: bool) -> None:
    """Sets the flag; the worker follows it within a moment."""
    setup.publish_flag(system.settings, "driver_offers", Flag(enabled=enabled))
    time.sleep(1)


def an_order_to_the_door(**changes: Any) -> dict[str, Any]:
    return an_order(dropoff={**DOOR, "address": "Basler Str. 1"}, **changes)


def in_hand(system: System, driver: str, name: str) -> Any:
    return system.http.get(f"/v2/drivers/{driver}/deliveries/{name}")


def delivered(system: System, driver: str, offer: dict[str, Any]) -> None:
    for step in ("picked_up", "delivered"):
        body = {"offer_id": offer["offer_id"], "step": step}
        answer = system.post(f"/v2/drivers/{driver}/deliveries/{offer['delivery_id']}/progress", body)
        assert answer.status_code == 200, answer.text


def is_untold(text: str) -> bool:
    return not any(word in text for word in TOLD)


@pytest.mark.parametrize("version", ["/v2", ""], ids=["v2", "v1"])
def test_the_offer_is_without_the_customer_and_the_assignment_with(system: System, version: str) -> None:
    system.sign_on("ana")
    with system.socket("ana", version) as socket:
        time.sleep(1.5)
        answer = system.post("/events/seller-order-ready", an_order_to_the_door()).json()
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        assert answer == {"assigned": True, "offer_id": offer["offer_id"], "delivery_id": offer["delivery_id"]}
        assert offer["dropoff"] == {"lat": 48.012, "lng": 7.861}
        assert is_untold(json.dumps(offer))
        assert "contact" not in offer
        problem(in_hand(system, "ana", offer["delivery_id"]), 404, "not_held")
        system.post(f"/v2/drivers/ana/offers/{offer['offer_id']}/accept")
        assigned = heard(socket, "DELIVERY_ASSIGNED")
    name = offer["delivery_id"]
    assert (assigned["contact"], assigned["dropoff"]) == (CONTACT, DOOR)
    assert [field for field in ASSIGNED if field not in assigned] == []
    system.until(lambda: in_hand(system, "ana", name).status_code == 200, "in hand in the read model")
    with system.socket("ana", version) as socket:
        again = heard(socket, "DELIVERY_ASSIGNED")
        assert (again["contact"], again["dropoff"], again["offer_id"]) == (CONTACT, DOOR, offer["offer_id"])
        answer = in_hand(system, "ana", name)
        assert (answer.json()["contact"], answer.json()["dropoff"]) == (CONTACT, DOOR)
        assert answer.headers["cache-control"] == "no-store"
        problem(in_hand(system, "ben", name), 404, "not_held")
        problem(in_hand(system, "ana", "nothing"), 404, "not_held")
        delivered(system, "ana", offer)
        heard(socket, "ASSIGNMENT_ENDED")  # the gateway's reader of the log may be behind the read model
    system.until(lambda: in_hand(system, "ana", name).status_code == 404, "ended in the read model")
    assert is_untold(problem(in_hand(system, "ana", name), 404, "not_held")["detail"])
    with system.socket("ana", version) as socket:
        greeting = all_heard(socket, 0.5)
    assert is_untold(greeting)
    assert name not in greeting


def all_heard(socket: ClientConnection, limit_s: float) -> str:
    """Every message until then, as one text."""
    texts: list[str] = []
    until = time.monotonic() + limit_s
    try:
        while True:
            texts.append(str(socket.recv(timeout=max(0.0, until - time.monotonic()))))
    except TimeoutError:
        return "\n".join(texts)


def test_without_offers_a_driver_hears_of_the_assignment_only(system: System) -> None:
    offers(system, False)
    system.sign_on("ben")
    try:
        with system.socket("ben", "") as socket:
            time.sleep(1.5)
            answer = system.post("/events/seller-order-ready", an_order_to_the_door()).json()
            told = heard_all(socket, "DELIVERY_ASSIGNED", "AVAILABILITY_CHANGED")
            assert "DELIVERY_OFFERED_V2" not in told
            assert told["AVAILABILITY_CHANGED"]["to"] == "BUSY"
            first = told["DELIVERY_ASSIGNED"]
            assert (first["contact"], first["dropoff"]) == (CONTACT, DOOR)
            assert answer["assigned"] is True
            assert answer["offer_id"] == first["offer_id"]
    finally:
        offers(system, True)
        system.post(f"/v2/admin/deliveries/{answer['delivery_id']}/cancel", {"reason": "end"})


def test_an_erased_contact_is_told_as_none(system: System) -> None:
    system.sign_on("cleo")
    with system.socket("cleo") as socket:
        time.sleep(1.5)
        offer_id = system.post("/events/seller-order-ready", an_order_to_the_door()).json()["offer_id"]
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        name = offer["delivery_id"]
        producer = Producer({"bootstrap.servers": system.settings.kafka, "partitioner": "murmur2_random"})
        with psycopg.connect(system.settings.postgres, autocommit=True) as connection:
            query = "SELECT count(*) FROM contacts WHERE delivery_id = %s"
            system.until(lambda: connection.execute(query, (name,)).fetchone() == (1,), "known")
            producer.produce(system.settings.namespace + topics.CONTACTS.name, None, name.encode())
            producer.flush(10)
            system.until(lambda: connection.execute(query, (name,)).fetchone() == (0,), "erased")
        system.post(f"/v2/drivers/cleo/offers/{offer_id}/accept")
        assigned = heard(socket, "DELIVERY_ASSIGNED")
    assert (assigned["contact"], assigned["dropoff"]) == (None, {"lat": 48.012, "lng": 7.861})
    system.post(f"/v2/admin/deliveries/{name}/cancel", {"reason": "end"})


def test_no_topic_table_or_log_line_but_the_contacts_holds_the_customer(
    system: System, capfd: pytest.CaptureFixture[str]
) -> None:
    system.sign_on("dora")
    with system.socket("dora") as socket:
        time.sleep(1.5)
        order = an_order_to_the_door()
        placed = system.post("/v2/orders/ready", order).json()
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        problem(system.post("/v2/orders/ready", {**order, "customer": {"name": "Clara R."}}), 409, "order_conflict")
        problem(system.post("/v2/orders/ready", {**order, "currency": "Clara Q."}), 422, "invalid")
        problem(system.post("/v2/orders/ready", {**order, "customer": {"name": "Clara Q." * 99}}), 422, "invalid")
        system.post(f"/v2/drivers/dora/offers/{offer['offer_id']}/accept")
        heard(socket, "DELIVERY_ASSIGNED")
        delivered(system, "dora", offer)
        heard(socket, "ASSIGNMENT_ENDED")
    assert placed["delivery_id"] == offer["delivery_id"]
    names = [system.settings.namespace + topic.name for topic in topics.CATALOGUE if topic is not topics.CONTACTS]
    records = list(read_all(system.settings.kafka, names))
    assert len(records) > 20
    exact = [struct.pack(form, value) for form in ("<d", ">d") for value in DOOR.values()]
    for record in records:
        value = record.value or b""
        assert is_untold(value.decode("latin-1")), record.topic
        assert not any(number in value for number in exact), record.topic
    with psycopg.connect(system.settings.postgres) as connection:
        for (table,) in connection.execute(TABLES).fetchall():
            rows = connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))).fetchall()
            assert is_untold("".join(row[0] for row in rows)), table
    assert is_untold("".join(capfd.readouterr()))


def test_an_order_that_is_refused_changes_no_contact_and_leaves_none(system: System) -> None:
    order = an_order_to_the_door()
    name = system.post("/v2/orders", order).json()["delivery_id"]
    other = {**order, "order_value_minor": 1, "customer": {"name": "Dan", "phone": "1"}}
    for path in ("/v2/orders", "/v2/orders/ready", "/events/seller-order-ready"):
        problem(system.post(path, other), 409, "order_conflict")
    assert system.post("/v2/orders", order).json()["outcome"] == "duplicate"
    records = list(read_all(system.settings.kafka, [system.settings.namespace + topics.CONTACTS.name]))
    told = [record.value or b"" for record in records if record.key == name.encode()]
    assert len(told) == 2
    assert not any(b"Dan" in value for value in told)
