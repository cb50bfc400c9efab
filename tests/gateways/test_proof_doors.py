"""Proof of the hand-over and offers on demand, through the doors of a whole running system."""

import uuid
from typing import Any

import httpx
import psycopg
import pytest
from whole_system import System, an_order, problem

pytestmark = pytest.mark.servers


def ready(system: System, **changes: Any) -> str:
    made = system.post("/v2/orders/ready", an_order(**changes))
    assert made.status_code == 201, made.text
    return str(made.json()["delivery_id"])


def an_order_at(lat: float, **changes: Any) -> dict[str, Any]:
    """In a town of its own, where no driver of another test is."""
    return an_order(pickup={"name": "Anker", "lat": lat, "lng": 7.85}, dropoff={"lat": lat, "lng": 7.86}, **changes)


def at_the_door(system: System, driver: str, order: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """A delivery whose goods this driver has: its id, and what each report names."""
    place = {"lat": order["pickup"]["lat"], "lng": order["pickup"]["lng"]}
    signed_on = system.post(f"/v2/drivers/{driver}/sign-on", {"vehicle": "car", "capacity": 1, "rating": 4.5, **place})
    assert signed_on.status_code == 200, signed_on.text
    delivery_id = ready(system, **order)

    def open_offer() -> dict[str, Any] | None:
        offers = system.http.get(f"/v2/drivers/{driver}/offers").json()["offers"]
        return next((offer for offer in offers if offer["delivery_id"] == delivery_id), None)

    system.until(lambda: open_offer() is not None, "offered")
    offer_id = str((open_offer() or {})["offer_id"])
    assert system.post(f"/v2/drivers/{driver}/offers/{offer_id}/accept").status_code == 200
    path = f"/v2/drivers/{driver}/deliveries/{delivery_id}/progress"
    assert system.post(path, {"offer_id": offer_id, "step": "picked_up", "proof_ref": "at-store"}).status_code == 200
    return delivery_id, {"path": path, "offer_id": offer_id}


def hand_over(system: System, held: dict[str, str], **proof: str) -> httpx.Response:
    return system.post(held["path"], {"offer_id": held["offer_id"], "step": "delivered", **proof})


def proof_of(system: System, delivery_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = system.http.get(f"/v2/deliveries/{delivery_id}/proof").json()
    return shown


def pin_of(system: System, delivery_id: str) -> str:
    """As the customer is told it."""

    def found() -> str | None:
        with psycopg.connect(system.settings.postgres) as connection:
            row = connection.execute("SELECT pin FROM contacts WHERE delivery_id = %s", (delivery_id,)).fetchone()
        return str(row[0]) if row else None

    system.until(lambda: found() is not None, "in the contacts")
    return found() or ""


def test_a_photo_that_is_asked_for_is_kept(system: System) -> None:
    delivery_id, held = at_the_door(system, "pia", an_order_at(41, requirements={"proof": "photo"}))
    problem(hand_over(system, held), 409, "proof_wanted")
    assert hand_over(system, held, proof_ref="photo-7", signature_ref="sign-7").status_code == 200
    system.until(lambda: proof_of(system, delivery_id)["status"] == "delivered", "in the read model")
    shown = proof_of(system, delivery_id)
    assert (shown["wanted"], shown["pickup"]["photo_ref"]) == ("photo", "at-store")
    assert (shown["delivery"]["photo_ref"], shown["delivery"]["signature_ref"]) == ("photo-7", "sign-7")
    problem(system.http.get(f"/v2/deliveries/{uuid.uuid4()}/proof"), 404, "unknown_order")


def test_the_customers_pin_is_asked_for_and_stands_nowhere_but_in_the_contact(system: System) -> None:
    order = an_order_at(42, requirements={"proof": "pin"}, customer={"pin": "48151623"})
    delivery_id, held = at_the_door(system, "quin", order)
    assert pin_of(system, delivery_id) == "48151623"
    link = system.post(f"/v2/deliveries/{delivery_id}/tracking-links").json()
    path = f"/v2/track/{link['token']}/pin"
    assert system.http.get(path).json() == {"pin": "48151623"}
    in_hand = system.http.get(f"/v2/drivers/quin/deliveries/{delivery_id}")
    assert in_hand.json()["proof"] == "pin"
    assert "48151623" not in in_hand.text
    problem(hand_over(system, held), 409, "proof_wanted")
    problem(hand_over(system, held, pin="12"), 422, "invalid")
    problem(hand_over(system, held, pin="4815"), 409, "wrong_pin")
    assert hand_over(system, held, pin="48151623").status_code == 200
    system.until(lambda: proof_of(system, delivery_id)["status"] == "delivered", "in the read model")
    shown = proof_of(system, delivery_id)
    assert (shown["wrong_pins"], shown["delivery"]["pin_checked"]) == (1, True)
    assert system.http.get(path).json() == {"pin": None}
    for page in (f"/v2/deliveries/{delivery_id}", f"/v2/deliveries/{delivery_id}/audit", "/metrics"):
        assert "48151623" not in system.http.get(page).text, page


def test_a_pin_of_ours_locks_after_five_wrong_ones_and_an_admin_delivers(system: System) -> None:
    order = an_order_at(43, requirements={"proof": "pin"})
    delivery_id, held = at_the_door(system, "rosa", order)
    pin = pin_of(system, delivery_id)
    assert pin.isdigit()
    again = system.post("/v2/orders/ready", order)
    assert again.status_code == 200, again.text
    assert pin_of(system, delivery_id) == pin
    wrong = f"{(int(pin) + 1) % 10_000:04}"
    for _ in range(5):
        problem(hand_over(system, held, pin=wrong), 409, "wrong_pin")
    problem(hand_over(system, held, pin=pin), 409, "pin_locked")
    row = f"/v2/deliveries/{delivery_id}"
    system.until(lambda: system.http.get(row).json()["needs_manual_review"], "for people to look at")
    path = f"/v2/admin/deliveries/{delivery_id}/deliver"
    problem(system.post(path), 422, "invalid")
    done = system.post(path, {"note": "the customer called"}, **{"X-Actor-Id": "olga"})
    assert (done.status_code, done.json()["status"]) == (200, "delivered")
    system.until(lambda: proof_of(system, delivery_id)["delivery"]["note"] == "the customer called", "told")


def test_an_offer_is_made_on_demand(system: System) -> None:
    away = {"lat": 20.0, "lng": 20.0}
    delivery_id = ready(system, pickup={"name": "Far", **away}, dropoff={"lat": 20.01, "lng": 20.0})
    path = f"/v2/deliveries/{delivery_id}/offers"
    nobody = system.post(path)
    assert nobody.status_code == 200, nobody.text
    assert (nobody.json()["offer_id"], nobody.json()["why_not"]) == (None, "no_available_drivers")
    here = {"vehicle": "car", "capacity": 1, "rating": 4.5, **away}
    assert system.post("/v2/drivers/suri/sign-on", here).status_code == 200
    row = f"/v2/deliveries/{delivery_id}"

    def asked() -> bool:
        system.post(path)
        return bool(system.http.get(row).json()["status"] == "offered")

    system.until(asked, "offered")
    refused = problem(system.post(path), 409, "not_allowed_now")
    assert "offered" in refused["detail"]
    problem(system.post(f"/v2/deliveries/{uuid.uuid4()}/offers"), 404, "unknown_order")
    assert system.post("/v2/drivers/tomo/sign-on", here).status_code == 200
    problem(system.post(path, {"driver_id": "tomo"}), 422, "invalid")

    def named() -> bool:
        answer = system.post(path, {"driver_id": "tomo", "note": "she knows the way"})
        return answer.status_code in (200, 201) and answer.json()["driver_id"] == "tomo"

    system.until(named, "assigned to the one who was named")
    assert system.http.get(row).json()["driver_id"] == "tomo"
