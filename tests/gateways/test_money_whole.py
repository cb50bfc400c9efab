"""Money through the whole running system: prices follow pressure, quotes hold, deliveries are settled and reported."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from whole_system import PLACE, System, an_order, heard

from deploy.local import Addresses
from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.system import ZoneHealth, ZonePrice
from dispatch.log.reading import read_all

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def system(servers: Addresses, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    made = System(servers, database, tmp_path_factory.mktemp("home"))
    yield made
    made.close()


def publish(system: System, topic: topics.Topic, zone: str, *records: Any) -> None:
    producer = Producer({"bootstrap.servers": system.settings.kafka, "partitioner": "murmur2_random"})
    for record in records:
        producer.produce(system.settings.namespace + topic.name, codec.encode(record), zone.encode())
    assert producer.flush(10) == 0


def read(system: System, topic: topics.Topic, kind: type[Any]) -> list[Any]:
    name = system.settings.namespace + topic.name
    records = (codec.decode(record.value) for record in read_all(system.settings.kafka, [name]))
    return [record for record in records if isinstance(record, kind)]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def baton(system: System, *arguments: str) -> Any:
    """A command of Baton against this system: its exit code and its words."""
    import subprocess
    import sys

    settings = system.settings
    environment = {
        "PATH": "/usr/bin:/bin", "BATON_KAFKA": settings.kafka, "BATON_POSTGRES": settings.postgres,
        "BATON_VALKEY": settings.valkey, "BATON_NAMESPACE": settings.namespace, "BATON_HOME": str(settings.home),
        "COLUMNS": "200",
    }  # fmt: skip
    command = [sys.executable, "-m", "dispatch.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, timeout=60, text=True, check=False,
                          cwd=Path(__file__).parents[2])  # fmt: skip


def quoted(system: System, percent: int) -> dict[str, Any]:
    """A quote under this multiplier, once every process knows the price."""
    end = time.monotonic() + 30
    while True:
        price = ZonePrice(zone="none", multiplier_percent=percent, pressure=2.0, smoothed_pressure=2.0, at_ms=now_ms(),
                          policy_version=3)  # fmt: skip
        publish(system, topics.PRICES, "none", price)
        said = baton(system, "quote", "--pickup", f"{PLACE['lat']},{PLACE['lng']}", "--dropoff", "48.0123,7.86",
                     "--currency", "EUR", "--json")  # fmt: skip
        assert said.returncode == 0, said.stderr
        quote: dict[str, Any] = json.loads(said.stdout)
        if quote["multiplier_percent"] == percent:
            return quote
        assert time.monotonic() < end, quote


def test_an_order_that_names_its_quote_keeps_it_and_is_settled_and_reported_to_the_unit(system: System) -> None:
    quote = quoted(system, 150)
    system.sign_on("money-ana")
    system.until(lambda: system.http.get("/ready").status_code == 200, "ready")
    dropoff = {"lat": 48.0123, "lng": 7.86, "address": "Basler Str. 1"}
    fields = {
        "dropoff": dropoff, "quote_id": quote["quote_id"], "delivery_fee_minor": quote["delivery_fee_minor"],
        "seller_id": "quoting",
    }  # fmt: skip
    with system.socket("money-ana") as socket:
        answer = system.post("/v2/orders/ready", an_order(**fields))
        assert answer.status_code == 201, answer.text
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        delivery_id = offer["delivery_id"]
    parts = offer["earning_parts"]
    assert parts["multiplier_percent"] == 150
    assert offer["earning"]["amount_minor"] == sum(minor for name, minor in parts.items() if name.endswith("_minor"))
    created = next(one for one in read(system, topics.DELIVERY_EVENTS, de.DeliveryCreated)
                   if one.delivery_id == delivery_id)  # fmt: skip
    assert (created.multiplier_percent, created.priced_by, created.quote) == (150, "quote", "held")
    path = f"/v2/drivers/money-ana/offers/{offer['offer_id']}/accept"
    taken = system.post(path, {"delivery_id": delivery_id})
    assert taken.status_code == 200, taken.text
    for step in ("picked_up", "delivered"):
        done = system.post(f"/v2/drivers/money-ana/deliveries/{delivery_id}/progress",
                           {"offer_id": offer["offer_id"], "step": step})  # fmt: skip
        assert done.status_code == 200, done.text
    (settled,) = [one for one in read(system, topics.DELIVERY_EVENTS, de.DeliveryEconomicsSettled)
                  if one.delivery_id == delivery_id]  # fmt: skip
    money = settled.economics
    assert money.revenue_minor == 2000 * 20 // 100 + quote["delivery_fee_minor"]

    def row() -> Any:
        with psycopg.connect(system.settings.postgres) as connection:
            return connection.execute(
                "SELECT c.cost_minor, r.revenue_minor, r.net_minor, c.estimated_cost_minor, c.outcome"
                " FROM delivery_costs c JOIN delivery_revenue r USING (delivery_id)"
                " WHERE delivery_id = %s::uuid AND c.settled_at IS NOT NULL", (delivery_id,)
            ).fetchone()  # fmt: skip

    system.until(lambda: row() is not None, "in the tables")
    assert row()[:3] == (money.cost_minor, money.revenue_minor, money.net_minor)
    assert row()[3:] == (pytest.approx(money.cost_minor, abs=5), "delivered")
    said = baton(system, "money", "report", "--by", "seller", "--json")
    assert said.returncode == 0, said.stderr
    report = json.loads(said.stdout)
    (group,) = [one for one in report["groups"] if one["key"] == "quoting"]
    assert (group["deliveries"], group["delivered"], group["net_minor"]) == (1, 1, money.net_minor)
    assert any("1 deliveries brought" in sentence for sentence in report["insights"])
    story = baton(system, "delivery", delivery_id)
    assert "Price x1.50, as quoted" in story.stdout, story
    assert "Settled as delivered: net" in story.stdout


def test_a_quote_that_was_changed_is_priced_anew_and_the_delivery_says_so(system: System) -> None:
    quote = quoted(system, 120)
    forged = quote["quote_id"][:-6] + "AAAAAA"
    for quote_id, outcome in ((forged, "unknown"), (quote["quote_id"], "changed")):
        body = an_order(quote_id=quote_id, seller_id="forging")
        answer = system.post("/v2/orders", body)
        assert answer.status_code == 201, answer.text
        delivery_id = answer.json()["delivery_id"]
        system.until(
            lambda name=delivery_id: any(  # type: ignore[misc]
                one.delivery_id == name for one in read(system, topics.DELIVERY_EVENTS, de.DeliveryCreated)
            ),
            "known",
        )
        (created,) = [one for one in read(system, topics.DELIVERY_EVENTS, de.DeliveryCreated)
                      if one.delivery_id == delivery_id]  # fmt: skip
        assert created.quote == outcome
        assert created.priced_by == "zone"


def test_a_price_follows_the_pressure_told_of_a_zone(system: System) -> None:
    counts = [
        ZoneHealth(
            zone="market", zone_version=1, at_ms=now_ms() + second * 1000, drivers_available=1, drivers_busy=0,
            drivers_on_break=0, drivers_paused=0, drivers_shift_ended=0, drivers_offline=0, drivers_online=1,
            min_drivers_online=0, open_searches=3, oldest_search_s=0, pressure=3.0, trend="steady", waits=0,
            wait_p50_ms=0, wait_p95_ms=0, target_wait_s=0, window_s=300, understaffed=False, understaffed_since_ms=0,
        )
        for second in range(-600, 0, 5)
    ]  # fmt: skip
    publish(system, topics.ZONE_HEALTH, "market", *counts)

    def prices() -> list[int]:
        return [one.multiplier_percent for one in read(system, topics.PRICES, ZonePrice) if one.zone == "market"]

    system.until(lambda: prices() and prices()[-1] == 145, "priced")
    assert prices()[0] == 100
    assert prices() == sorted(prices())
    shown = baton(system, "prices")
    assert "market" in shown.stdout, shown
    assert "1.45" in shown.stdout
