"""From an order through HTTP to what its customer, operations and support are told; tickets at the terminal."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from receiving import Receiver, until
from whole_system import System, an_order, heard

from deploy.local import Addresses
from dispatch import setup
from dispatch.core.policy import EscalationPolicy, NoticePolicy, OfferPolicy, Policy
from dispatch.notices import service

pytestmark = pytest.mark.servers
FAR = {"name": "Pole", "lat": -60.0, "lng": 20.0}
POLICY = Policy(
    version=4, offer=OfferPolicy(timeout_s=20, on_expiry="next_driver"), escalation=EscalationPolicy(level_1_s=1),
    notices=NoticePolicy(customer_quiet_from_h=0, customer_quiet_to_h=0),
)  # fmt: skip


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def system(
    servers: Addresses, database: str, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> Iterator[System]:
    running = System(servers, database, tmp_path_factory.mktemp("system"))
    setup.publish_policy(running.settings, POLICY)
    time.sleep(1)
    addresses = {f"notify_{audience}": receiver.url for audience in ("customer", "operations", "support")}
    settings = running.settings.model_copy(update=addresses)
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(settings, stop), name="notifier")
    thread.start()
    yield running
    stop.set()
    thread.join(30)
    running.close()
    assert not thread.is_alive()


def told(receiver: Receiver, delivery_id: str) -> dict[str, Any]:
    """By kind what was said of a delivery."""
    bodies = [body["data"] for body in receiver.bodies()]
    return {f"{data['audience']} {data['kind']}": data for data in bodies if data["delivery_id"] == delivery_id}


def a_command(system: System, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "BATON_KAFKA": system.settings.kafka, "BATON_POSTGRES": system.settings.postgres, "BATON_VALKEY": "redis://x",
        "PATH": "/usr/bin", "COLUMNS": "200", "NO_COLOR": "1",
    }  # fmt: skip
    command = [str(Path(sys.executable).with_name("baton")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_customer_hears_of_every_step_in_their_language(system: System, receiver: Receiver) -> None:
    system.sign_on("ana")
    time.sleep(1)
    customer = {"name": "Clara Q.", "phone": "+49 761 5550123", "language": "es"}
    with system.socket("ana") as socket:
        answer = system.post("/v2/orders/ready", an_order(customer=customer))
        assert answer.status_code == 201, answer.text
        name = answer.json()["delivery_id"]
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        accepted = system.post(f"/v2/drivers/ana/offers/{offer['offer_id']}/accept", {"delivery_id": name})
        assert accepted.status_code == 200, accepted.text
        for step in ("picked_up", "arrived_at_dropoff", "delivered"):
            body = {"offer_id": offer["offer_id"], "step": step}
            answer = system.post(f"/v2/drivers/ana/deliveries/{name}/progress", body)
            assert answer.status_code == 200, answer.text
    kinds = {f"customer {kind}" for kind in ("driver_assigned", "picked_up", "arriving", "delivered")}
    until(lambda: {kind for kind in told(receiver, name) if kind.startswith("customer ")} == kinds)
    said = told(receiver, name)
    assert said["customer delivered"]["text"] == "Su pedido de Anker ha sido entregado. ¡Que lo disfrute!"
    assert said["customer driver_assigned"]["to"]["phone"] == "+49 761 5550123"
    assert set(receiver.counted().values()) == {1}


def test_an_order_without_a_driver_has_a_ticket_which_is_closed_at_the_terminal_or_by_its_end(
    system: System, receiver: Receiver
) -> None:
    order = an_order(pickup=FAR, dropoff={"lat": -60.01, "lng": 20.01, "address": "Ice 1"})
    name = system.post("/v2/orders/ready", order).json()["delivery_id"]
    until(lambda: {"operations unassigned", "support support_ticket"} <= set(told(receiver, name)))
    assert order["seller_order_id"] in told(receiver, name)["support support_ticket"]["text"]
    assert told(receiver, name)["operations unassigned"]["to"] == {}
    until(lambda: order["seller_order_id"] in a_command(system, "tickets", "list").stdout)
    listed = a_command(system, "tickets", "list")
    assert (listed.returncode, order["seller_order_id"] in listed.stdout) == (0, True), listed
    closed = a_command(system, "tickets", "close", name, "--reason", "called them", "--actor", "zoe")
    assert (closed.returncode, closed.stdout) == (0, "Closed.\n"), closed
    again = a_command(system, "tickets", "close", name)
    assert again.returncode == 2
    assert f"no open ticket {name} is known" in again.stderr
    assert "zoe: called them" in a_command(system, "tickets", "list", "--all").stdout
    shown = a_command(system, "notices", "list", "--delivery", name, "--state", "sent")
    assert shown.stdout.count("sent") >= 2
    path = f"/v2/orders/s1/{order['seller_order_id']}/cancel"
    assert system.post(path, {"reason": "sold out"}).json()["status"] == "cancelled"
    until(lambda: "customer cancelled" in told(receiver, name))
    assert "support ticket_closed" not in told(receiver, name)


def test_a_ticket_is_closed_by_the_end_of_its_delivery_and_support_hears_of_it(
    system: System, receiver: Receiver
) -> None:
    order = an_order(pickup=FAR, dropoff={"lat": -60.01, "lng": 20.01, "address": "Ice 1"})
    name = system.post("/v2/orders/ready", order).json()["delivery_id"]
    until(lambda: "support support_ticket" in told(receiver, name))
    assert system.post(f"/v2/orders/s1/{order['seller_order_id']}/cancel", {"reason": "sold out"}).status_code == 200
    until(lambda: "support ticket_closed" in told(receiver, name))
    assert "the delivery has ended" in told(receiver, name)["support ticket_closed"]["text"]
    listed = a_command(system, "tickets", "list")
    assert order["seller_order_id"] not in listed.stdout


def test_contacts_have_their_language_in_the_table(system: System) -> None:
    with psycopg.connect(system.settings.postgres) as connection:
        rows = connection.execute("SELECT DISTINCT language FROM contacts ORDER BY language").fetchall()
    assert rows == [("",), ("es",)]
