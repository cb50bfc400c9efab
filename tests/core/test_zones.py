"""Zones: the lookup against a search by hand, files taken and refused, and what a zone does to a search."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from world import World

from deploy.demo.order_file import read as read_orders
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.core import delivery
from dispatch.core.facts import Refusal, ZoneFacts
from dispatch.core.policy import Flag, Flags, Policy, ZonePolicy
from dispatch.core.zone_files import MAX_BYTES, ZoneFileError, area_m2, read, write
from dispatch.core.zones import NOWHERE, Zone, ZoneTable, reach_m

SAMPLE = Path(__file__).parents[2] / "deploy/demo/data"
SQUARE = [[7.80, 48.00], [7.82, 48.00], [7.82, 48.02], [7.80, 48.02], [7.80, 48.00]]


def a_zone(name: str, corners: list[tuple[float, float]], priority: int = 3) -> Zone:
    shape = shapely.Polygon(corners)
    return Zone(zone_id=name, name=name, priority=priority, min_drivers_online=1, target_wait_s=300, shape=shape)


def a_feature(zone_id: Any = "one", ring: Any = SQUARE, **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "id": zone_id, "properties": properties, "geometry": geometry}


def a_file(*features: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features)}).encode()


degrees = st.floats(-0.05, 0.05)


@st.composite
def towns(draw: st.DrawFn) -> list[Zone]:
    """Overlapping round zones with holes here and there, near a cell's corner of the lookup."""
    zones = []
    for number in range(draw(st.integers(0, 12))):
        lng, lat, wide = 7.8 + draw(degrees), 48.0 + draw(degrees), draw(st.floats(0.001, 0.04))
        turns = [2 * math.pi * corner / 9 for corner in range(9)]
        shape = shapely.Polygon([(lng + wide * math.cos(turn), lat + wide * math.sin(turn)) for turn in turns])
        if draw(st.booleans()):
            shape = shape.difference(shapely.Point(lng, lat).buffer(wide / 3))
        zone = a_zone(f"z{number}", [(0, 0), (1, 0), (1, 1)], draw(st.integers(1, 5)))
        zones.append(
            Zone(zone_id=zone.zone_id, name="n", priority=zone.priority, min_drivers_online=0, target_wait_s=1,
                 shape=shape)
        )  # fmt: skip
    return zones


@settings(max_examples=60, deadline=None)
@given(towns(), st.lists(st.tuples(degrees, degrees), min_size=1, max_size=40))
def test_the_lookup_says_what_a_search_by_hand_says(zones: list[Zone], places: list[tuple[float, float]]) -> None:
    table = ZoneTable(zones, 1)
    asked = [(48.0 + north, 7.8 + east) for north, east in places]
    wanted = []
    for lat, lng in asked:
        inside = [zone for zone in zones if zone.shape.intersects(shapely.Point(lng, lat))]
        best = min(inside, key=lambda zone: (-zone.priority, zone.zone_id), default=None)
        wanted.append(best.zone_id if best else NOWHERE)
    assert [table.at(lat, lng) for lat, lng in asked] == wanted
    assert [table.at(lat, lng) for lat, lng in asked] == wanted  # and again, from what is remembered of each cell
    assert table.at_each([lat for lat, _ in asked], [lng for _, lng in asked]) == wanted


def test_a_hole_belongs_to_the_zone_beneath() -> None:
    ring = a_feature("ring", priority=4)
    ring["geometry"]["coordinates"].append(
        [[7.81, 48.01], [7.811, 48.01], [7.811, 48.011], [7.81, 48.011], [7.81, 48.01]]
    )
    table = ZoneTable(read(a_file(ring, a_feature("base", priority=2))), 1)
    assert (table.at(48.0105, 7.8105), table.at(48.005, 7.805), table.at(49, 8)) == ("base", "ring", NOWHERE)


def test_what_is_written_is_read_as_the_same() -> None:
    two = {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[lng + 1, lat] for lng, lat in SQUARE]]]}
    zones = read(a_file(a_feature(7, name="Süd", priority=1), {**a_feature("two", priority=2), "geometry": two}))
    again = read(write(zones))
    assert [(zone.zone_id, zone.name, zone.priority) for zone in again] == [("7", "Süd", 1), ("two", "two", 2)]
    assert all(one.shape.equals(other.shape) for one, other in zip(zones, again, strict=True))
    assert area_m2(zones[0].shape) == pytest.approx(
        0.02 * 111_195 * 0.02 * 111_195 * math.cos(math.radians(48.01)), rel=0.001
    )


BOW = [[7.80, 48.00], [7.82, 48.02], [7.82, 48.00], [7.80, 48.02], [7.80, 48.00]]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"{", "the file is no JSON"),
        (b"[" * 5000, "the file is no JSON"),
        (b'{"type": "Feature"}', "the file is 'Feature'; a GeoJSON FeatureCollection is wanted"),
        (b'{"type": "FeatureCollection"}', "no list `features`"),
        (a_file(5), "feature 1: it is no GeoJSON Feature"),
        (
            a_file(a_feature(), a_feature("two", [[7.8, 48.0]])),
            r"feature 2 \(two\): a ring of it has 1 points; at least 4",
        ),
        (a_file(a_feature(ring=SQUARE[:3])), r"feature 1 \(one\): a ring of it has 3 points"),
        (a_file(a_feature(ring=[*SQUARE[:4], [7.9, 48.1]])), r"feature 1 \(one\): a ring of it is not closed"),
        (a_file(a_feature(ring=BOW)), r"feature 1 \(one\): its shape is not valid: Self-intersection"),
        (a_file(a_feature(ring=[[lat, lng * 15] for lng, lat in SQUARE])), "a latitude is 117.*longitude first"),
        (a_file(a_feature(ring=[[200, 48.0], *SQUARE])), "a longitude is 200; -180 to 180 is allowed"),
        (
            a_file(a_feature(ring=[[7.8, 95], *SQUARE])),
            "a latitude is 95; -90 to 90 is allowed; GeoJSON has the longitude",
        ),
        (a_file(a_feature(ring=[["x", 4], *SQUARE])), "a longitude is x"),
        (a_file(a_feature(ring=[7.8, 48.0, 1, 2])), "is no point"),
        (a_file({**a_feature(), "geometry": {"type": "Point", "coordinates": [7.8, 48]}}), "its geometry is 'Point'"),
        (a_file({**a_feature(), "geometry": None}), "its geometry is 'None'"),
        (a_file({**a_feature(), "geometry": {"type": "Polygon", "coordinates": []}}), "a polygon of it has no ring"),
        (a_file(a_feature("a b")), "feature 1: its id is 'a b'"),
        (a_file(a_feature("none")), "'none' is the name of the outside"),
        (
            a_file(a_feature(), a_feature(ring=[[lng + 1, lat] for lng, lat in SQUARE])),
            r"feature 2 \(one\): an earlier",
        ),
        (a_file(a_feature(priority=6)), r"feature 1 \(one\): priority is '6'; a whole number 1 to 5 is wanted"),
        (a_file(a_feature(min_drivers_online=True)), "min_drivers_online is 'True'"),
        (a_file(a_feature(target_wait_s=0)), "target_wait_s is '0'"),
        (a_file(a_feature(name="")), "its name is ''"),
        (
            a_file(a_feature(ring=[[7.8 + (lng - 7.8) / 1e4, 48 + (lat - 48) / 1e4] for lng, lat in SQUARE])),
            "it covers 0 m2",
        ),
        (
            a_file(a_feature(ring=[[-100, -50], [100, -50], [100, 50], [-100, 50], [-100, -50]])),
            "km2; at most 50000 km2",
        ),
        (
            a_file(a_feature("a"), a_feature("b")),
            r"feature 1 \(a\) and feature 2 \(b\): both have priority 3 and overlap by",
        ),
        (b" " * (MAX_BYTES + 1), "the file has 10.0 MB; at most 10 MB are read"),
        (a_file(*[1] * 5_001), "the file has 5001 features; at most 5000 are taken"),
    ],
)
def test_a_bad_file_is_refused_with_the_feature_and_the_reason(data: bytes, sentence: str) -> None:
    with pytest.raises(ZoneFileError, match=sentence):
        read(data)


def test_neighbours_may_share_a_border_and_zones_of_unlike_priority_may_overlap() -> None:
    east = [[lng + 0.02, lat] for lng, lat in SQUARE]
    sliver = [[lng + 0.0199999, lat] for lng, lat in SQUARE]
    assert len(read(a_file(a_feature("a"), a_feature("b", east)))) == 2
    assert len(read(a_file(a_feature("a"), a_feature("b", sliver)))) == 2
    assert len(read(a_file(a_feature("a", priority=1), a_feature("b", priority=2)))) == 2


def test_the_sample_holds_six_zones_and_every_store_of_the_sample_orders_lies_in_one() -> None:
    zones = read((SAMPLE / "freiburg-zones.geojson").read_bytes())
    table = ZoneTable(zones, 1)
    orders = [timed.order for timed in read_orders(SAMPLE / "freiburg-evening-600.csv")]
    found = Counter(table.at(order.pickup_lat, order.pickup_lng) for order in orders)
    assert len(zones) == 6
    assert set(found) == {zone.zone_id for zone in zones}


@given(st.integers(0, 50), st.integers(0, 50), st.integers(100, 50_000), st.booleans())
def test_the_radius_is_wider_exactly_where_too_few_are_online(online: int, least: int, base_m: int, on: bool) -> None:
    zone = ZoneFacts(zone="z", version=1, known=True, drivers_online=online, min_drivers_online=least)
    found = reach_m(base_m, zone, Policy(), balancing=on)
    assert found == (max(base_m, 15_000) if on and online < least else base_m)
    assert reach_m(base_m, ZoneFacts(min_drivers_online=least), Policy(), balancing=on) == base_m


def understaffed() -> ZoneFacts:
    return ZoneFacts(zone="harbour", version=9, known=True, drivers_online=2, min_drivers_online=5)


def test_a_delivery_has_the_zone_of_its_pickup_and_is_searched_farther_where_too_few_are_online() -> None:
    world = World()
    world.zone = understaffed()
    name = world.ready()
    assert world.deliveries[name].order is not None
    assert world.deliveries[name].order.zone == "harbour"
    (created,), (started,) = world.names_of(de.DeliveryCreated), world.names_of(de.AssignmentStarted)
    found = world.names_of(de.DriverCandidatesFound)[0]
    assert (created.order.zone, created.zone_version) == (started.zone, started.zone_version) == ("harbour", 9)
    assert (found.zone, found.zone_version, found.radius_m) == ("harbour", 9, 15_000)
    assert (found.zone_drivers_online, found.zone_min_drivers) == (2, 5)
    again = world.made(dc.SearchAgain, name, "system")
    world.zone = replace(world.zone, drivers_online=5)
    need = delivery.needs(world.deliveries[name], again, world.policy, world.flags, world.now_ms, world.zone)
    assert need is not None
    assert (need.radius_m, need.zone) == (5_000, "harbour")


def test_with_zones_off_the_radius_and_the_preferences_play_no_part_and_that_holds_for_the_delivery() -> None:
    world = World(flags=Flags(zone_balancing=Flag(enabled=False)))
    world.zone = understaffed()
    name = world.ready()
    world.flags = Flags()
    need = delivery.needs(
        world.deliveries[name], world.made(dc.SearchAgain, name, "system"), world.policy, world.flags, world.now_ms,
        world.zone,
    )  # fmt: skip
    assert need is not None
    assert (need.radius_m, need.zone) == (5_000, "")
    assert world.names_of(de.DriverCandidatesFound)[0].radius_m == 5_000


def preference(world: World, zone: str, word: str) -> Any:
    return world.ask(vc.SetZonePreference, "ana", zone=zone, preference=word)


def test_a_driver_says_of_a_zone_what_holds_until_they_say_otherwise() -> None:
    world = World(policy=Policy(zones=ZonePolicy(preferences_max=2))).sign_on("ana")
    for zone, word in (("a", "PREFERRED"), ("b", "UNAVAILABLE"), ("a", "UNAVAILABLE"), ("b", "AVAILABLE")):
        assert type(preference(world, zone, word)[0]).__name__ == "DriverZonePreferenceSet"
    assert world.drivers["ana"].zones == (("a", "UNAVAILABLE"),)
    assert preference(world, "a", "UNAVAILABLE") == ()
    preference(world, "b", "PREFERRED")
    refused = preference(world, "c", "PREFERRED")
    assert isinstance(refused, Refusal)
    assert refused.code == "too_many_zones"


def test_a_zone_that_is_not_there_is_refused_but_what_was_said_of_it_can_be_taken_back() -> None:
    world = World().sign_on("ana")
    preference(world, "old", "UNAVAILABLE")
    world.zone = replace(world.zone, known=False)
    refused = preference(world, "older", "UNAVAILABLE")
    assert isinstance(refused, Refusal)
    assert refused.code == "unknown_zone"
    assert preference(world, "old", "AVAILABLE")
    assert world.drivers["ana"].zones == ()
