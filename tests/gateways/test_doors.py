"""The doors, on the whole running system: worker, streams, projector and gateway over real servers, in this process."""

import json
import time
import uuid
from typing import Any

import psycopg
import pytest
from whole_system import PLACE, System, an_order, heard, heard_all, problem

pytestmark = pytest.mark.servers
CHANGES = (
    "UPDATE delivery_audit_logs SET actor_id = 'x'",
    "DELETE FROM delivery_audit_logs",
    "TRUNCATE delivery_audit_logs",
)
AUDITED = (
    "SELECT topic, partition, record_offset, prev_hash, hash FROM delivery_audit_logs"
    " ORDER BY topic, partition, record_offset"
)


def test_an_order_is_offered_on_the_socket_accepted_over_http_and_delivered(system: System) -> None:
    system.sign_on("ana")
    with system.socket("ana") as socket:
        time.sleep(1.5)
        order = an_order()
        answer = system.post("/events/seller-order-ready", order)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["assigned"] is True
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        assert offer["offer_id"] == body["offer_id"]
        for name in (
            "store_name",
            "pickup_in_min",
            "delivery_at",
            "pickup_distance_km",
            "total_distance_km",
            "earning",
            "incentive",
            "expires_at",
        ):
            assert name in offer
        assert "Clara" not in json.dumps(offer)
        accepted = system.post(f"/v2/drivers/ana/offers/{offer['offer_id']}/accept")
        assert (accepted.status_code, accepted.json()["status"]) == (200, "assigned")
        told = heard_all(socket, "OFFER_ENDED", "DELIVERY_ASSIGNED", "AVAILABILITY_CHANGED")
        assert told["OFFER_ENDED"]["outcome"] == "ACCEPTED"
        assert told["DELIVERY_ASSIGNED"]["how"] == "accepted"
        assert told["AVAILABILITY_CHANGED"]["to"] == "BUSY"
        for step in (
            "enroute_to_pickup",
            "arrived_at_pickup",
            "picked_up",
            "enroute_to_dropoff",
            "arrived_at_dropoff",
            "delivered",
        ):
            answer = system.post(
                f"/v2/drivers/ana/deliveries/{body['delivery_id']}/progress",
                {"offer_id": offer["offer_id"], "step": step},
            )
            assert (answer.status_code, answer.json()["status"]) == (200, step)
        assert heard(socket, "ASSIGNMENT_ENDED")["why"] == "completed"
    path = f"/v2/deliveries/{body['delivery_id']}"
    system.until(lambda: system.http.get(path).json().get("status") == "delivered", "delivered in the read model")
    row = system.http.get(path).json()
    assert (row["driver_id"], row["order_value_minor"], row["dropoff_lat"]) == ("ana", 2000, 48.012)
    audit = system.http.get(f"{path}/audit").json()["events"]
    assert [event["version"] for event in audit] == list(range(1, len(audit) + 1))
    assert {"created", "driver_candidates_found", "driver_offer_sent", "delivery_completed"} <= {
        event["audit_word"] for event in audit
    }
    offers = system.http.get("/v2/drivers/ana/offers", params={"open_only": False}).json()["offers"]
    assert offers[0]["outcome"] == "ACCEPTED"
    system.until(lambda: system.http.get("/v2/drivers/ana").json()["holds"] == 0, "released in the read model")


def test_a_refused_command_is_a_409_that_says_why(system: System) -> None:
    order = an_order()
    assert system.post("/v2/orders", order).status_code == 201
    assert system.post("/v2/orders", order).status_code == 200
    body = problem(system.post("/v2/orders", {**order, "order_value_minor": 1}), 409, "order_conflict")
    assert "order_value_minor" in body["detail"]
    path = f"/v2/orders/s1/{order['seller_order_id']}"
    assert system.post(f"{path}/prep-time", {"prep_s": 60}).status_code == 200
    assert system.post(f"{path}/ready").json()["outcome"] == "accepted"
    assert system.post(f"{path}/cancel", {"reason": "sold out"}).json()["status"] == "cancelled"
    problem(system.post("/v2/orders/s1/nothing/cancel", {"reason": "r"}), 404, "unknown_order")
    problem(system.post("/v2/drivers/ghost/availability/resume"), 404, "unknown_driver")
    problem(system.post(f"/v2/drivers/ghost/offers/{uuid.uuid4()}/accept"), 404, "unknown_offer")
    problem(system.http.get("/v2/deliveries/nothing"), 404, "unknown_order")
    problem(system.http.get("/v2/deliveries/nothing/audit"), 404, "unknown_order")
    problem(system.http.get("/v2/drivers/nobody"), 404, "unknown_driver")
    problem(system.http.get("/nowhere"), 404, "not_found")
    problem(system.http.delete("/v2/orders"), 405, "method_not_allowed")


def test_the_same_idempotency_key_gives_the_same_answer_once_decided(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.shell.answers._LIMIT_S", 10.0)
    order = an_order()
    key = {"idempotency-key": uuid.uuid4().hex}
    first = system.post("/v2/orders/ready", order, **key)
    second = system.post("/v2/orders/ready", order, **key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    problem(system.post("/v2/orders/ready", {**order, "prep_s": 1}, **key), 422, "idempotency_key_reused")
    problem(system.post("/v2/orders/ready", order, **{"idempotency-key": "x" * 300}), 422, "bad_idempotency_key")
    system.post(f"/v2/orders/s1/{order['seller_order_id']}/cancel", {"reason": "done"})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"order_value_minor": -1}, "order_value_minor"),
        ({"currency": "euro"}, "currency"),
        ({"pickup": {"name": "S", "lat": 91, "lng": 0}}, "pickup.lat"),
        ({"dropoff": {"lat": "NaN", "lng": 0}}, "dropoff.lat"),
        ({"placed_at": "2999-01-01T00:00:00Z"}, "placed_at"),
        ({"seller_id": "a b"}, "seller_id"),
        ({"requirements": {"vehicle": "rocket"}}, "requirements.vehicle"),
        ({"colour": "red"}, "colour"),
        ({"customer": {"name": "x" * 300}}, "customer.name"),
    ],
)
def test_a_body_that_is_wrong_is_a_422_that_names_the_field(
    system: System, changes: dict[str, Any], field: str
) -> None:
    body = problem(system.post("/v2/orders/ready", an_order(**changes)), 422, "invalid")
    assert body["errors"][0]["field"] == field


def test_bodies_that_cannot_be_read_are_told_so(system: System) -> None:
    kind = {"content-type": "application/json"}
    problem(system.http.post("/v2/orders", content=b"{not json", headers=kind), 400, "not_json")
    problem(system.http.post("/v2/orders", content=b"[" + b"1," * 50_000 + b"1]", headers=kind), 413, "too_large")
    missing = {key: value for key, value in an_order().items() if key != "currency"}
    assert problem(system.post("/v2/orders", missing), 422, "invalid")["errors"][0]["field"] == "currency"
    text = json.dumps(an_order()).replace("48.012345", "NaN")
    answer = system.http.post("/v2/orders", content=text, headers=kind)
    assert answer.status_code in (400, 422), answer.text


def test_a_driver_rests_refuses_gives_up_and_an_admin_steps_in(system: System) -> None:
    for name in ("ben", "cleo"):
        system.sign_on(name)
    assert system.post("/v2/drivers/ben/availability/take-break", {"minutes": 10}).json()["status"] == "ON_BREAK"
    assert system.post("/v2/drivers/ben/availability/extend-break", {"minutes": 5}).status_code == 200
    problem(system.post("/v2/drivers/ben/availability/take-break", {"minutes": 10}), 409, "already_on_break")
    assert system.post("/v2/drivers/ben/availability/resume").json()["status"] == "AVAILABLE"
    assert (
        system.post("/v2/drivers/ben/availability/end-shift", {"after_delivery": True}).json()["status"]
        == "SHIFT_ENDED"
    )
    assert system.post("/v2/drivers/ben/shift/start").json()["status"] == "AVAILABLE"
    assert system.post("/v2/admin/drivers/ben/pause", {"reason": "complaint"}).json()["status"] == "PAUSED"
    assert system.post("/v2/admin/drivers/ben/unpause", {"reason": "settled"}).json()["status"] == "AVAILABLE"
    system.post("/v2/drivers/ana/availability/end-shift")
    order = an_order()
    name = system.post("/v2/orders/ready", order).json()["delivery_id"]

    def offers() -> list[Any]:
        found: list[Any] = []
        for driver in ("ben", "cleo"):
            found += system.http.get(f"/v2/drivers/{driver}/offers").json()["offers"]
        return [offer for offer in found if offer["delivery_id"] == name]

    system.until(offers, "offered")
    (offer,) = offers()
    refused = system.post(
        f"/v2/drivers/{offer['driver_id']}/offers/{offer['offer_id']}/reject", {"reason": "too_far", "note": "hill"}
    )
    assert refused.status_code == 200, refused.text
    system.until(lambda: [found for found in offers() if found["offer_id"] != offer["offer_id"]], "offered to the next")
    second = next(found for found in offers() if found["offer_id"] != offer["offer_id"])
    system.post(f"/v2/drivers/{second['driver_id']}/offers/{second['offer_id']}/accept", {"delivery_id": name})
    held = {"offer_id": second["offer_id"]}
    gone = system.post(f"/v2/drivers/{second['driver_id']}/deliveries/{name}/give-up", {**held, "note": "flat tyre"})
    assert gone.json()["status"] == "searching"
    waiting = system.http.get("/v2/admin/unassigned-orders")
    assert waiting.status_code == 200
    assert system.post(f"/v2/admin/deliveries/{name}/escalate", {"note": "hurry"}).status_code == 200
    assigned = system.post(
        f"/v2/admin/assignments/{name}/assign", {"driver_id": second["driver_id"], "note": "by phone"}
    )
    assert assigned.status_code == 200, assigned.text
    path = f"/v2/deliveries/{name}"
    system.until(lambda: system.http.get(path).json()["assigned_how"] == "manual", "assigned by hand")
    assert system.post(f"/v2/admin/assignments/{name}/reassign", {"note": "again"}).status_code == 200
    assert system.post(f"/v2/admin/deliveries/{name}/cancel", {"reason": "end"}).json()["status"] == "cancelled"
    problem(system.post(f"/v2/admin/deliveries/{name}/return", {"note": "x"}), 409, "not_allowed_now")
    problem(system.post(f"/v2/admin/deliveries/{name}/fail", {"reason": "x"}), 409, "not_allowed_now")


def test_goods_that_cannot_be_handed_over_go_back(system: System) -> None:
    system.sign_on("dora")
    with system.socket("dora") as socket:
        for other in ("ben", "cleo"):
            system.post(f"/v2/drivers/{other}/availability/end-shift")
        name = system.post("/v2/orders/ready", an_order()).json()["delivery_id"]
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        base, held = f"/v2/drivers/dora/deliveries/{name}", {"offer_id": offer["offer_id"]}
        system.post(f"/v2/drivers/dora/offers/{offer['offer_id']}/accept")
        system.post(f"{base}/progress", {**held, "step": "picked_up", "proof_ref": "photo-1"})
        assert system.post(f"{base}/fail", {**held, "reason": "nobody at home"}).json()["status"] == "failed"
        assert system.post(f"{base}/return", {**held, "note": "at the store"}).json()["status"] == "returned"


def test_one_who_connects_late_hears_what_is_open(system: System) -> None:
    for other in ("emil", "dora"):
        system.post(f"/v2/drivers/{other}/availability/end-shift")
    system.sign_on("finn")
    name = system.post("/v2/orders/ready", an_order()).json()["delivery_id"]
    system.until(lambda: system.http.get("/v2/drivers/finn/offers").json()["offers"], "offered")
    with system.socket("finn") as socket:
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        assert offer["delivery_id"] == name
        system.post(f"/v2/drivers/finn/offers/{offer['offer_id']}/accept")
    system.until(lambda: system.http.get(f"/v2/deliveries/{name}").json()["status"] == "assigned", "assigned")
    with system.socket("finn") as socket:
        assert heard(socket, "DELIVERY_ASSIGNED")["pickup"] == PLACE
    system.post(f"/v2/admin/deliveries/{name}/cancel", {"reason": "end"})


def test_health_metrics_and_documents_are_served(system: System) -> None:
    assert system.http.get("/health").json()["status"] == "up"
    assert "python_info" in system.http.get("/metrics").text
    assert "/v2/orders/ready" in system.http.get("/openapi.json").json()["paths"]


def test_the_audit_is_chained_append_only_and_agrees_with_the_tables(system: System) -> None:
    from hashlib import sha256

    from dispatch.log.reading import read_all

    with psycopg.connect(system.settings.postgres, autocommit=True) as connection:
        for statement in CHANGES:
            with pytest.raises(psycopg.errors.RaiseException, match="append only"):
                connection.execute(statement.encode())
        names = [system.settings.namespace + name for name in ("delivery.events", "driver.events")]
        values = {
            (record.topic.split(".", 1)[1], record.partition, record.offset): record.value or b""
            for record in read_all(system.settings.kafka, names)
        }
        rows = connection.execute(AUDITED).fetchall()
    last: dict[Any, bytes] = {}
    for topic, partition, offset, previous, hashed in rows:
        assert previous == last.get((topic, partition), b"")
        assert hashed == sha256(previous + values[topic, partition, offset]).digest()
        last[topic, partition] = hashed
    assert len(rows) > 50
