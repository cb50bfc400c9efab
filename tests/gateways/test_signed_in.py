"""A whole system with sign-in: a delivery by token and key, what strangers see, and a key that ends."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from whole_system import PLACE, System, an_order, heard, problem

from deploy.local import Addresses
from dispatch.cli import app
from dispatch.contract import identity
from dispatch.inputs import api_keys
from gateways.access import local_key
from gateways.access.doors import Role


class SignedIn:
    """The system, its key, and the shop's API key."""

    def __init__(self, system: System, key: local_key.LocalKey) -> None:
        self.system, self.key = system, key
        self.shop, self.record = api_keys.made("order_service", "shop", ["s1"], days=0, actor_id="eva")
        self.publish(self.record)

    def publish(self, record: Any) -> None:
        api_keys.publish(self.system.settings.kafka, self.system.settings.namespace, record)

    def as_(self, role: Role, subject: str, **more: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key.token(role, subject, **more)}"}

    def place(self, headers: dict[str, str], **changes: Any) -> httpx.Response:
        return self.system.post("/v2/orders/ready", an_order(**changes), **headers)

    def get(self, path: str, headers: dict[str, str]) -> httpx.Response:
        return self.system.http.get(path, headers=headers)


@pytest.fixture(scope="module")
def signed(servers: Addresses, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedIn]:
    home = tmp_path_factory.mktemp("signed-in")
    local_key.make(home)
    key = local_key.of(home, "baton-local", "baton")
    assert key is not None
    running = System(servers, database, home, sign_in_key_file=home / local_key.PUBLIC)
    yield SignedIn(running, key)
    running.close()


def test_a_delivery_through_doors_that_ask_who_it_is(signed: SignedIn) -> None:
    system, shop = signed.system, {"x-api-key": signed.shop}
    ana, bob, eva = (signed.as_(*who) for who in (("driver", "ana"), ("driver", "bob"), ("ops", "eva")))
    for driver in ("ana", "bob"):
        signs_on = {"vehicle": "car", "capacity": 1, "rating": 4.5, **PLACE}
        assert system.post(f"/v2/drivers/{driver}/sign-on", signs_on, **signed.as_("driver", driver)).status_code == 200
    paused = system.post("/v2/admin/drivers/bob/pause", {"reason": "rest"}, **eva, **{"x-actor-id": "mallory"})
    assert paused.status_code == 200, paused.text
    url = system.url.replace("http", "ws") + "/v2/drivers/ana/socket"
    with connect(url, additional_headers=ana) as socket:
        system.until(lambda: signed.place(shop).status_code == 201, "the key known")
        order = an_order()
        placed = system.post("/v2/orders/ready", order, **shop)
        assert placed.status_code == 201, placed.text
        delivery_id = identity.delivery_id("s1", order["seller_order_id"])
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        mine = f"/v2/deliveries/{offer['delivery_id']}"
        problem(signed.get(mine, ana), 404, "unknown_order")
        problem(system.post(f"/v2/drivers/ana/offers/{offer['offer_id']}/accept", **bob), 403, "not_yours")
        taken = system.post(f"/v2/drivers/ana/offers/{offer['offer_id']}/accept", **ana)
        assert taken.status_code == 200, taken.text
        heard(socket, "DELIVERY_ASSIGNED")
        system.until(lambda: signed.get(mine, ana).status_code == 200, "seen by who holds it")
    problem(signed.get(mine, bob), 404, "unknown_order")
    problem(signed.get(mine, signed.as_("order_service", "other", sellers=["s2"])), 404, "unknown_order")
    problem(signed.get(f"/v2/deliveries/{uuid.uuid4()}", bob), 404, "unknown_order")
    system.until(lambda: signed.get(f"/v2/deliveries/{delivery_id}", shop).status_code == 200, "seen by the shop")
    system.until(
        lambda: (
            signed.get(f"{mine}/audit", eva).status_code == 200
            and "DriverAccepted" in signed.get(f"{mine}/audit", eva).text
        ),
        "the acceptance in the audit",
    )
    events = signed.get(f"{mine}/audit", eva).json()["events"]
    actors = {(event["actor_type"], event["actor_id"]) for event in events}
    assert ("order_service", "shop") in actors
    assert ("driver", "ana") in actors
    assert "mallory" not in json.dumps(events)


def test_strangers_get_nothing(signed: SignedIn) -> None:
    system = signed.system
    url = system.url.replace("http", "ws") + "/v2/drivers/ana/socket"
    for headers, status in (({}, 401), (signed.as_("driver", "bob"), 403), ({"authorization": "Bearer a.b.c"}, 401)):
        with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers):
            pass
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body or b"")["status"] == status
    answer = system.http.get("/v2/admin/unassigned-orders")
    problem(answer, 401, "sign_in_wanted")
    assert answer.headers["www-authenticate"] == 'Bearer realm="baton"'
    for path in (
        "/v2/admin/unassigned-orders/", "//v2/admin/unassigned-orders", "/v2/admin/unassigned%2Dorders",
        "/v2/./admin/unassigned-orders", "/V2/admin/unassigned-orders", "/v2/admin/unassigned-orders;x",
        "/v2/drivers/bob%2F..%2Fana", "/v2/drivers/ana/../bob", "/v2/drivers/ana%00",
    ):  # fmt: skip
        with httpx.Client(base_url=system.url) as raw:
            answer = raw.send(raw.build_request("GET", httpx.URL(system.url).copy_with(raw_path=path.encode())))
        assert answer.status_code in (400, 401, 404), (path, answer.text)
    for method in ("HEAD", "OPTIONS", "TRACE", "POST", "DELETE"):
        override = {"x-http-method-override": "GET"}
        assert system.http.request(method, "/v2/admin/unassigned-orders", headers=override).status_code in (
            401,
            404,
            405,
        )
    for path in ("/health", "/ready", "/metrics", "/openapi.json"):
        assert system.http.get(path).status_code == 200


def test_a_key_is_made_listed_and_revoked_while_the_gateway_runs(
    signed: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = signed.system.settings
    for name in ("kafka", "postgres", "valkey", "namespace"):
        monkeypatch.setenv(f"BATON_{name.upper()}", getattr(settings, name))

    def baton(*arguments: str) -> str:
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["keys", *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    shown = baton("create", "--role", "ops", "--name", "nightly", "--days", "30", "--actor", "eva").strip()
    key_id, secret = shown.split("_")[1], shown.split("_", 2)[2]

    def status() -> int:
        return signed.get("/v2/admin/unassigned-orders", {"authorization": f"Bearer {shown}"}).status_code

    signed.system.until(lambda: status() == 200, "taken")
    listed = baton("list")
    assert key_id in listed
    assert "nightly" in listed
    assert secret not in listed
    assert "is revoked" in baton("revoke", key_id, "--reason", "a test", "--actor", "eva")
    signed.system.until(lambda: status() == 401, "refused")
    assert "already" in baton("revoke", key_id, "--reason", "again")
    known = api_keys.known(settings.kafka, settings.namespace).by_id[key_id]
    assert (known.actor_id, known.reason, known.revoked_at_ms > 0) == ("eva", "a test", True)
    assert "revoked" in baton("list")
