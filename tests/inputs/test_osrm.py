"""Travel times from a real OSRM: a made road grid, and an extract of OpenStreetMap where one is given."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.routing import SIZE, NoOsrm, binaries, crossing, grid, served
from dispatch.core.travel import distance_m
from dispatch.inputs.travel import Asked, Roads
from dispatch.inputs.travel.osrm import Osrm

EXTRACT = os.environ.get("BATON_TEST_OSM", "")
VADUZ, SCHAAN, BALZERS = (47.1410, 9.5215), (47.1650, 9.5087), (47.0658, 9.5025)


@pytest.fixture(scope="module", autouse=True)
def osrm_is_there() -> None:
    try:
        binaries()
    except NoOsrm as error:
        pytest.skip(f"no OSRM here: {error}")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("grid")
    with served(grid(folder / "made.osm"), folder) as url:
        yield url


def test_a_way_on_the_grid_is_as_long_as_its_streets(town: str) -> None:
    osrm = Osrm(town, timeout_ms=2_000)
    place, to = crossing(2, 3), crossing(10, 12)
    streets_m = distance_m(*place, *crossing(10, 3)) + distance_m(*crossing(10, 3), *to)
    road = osrm.route(place, to)
    assert road is not None
    assert road.distance_m == pytest.approx(streets_m, rel=0.02)
    assert 20 / 3.6 < road.distance_m / road.car_s < 55 / 3.6
    osrm.close()


def test_a_table_gives_each_candidate_s_way_and_the_way_on_in_one_call(town: str) -> None:
    osrm = Osrm(town, timeout_ms=2_000)
    places = tuple(crossing(number % SIZE, (7 * number) % SIZE) for number in range(20))
    store, door = crossing(5, 5), crossing(15, 9)
    found = osrm.table(Asked(places, store, door))
    singly = [osrm.route(place, store) for place in places]
    assert [road and round(road.car_s) for road in found.roads] == [road and round(road.car_s) for road in singly]
    assert found.on is not None
    assert found.on == osrm.route(store, door)
    osrm.close()


def test_a_place_off_the_map_has_no_way(town: str) -> None:
    osrm = Osrm(town, timeout_ms=2_000)
    found = osrm.table(Asked((crossing(1, 1), (40.0, 2.0)), crossing(2, 2)))
    assert found.roads[0] is not None
    assert found.roads[1] is None
    osrm.close()


def test_twenty_candidates_all_have_their_times_turn_after_turn(town: str) -> None:
    roads = Roads(Osrm(town, timeout_ms=10_000), timeout_ms=10_000)
    for turn in range(50):
        places = tuple(crossing((number + turn) % SIZE, (3 * number + turn) % SIZE) for number in range(20))
        found = roads.find([Asked(places, crossing(turn % SIZE, 4), crossing(7, turn % SIZE))])
        assert len(found[0].roads) == len(places)
        assert all(road is not None for road in found[0].roads)
    roads.close()


@pytest.mark.skipif(not EXTRACT, reason="no extract of OpenStreetMap is given in BATON_TEST_OSM")
def test_an_extract_of_the_real_world_gives_believable_ways(tmp_path: Path) -> None:
    with served(Path(EXTRACT), tmp_path) as url:
        osrm = Osrm(url, timeout_ms=2_000)
        found = osrm.table(Asked((SCHAAN, BALZERS), VADUZ))
        for place, road in zip((SCHAAN, BALZERS), found.roads, strict=True):
            assert road is not None
            assert 1.0 <= road.distance_m / distance_m(*place, *VADUZ) < 2.0
            assert 20 / 3.6 < road.distance_m / road.car_s < 100 / 3.6
        osrm.close()
