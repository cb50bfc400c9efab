"""What a driver says of a zone, over HTTP, and where it arrives."""

import json

import psycopg
import pytest
from whole_system import PLACE, System, problem

from dispatch.core.zone_files import read
from dispatch.inputs import zone_store

pytestmark = pytest.mark.servers


def test_a_driver_says_of_a_zone_whether_they_work_there(system: System) -> None:
    system.sign_on("zoe")
    path = "/v2/drivers/zoe/zone-preferences/harbour"
    problem(system.http.put(path, json={"preference": "UNAVAILABLE"}), 404, "unknown_zone")
    problem(system.http.put(path, json={"preference": "SOMETIMES"}), 422, "invalid")
    lat, lng = PLACE["lat"], PLACE["lng"]
    ring = [[lng, lat], [lng + 0.1, lat], [lng + 0.1, lat + 0.1], [lng, lat]]
    feature = {"type": "Feature", "id": "harbour", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    zones = read(json.dumps({"type": "FeatureCollection", "features": [feature]}).encode())
    zone_store.import_zones(system.settings.kafka, system.settings.namespace, zones, "tester")
    system.until(lambda: system.http.put(path, json={"preference": "PREFERRED"}).status_code == 200, "taken")

    def stored() -> tuple[object, ...] | None:
        with psycopg.connect(system.settings.postgres) as connection:
            return connection.execute(
                "SELECT preferred_in, unavailable_in FROM drivers WHERE driver_id = 'zoe'"
            ).fetchone()

    system.until(lambda: stored() == (["harbour"], None), "in the table")
    assert system.http.put(path, json={"preference": "UNAVAILABLE"}).json()["outcome"] == "accepted"
    system.until(lambda: stored() == (None, ["harbour"]), "changed in the table")
    assert system.http.put(path, json={"preference": "AVAILABLE"}).json()["outcome"] == "accepted"
    system.until(lambda: stored() == (None, None), "taken back in the table")
