"""Webhooks on the whole system: signed, in order, tried again, given up in sight, and nothing lost by a kill."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from certificates import certificate
from selling import Came, Market, slowly, verified
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.requests import Request
from whole_system import System, an_order, problem

from deploy.local import Addresses
from dispatch.contract import codec, topics
from dispatch.contract.records.system import Notice, WebhookEndpointChanged
from dispatch.log.reading import read_all
from gateways.access.principal import Principal
from gateways.problems import Problem
from gateways.reads import Reads
from gateways.webhooks import EndpointBody, EndpointChange, Webhooks

pytestmark = pytest.mark.servers
PERSONAL = ("Clara", "5550123", "Basler", "48.012345", "-40.01,")
SCHEDULE = "0.2 0.3 0.4"


@pytest.fixture(scope="module")
def market(servers: Addresses, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    home = tmp_path_factory.mktemp("market")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("LOOPBACK", "true"), ("RETRIES_S", SCHEDULE), ("TIMEOUT_S", "4"),
            ("CA", str(certificate(home / "trusted.pem"))),
        ):  # fmt: skip
            patch.setenv(f"BATON_WEBHOOK_{name}", value)
        system = System(servers, database, home)
        made = Market(system)
        yield made
        made.close()
        system.close()


def failing(times: int, status: int = 500, **headers: str) -> Callable[[int, Came], tuple[int, dict[str, str]]]:
    """Fails so often at first."""
    return lambda number, _came: (status, headers) if number <= times else (200, {})


@pytest.mark.parametrize("step", ["taken", "sent"])
def test_killed_at_any_step_nothing_is_lost_and_a_repeat_has_the_same_id(market: Market, step: str) -> None:
    shop = market.shop()
    seller = f"{step}-shop"
    market.endpoint(seller, shop)
    market.stop()
    try:
        orders = [market.order(seller) for _ in range(3)]
        for order in orders:
            market.cancel(order)
        assert market.mortal(step).wait(30) == -9
    finally:
        market.start()
    market.system.until(lambda: shop.types().count("delivery.cancelled") >= 3, "told", 40)
    counted = Counter(shop.ids())
    assert len(counted) == 6
    assert len(set(shop.ids())) == len({(came.data["delivery_id"], came.data["sequence"]) for came in shop.came})
    assert max(counted.values()) <= 2
    for order in orders:
        told = [came.type for came in shop.came if came.data["delivery_id"] == order["delivery_id"]]
        assert list(dict.fromkeys(told)) == ["delivery.created", "delivery.cancelled"]


def test_a_delivery_is_told_step_by_step_over_tls_signed_and_without_a_word_of_the_customer(market: Market) -> None:
    shop = market.shop(lambda _number, _came: (204, {}), certificate_of(market))
    endpoint = market.endpoint("courier-shop", shop)
    assert endpoint["secret"].startswith("whsec_")
    system = market.system
    system.sign_on("walter")
    system.until(lambda: system.http.get("/v2/drivers/walter").status_code == 200, "known")
    order = an_order(seller_id="courier-shop")
    offered = system.post("/events/seller-order-ready", order).json()
    offer = offered["offer_id"]
    assert system.post(f"/v2/drivers/walter/offers/{offer}/accept").status_code == 200
    for step in ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff",
                 "delivered"):  # fmt: skip
        system.post(
            f"/v2/drivers/walter/deliveries/{offered['delivery_id']}/progress", {"offer_id": offer, "step": step}
        )
    market.until(lambda: "delivery.delivered" in shop.types(), "delivered told")
    steps = [name for name in shop.types() if name != "delivery.eta_changed"]
    assert steps == [
        "delivery.created", "delivery.assigned", "delivery.enroute_to_pickup", "delivery.arrived_at_pickup",
        "delivery.picked_up", "delivery.enroute_to_dropoff", "delivery.arrived_at_dropoff", "delivery.delivered",
    ]  # fmt: skip
    sequence = [came.data["sequence"] for came in shop.came]
    assert sequence == sorted(set(sequence))
    for came in shop.came:
        said = verified(came, endpoint["secret"])
        assert said["data"]["seller_order_id"] == order["seller_order_id"]
        assert said["timestamp"].endswith("Z")
        assert not [word for word in PERSONAL if word in came.body.decode()]
    assigned = next(came.data for came in shop.came if came.type == "delivery.assigned")
    assert (assigned["driver_id"], assigned["status"]) == ("walter", "assigned")
    assert assigned["pickup_eta"] < assigned["delivery_eta"]
    shown = market.read(endpoint)
    assert "secret" not in shown
    until = time.monotonic() + 10  # a sending is noted when its answer is read, a moment after the seller has it
    while market.read(endpoint)["messages"] != {"pending": 0, "dead": 0}:
        assert time.monotonic() < until, market.read(endpoint)
        time.sleep(0.1)
    kept = json.dumps(market.rows("SELECT to_jsonb(e) FROM webhook_endpoints e"), default=str)
    assert endpoint["secret"].removeprefix("whsec_") not in kept


def certificate_of(market: Market) -> Any:
    return market.system.settings.home / "trusted.pem"


def test_a_server_with_an_unknown_certificate_is_told_nothing(market: Market) -> None:
    shop = market.shop(lambda _number, _came: (200, {}), certificate(market.system.settings.home / "other.pem"))
    endpoint = market.endpoint("tls-shop", shop)
    market.order("tls-shop")
    market.until(lambda: market.attempts(endpoint), "tried")
    assert market.attempts(endpoint)[0]["reason"] == "TLS failed"
    assert shop.came == []


def test_what_fails_is_tried_again_under_its_id_before_anything_later_of_the_delivery(market: Market) -> None:
    shop = market.shop(failing(3))
    endpoint = market.endpoint("order-shop", shop)
    order = market.order("order-shop")
    market.cancel(order)
    market.until(lambda: "delivery.cancelled" in shop.types(), "told")
    assert shop.types() == ["delivery.created"] * 4 + ["delivery.cancelled"]
    assert len(set(shop.ids())) == 2
    assert shop.came[-1].data["reason"] == "no longer wanted"
    market.until(lambda: len(market.attempts(endpoint)) == 5, "noted")
    tried = market.attempts(endpoint)
    assert [one["outcome"] for one in tried] == ["failed"] * 3 + ["sent"] * 2
    assert (tried[0]["status"], tried[0]["reason"]) == (500, "answered 500")
    for came in shop.came:
        verified(came, endpoint["secret"])
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 44).verify(shop.came[0].body, shop.came[0].headers)
    page = market.read(endpoint, "/attempts?limit=2")
    rest = market.read(endpoint, f"/attempts?limit=10&before={page['next']}")
    assert [len(page["attempts"]), len(rest["attempts"]), rest["next"]] == [2, 3, None]


def test_a_server_that_asks_for_a_pause_gets_it_and_a_redirect_is_not_followed(market: Market) -> None:
    elsewhere = market.shop()
    waiting = market.shop(failing(1, 503, **{"retry-after": "2"}))
    turning = market.shop(failing(1, 302, location=elsewhere.url))
    asked = market.endpoint("pause-shop", waiting)
    turned = market.endpoint("turn-shop", turning)
    market.order("pause-shop")
    market.order("turn-shop")
    market.until(lambda: len(market.attempts(asked)) == 2 and len(market.attempts(turned)) == 2, "tried twice")
    first, second = waiting.came
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 2
    assert [one["reason"] for one in market.attempts(turned)] == ["answered 302", ""]
    assert elsewhere.came == []


def test_gone_disables_at_once_and_enabling_tells_what_was_missed_in_order(market: Market) -> None:
    shop = market.shop(failing(1, 410))
    endpoint = market.endpoint("gone-shop", shop)
    order = market.order("gone-shop")
    market.until(lambda: market.read(endpoint)["state"] == "disabled", "disabled")
    assert market.read(endpoint)["disabled_why"] == "gone"
    market.cancel(order)
    market.until(lambda: market.read(endpoint)["messages"] == {"pending": 1, "dead": 1}, "kept")
    message = shop.ids()[0]
    problem(market.system.post(f"/v2/webhooks/messages/{message}/redeliver", {"reason": "x"}), 409, "endpoint_disabled")
    assert market.act(endpoint, "test").status_code == 202
    market.until(lambda: "webhook.test" in shop.types(), "a test goes to a disabled one too")
    enabled = market.act(endpoint, "enable").json()
    assert (enabled["state"], enabled["redelivered"]) == ("enabled", 2)
    market.until(lambda: "delivery.cancelled" in shop.types(), "told")
    assert shop.types() == ["delivery.created", "webhook.test", "delivery.created", "delivery.cancelled"]
    assert shop.ids()[2] == message
    assert [one["act"] for one in market.read(endpoint)["changes"]] == ["enabled", "disabled", "created"]


def test_after_the_last_pause_it_is_disabled_and_operations_hear_of_it(market: Market) -> None:
    shop = market.shop(failing(10_000))
    endpoint = market.endpoint("dead-shop", shop)
    market.order("dead-shop")
    market.until(lambda: market.read(endpoint)["state"] == "disabled", "given up")
    assert len(shop.came) == len(SCHEDULE.split()) + 1
    assert [one["outcome"] for one in market.attempts(endpoint)] == ["failed"] * 3 + ["dead"]
    market.until(lambda: not market.rows("SELECT FROM webhook_changes WHERE told_at IS NULL"), "in the log")
    changes = [one for one in logged(market, topics.WEBHOOK_CHANGES) if one.endpoint_id == endpoint["endpoint_id"]]
    assert [(type(one), one.act, one.actor_type, one.reason) for one in changes] == [
        (WebhookEndpointChanged, "created", "admin", "for the test"),
        (WebhookEndpointChanged, "disabled", "system", "given_up"),
    ]
    (notice,) = (one for one in logged(market, topics.NOTICES)
                 if isinstance(one, Notice) and one.kind == "webhook_disabled"
                 and one.details["seller"] == "dead-shop")  # fmt: skip
    assert (notice.audience, notice.details["why"]) == ("operations", "given_up")


def logged(market: Market, topic: topics.Topic) -> list[Any]:
    settings = market.system.settings
    return [codec.decode(record.value) for record in read_all(settings.kafka, [settings.namespace + topic.name])]


def test_a_server_that_hangs_delays_nobody_else(market: Market) -> None:
    hanging, quick = market.shop(slowly(8)), market.shop()
    market.endpoint("hanging-shop", hanging)
    endpoint = market.endpoint("quick-shop", quick)
    for _ in range(12):
        market.order("hanging-shop")
    market.until(lambda: len(hanging.came) >= 2, "under way")
    market.order("quick-shop")
    market.until(lambda: quick.came, "told")
    market.until(lambda: market.attempts(endpoint), "noted")
    assert market.attempts(endpoint)[0]["outcome"] == "sent"
    assert market.rows(
        "SELECT count(*) FROM webhook_messages m JOIN webhook_endpoints e USING (endpoint_id)"
        " WHERE e.seller_id = 'hanging-shop' AND m.state = 'pending'"
    ) == [(12,)]
    failed = "SELECT FROM webhook_attempts WHERE reason = 'no answer within the time limit'"
    market.until(lambda: market.rows(failed), "given up waiting")


def test_a_rotated_secret_signs_beside_the_old_one_and_types_are_chosen(market: Market) -> None:
    shop = market.shop()
    endpoint = market.endpoint("turning-shop", shop, event_types=["delivery.cancelled"])
    rotated = market.act(endpoint, "rotate-secret").json()
    assert rotated["secret"] != endpoint["secret"]
    assert rotated["old_secret_until"] is not None
    order = market.order("turning-shop")
    market.cancel(order)
    market.until(lambda: shop.came, "told")
    for secret in (endpoint["secret"], rotated["secret"]):
        verified(shop.came[0], secret)
    with market_connection(market) as connection:
        connection.execute("UPDATE webhook_endpoints SET old_secret_until = now() WHERE seller_id = 'turning-shop'")
    again = market.system.post(f"/v2/webhooks/messages/{shop.ids()[0]}/redeliver", {"reason": "lost it"})
    assert again.status_code == 202, again.text
    market.until(lambda: len(shop.came) == 2, "told again")
    assert shop.types() == ["delivery.cancelled"] * 2
    assert len(set(shop.ids())) == 1
    verified(shop.came[1], rotated["secret"])
    with pytest.raises(WebhookVerificationError):
        verified(shop.came[1], endpoint["secret"])


def market_connection(market: Market) -> Any:
    import psycopg

    return psycopg.connect(market.system.settings.postgres)


def test_endpoints_are_changed_and_taken_away_and_mistakes_are_told(market: Market) -> None:
    shop, system = market.shop(), market.system
    endpoint = market.endpoint("desk-shop", shop)
    path = f"/v2/webhooks/endpoints/{endpoint['endpoint_id']}"
    changed = system.http.patch(path, json={"event_types": ["delivery.failed"], "reason": "less"}).json()
    assert changed["event_types"] == ["delivery.failed"]
    assert changed["url"] == endpoint["url"]
    for body, code in (
        ({"seller_id": "desk-shop", "url": "https://10.0.0.1/", "reason": "x"}, "target_refused"),
        ({"seller_id": "desk-shop", "url": "https://metadata.google.internal/", "reason": "x"}, "target_refused"),
        ({"seller_id": "desk-shop", "url": "https://a@shop.example/", "reason": "x"}, "target_refused"),
        ({"seller_id": "desk-shop", "url": shop.url}, "invalid"),
        ({"seller_id": "desk-shop", "url": shop.url, "reason": "a\0b"}, "invalid"),
        ({"seller_id": "desk-shop", "url": shop.url, "event_types": ["all"], "reason": "x"}, "invalid"),
    ):
        problem(system.post("/v2/webhooks/endpoints", body), 422, code)
    problem(system.http.patch(path, json={"url": "http://192.168.0.1/", "reason": "x"}), 422, "target_refused")
    for _ in range(19):
        market.endpoint("desk-shop", shop)
    full = system.post("/v2/webhooks/endpoints", {"seller_id": "desk-shop", "url": shop.url, "reason": "x"})
    problem(full, 409, "too_many_endpoints")
    problem(system.http.delete(path), 422, "invalid")
    assert system.http.delete(path, params={"reason": "closed"}).status_code == 204
    problem(system.http.get(path), 404, "unknown_endpoint")
    assert len(system.http.get("/v2/webhooks/endpoints?seller_id=desk-shop").json()["endpoints"]) == 19


def test_an_order_service_gets_at_its_own_sellers_endpoints_only(market: Market) -> None:
    shop = market.shop()
    endpoint = market.endpoint("my-shop", shop)
    market.order("my-shop")
    market.until(lambda: shop.came, "told")
    name, message = endpoint["endpoint_id"], shop.ids()[0]
    mine = as_service("my-shop")
    others = as_service("their-shop")
    change, body = EndpointChange(description="x"), EndpointBody(seller_id="my-shop", url=shop.url)

    async def tried() -> None:
        reads = Reads(market.system.settings.postgres)
        await reads.open()
        doors = Webhooks(market.system.settings, reads)
        assert (await doors.one(mine, name))["seller_id"] == "my-shop"
        assert [row["endpoint_id"] for row in await doors.listed(mine, None)] == [name]
        assert await doors.listed(others, None) == []
        assert await doors.listed(others, "my-shop") == []
        for asking in (
            doors.one(others, name), doors.change(others, name, change), doors.delete(others, name, ""),
            doors.rotate(others, name, ""), doors.test(others, name), doors.attempts(others, name, None, 10),
        ):  # fmt: skip
            await refused(asking, "unknown_endpoint")
        await refused(doors.redeliver(others, message, ""), "unknown_message")
        await refused(doors.create(others, body), "not_yours")
        assert (await doors.change(mine, name, change))["description"] == "x"
        await reads.close()

    asyncio.run(tried())
    acts = [(one["act"], one["actor_type"], one["actor_id"]) for one in market.read(endpoint)["changes"]]
    assert acts == [("changed", "order_service", "till"), ("created", "admin", "admin")]


def as_service(*sellers: str) -> Request:
    return Request({"type": "http", "state": {"principal": Principal("order_service", "till", frozenset(sellers))}})


async def refused(asking: Awaitable[Any], code: str) -> None:
    with pytest.raises(Problem) as caught:
        await asking
    assert caught.value.code == code
