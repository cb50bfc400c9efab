"""Zones on real servers: imported, obeyed by searches, counted live; preferences, bonuses and requests for drivers."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import PLACE, now_ms
from town import Town, until

from deploy.local import Addresses
from dispatch import setup
from dispatch.contract import topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as ve
from dispatch.contract.records.system import Decision, DriverLocation, IncentivePublished, Notice, ZoneHealth
from dispatch.core.policy import OfferPolicy, Policy, SearchPolicy, ZonePolicy
from dispatch.core.zone_files import read
from dispatch.inputs import zone_store
from dispatch.inputs.rules import Rules, RulesFollower
from dispatch.inputs.zones import ZoneBoard, ZoneFollower
from dispatch.log.errors import Misconfigured
from dispatch.streams.zone_feed import ZoneFeed

pytestmark = pytest.mark.servers
DEGREE_M = 111_195
POLICY = Policy(
    version=3,
    offer=OfferPolicy(timeout_s=60),
    search=SearchPolicy(retry_first_s=0.5, retry_max_s=1, fresh_s=1),
    zones=ZonePolicy(understaffed_after_s=1, staffed_after_s=1, request_radius_m=15_000),
)


@pytest.fixture
def town(servers: Addresses, namespace: str, tmp_path: Path) -> Iterator[Town]:
    made = Town(servers, namespace, tmp_path)
    setup.publish_policy(made.settings, POLICY)
    yield made
    made.close()


def square(name: str, lat: float, lng: float, **properties: Any) -> dict[str, Any]:
    """About four kilometres wide round a place."""
    ring = [[lng - 0.02, lat - 0.02], [lng + 0.02, lat - 0.02], [lng + 0.02, lat + 0.02], [lng - 0.02, lat + 0.02]]
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return {"type": "Feature", "id": name, "properties": properties, "geometry": geometry}


def put(town: Town, *features: dict[str, Any]) -> int:
    zones = read(json.dumps({"type": "FeatureCollection", "features": features}).encode())
    return zone_store.import_zones(town.settings.kafka, town.settings.namespace, zones, "tester").version


def health(town: Town, zone: str) -> ZoneHealth | None:
    found = [record for record in town.dispatch.read(topics.ZONE_HEALTH) if record.zone == zone]
    return found[-1] if found else None


class Counting:
    """The feed of zone health by itself, to be stopped and begun anew."""

    def __init__(self, town: Town) -> None:
        self._rules = RulesFollower(town.settings.kafka, town.settings.namespace, Rules())
        self._zones = ZoneFollower(town.settings.kafka, town.settings.namespace, ZoneBoard())
        self._feed = ZoneFeed(town.settings, self._rules.start(), self._zones.start())
        self._feed.start()

    def stop(self) -> None:
        for part in (self._feed, self._zones, self._rules):
            part.stop()


def sign_on(town: Town, name: str, north_m: float, capacity: int = 1) -> None:
    lat = PLACE[0] + north_m / DEGREE_M
    town.dispatch.driver(vc.SignOn, name, vehicle="car", capacity=capacity, rating=4.5, lat=lat, lng=PLACE[1])


def events(town: Town, kind: type[Any], topic: topics.Topic = topics.DELIVERY_EVENTS) -> list[Any]:
    return [event for event in town.dispatch.read(topic) if type(event) is kind]


def test_an_understaffed_zone_is_searched_farther_and_who_will_not_come_is_not_asked(town: Town) -> None:
    assert put(town, square("harbour", *PLACE, min_drivers_online=3)) == 1
    town.run("worker", "streams")
    for name, north_m in (("never", 300), ("ana", 9_000)):
        sign_on(town, name, north_m, capacity=10)
    town.dispatch.driver(vc.SetZonePreference, "never", zone="harbour", preference="UNAVAILABLE")
    town.dispatch.flush()
    until(lambda: (found := health(town, "harbour")) and found.drivers_online == 1, "counted")
    until(lambda: events(town, ve.DriverZonePreferenceSet, topics.DRIVER_EVENTS), "said")
    asked: list[str] = []

    def of_the_last(kind: type[Any]) -> list[Any]:
        return [event for event in events(town, kind) if event.delivery_id == asked[-1]]

    def known() -> bool:
        """The geo index and the worker's zones hear of it a moment after the log: one order more until both have."""
        asked.extend(town.orders(1))
        until(lambda: of_the_last(de.DriverOfferSent), "offered")
        found = of_the_last(de.DriverCandidatesFound)[-1]
        return found.zone_drivers_online == 1 and [seen.driver_id for seen in found.candidates] == ["ana"]

    until(known, "a search that knows")
    (offer,), found, delivery_id = of_the_last(de.DriverOfferSent), of_the_last(de.DriverCandidatesFound)[-1], asked[-1]
    assert (offer.driver_id, found.radius_m, found.zone, found.zone_version) == ("ana", 15_000, "harbour", 1)
    assert (found.zone_drivers_online, found.zone_min_drivers) == (1, 3)
    assert events(town, de.DeliveryCreated)[0].order.zone == "harbour"
    facts = [
        json.loads(record.facts)["zone"]
        for record in town.dispatch.read(topics.DECISIONS)
        if isinstance(record, Decision) and record.aggregate_id == delivery_id
    ]
    assert facts[0]["zone"] == "harbour"
    assert facts[0]["version"] == 1


def test_health_is_live_tells_of_alerts_once_and_stands_after_a_restart(town: Town) -> None:
    put(town, square("harbour", *PLACE, min_drivers_online=2))
    town.run("worker")
    counting = Counting(town)
    sign_on(town, "ana", 6_000)
    town.orders(2)
    until(lambda: (h := health(town, "harbour")) and (h.open_searches, h.drivers_online) == (2, 0), "counted", 15)

    sign_on(town, "ben", 100)
    town.dispatch.flush()
    until(lambda: (h := health(town, "harbour")) and h.drivers_online == 1, "counted", 15)
    moved = DriverLocation(driver_id="ana", lat=PLACE[0], lng=PLACE[1], at_ms=now_ms())
    town.dispatch.send(topics.DRIVER_PLACES, "ana", moved)
    town.dispatch.flush()
    until(lambda: (h := health(town, "harbour")) and h.drivers_online == 2, "counted where they are now", 15)
    seen = health(town, "harbour")
    assert seen is not None
    assert now_ms() - seen.at_ms <= 15_000

    def told() -> list[str]:
        notices = [n for n in town.dispatch.read(topics.NOTICES) if isinstance(n, Notice) and "zone" in n.details]
        return [n.kind for n in notices if n.audience == "operations"]

    until(lambda: told() == ["zone_understaffed", "zone_staffed"], "told that it began and ended", 15)
    counting.stop()
    since_ms = now_ms()
    counting = Counting(town)
    until(lambda: (h := health(town, "harbour")) and h.at_ms > since_ms, "counted again", 15)
    after = health(town, "harbour")
    counting.stop()
    assert after is not None
    assert (after.drivers_online, after.open_searches) == (seen.drivers_online, health_of_waiting(town))
    assert told() == ["zone_understaffed", "zone_staffed"]


def health_of_waiting(town: Town) -> int:
    """Deliveries that are ready and have no holder, counted from their events."""
    assigned = {event.delivery_id for event in events(town, de.DriverAssigned)}
    return len({event.delivery_id for event in events(town, de.AssignmentStarted)} - assigned)


def test_an_import_replaces_the_zones_as_a_whole_and_a_bonus_counts_while_it_runs(town: Town) -> None:
    kafka, namespace = town.settings.kafka, town.settings.namespace
    put(town, square("harbour", *PLACE), square("hill", 50, 9))
    assert put(town, square("hill", 50, 9, priority=5), square("dale", 40, 9)) == 2
    board = zone_store.board_now(kafka, namespace)
    assert (board.table.version, sorted(board.table.zones)) == (2, ["dale", "hill"])
    assert board.table.zones["hill"].priority == 5

    bonus = IncentivePublished(
        incentive_id="rain", zone="hill", bonus_minor=150, currency="EUR", starts_at_ms=now_ms() - 1_000,
        ends_at_ms=now_ms() + 60_000, at_ms=now_ms(), actor_id="tester",
    )  # fmt: skip
    zone_store.set_incentive(kafka, namespace, bonus)
    board = zone_store.board_now(kafka, namespace)
    assert board.facts("hill", now_ms(), "EUR").incentive_minor == 150
    assert board.bonus_minor("hill", now_ms(), "USD") == 0
    in_dollars = board.facts("hill", now_ms(), "USD")  # told with its currency, so that the offer can say why not
    assert (in_dollars.incentive_minor, in_dollars.incentive_currency) == (150, "EUR")
    assert board.facts("hill", now_ms() + 70_000, "EUR").incentive_minor == 0
    zone_store.end_incentive(kafka, namespace, "rain", "tester")
    assert zone_store.board_now(kafka, namespace).facts("hill", now_ms() + 10, "EUR").incentive_minor == 0
    with pytest.raises(Misconfigured, match="is over already"):
        zone_store.end_incentive(kafka, namespace, "rain", "tester")


def test_drivers_near_by_are_asked_to_come_and_not_again_at_once(town: Town) -> None:
    kafka, namespace = town.settings.kafka, town.settings.namespace
    put(town, square("harbour", *PLACE))
    town.run("worker", "streams")
    for name, north_m in (("near", 500), ("never", 600), ("far", 30_000)):
        sign_on(town, name, north_m)
    town.dispatch.driver(vc.SetZonePreference, "never", zone="harbour", preference="UNAVAILABLE")
    town.dispatch.flush()
    until(lambda: events(town, ve.DriverZonePreferenceSet, topics.DRIVER_EVENTS), "said")
    until(lambda: (h := health(town, "harbour")) and h.drivers_online == 2, "counted", 15)
    asked = {"note": "rain", "actor_id": "tester", "every_s": 600.0}
    zone_store.request_drivers(kafka, namespace, "harbour", **asked)
    with pytest.raises(Misconfigured, match=r"again in (5\d\d|600) s"):
        zone_store.request_drivers(kafka, namespace, "harbour", **asked)

    def told() -> list[tuple[str, str]]:
        notices = [n for n in town.dispatch.read(topics.NOTICES) if isinstance(n, Notice) and n.kind == "zone_request"]
        return [(n.driver_id, n.details["note"]) for n in notices]

    until(told, "told", 10)
    time.sleep(1)
    assert told() == [("near", "rain")]
    assert uuid.UUID(town.dispatch.read(topics.ZONE_REQUESTS)[0].request_id)
