"""Policy, flags, zones, bonuses, and what is asked before checkout: through the doors of a whole running system."""

import json
import threading
import uuid
from typing import Any

import httpx
import psycopg
import pytest
from whole_system import PLACE, System, an_order, heard, problem

from dispatch.core.policy import Policy, SearchPolicy
from dispatch.core.policy_document import parse
from gateways.commerce.rules_doors import merged

pytestmark = pytest.mark.servers
WHY = {"reason": "a quiet evening"}
WHO = {"X-Actor-Id": "olga"}


def change(system: System, changes: Any, etag: str = "*", status: int = 200) -> httpx.Response:
    body = {"changes": changes, **WHY}
    headers = {"If-Match": etag, "content-type": "application/json", **WHO}
    answer = system.http.patch("/v2/admin/policy", content=json.dumps(body), headers=headers)
    assert answer.status_code == status, answer.text
    return answer


def a_map(name: str = "centre", lng: float = PLACE["lng"] - 0.05) -> dict[str, Any]:
    lat = PLACE["lat"] - 0.05
    ring = [[lng, lat], [lng + 0.1, lat], [lng + 0.1, lat + 0.1], [lng, lat + 0.1], [lng, lat]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "id": name, "properties": {"name": name.title()}, "geometry": shape}


def imported(system: System, *features: dict[str, Any], **query: Any) -> httpx.Response:
    body = {"type": "FeatureCollection", "features": list(features)}
    return system.http.put("/v2/admin/zones", params={**WHY, **query}, json=body, headers=WHO)


def test_the_policy_is_read_and_changed_from_the_version_that_was_read(system: System) -> None:
    found = system.http.get("/v2/admin/policy")
    assert found.status_code == 200, found.text
    before = found.json()
    assert (before["version"], found.headers["etag"]) == (3, '"3"')
    assert before["document"]["offer"]["timeout_s"] == 20
    made = change(system, {"offer": {"timeout_s": 19}}, found.headers["etag"])
    assert made.json() == {"version": 4, "differences": [{"field": "offer.timeout_s", "old": 20.0, "new": 19.0}]}
    after = system.http.get("/v2/admin/policy").json()
    assert after["document"]["offer"]["timeout_s"] == 19
    assert (after["actor_id"], after["reason"]) == ("olga", "a quiet evening")
    parse(after["document"])
    problem(change(system, {"offer": {"timeout_s": 1}}, '"3"', 412), 412, "other_version")
    unsaid = system.http.patch("/v2/admin/policy", json={"changes": {}, **WHY})
    problem(unsaid, 428, "version_wanted")
    whole = {"document": after["document"] | {"search": {"radius_m": 4_000}}, **WHY}
    put = system.http.put("/v2/admin/policy", json=whole, headers={"If-Match": '"4"', **WHO})
    assert put.json()["version"] == 5, put.text
    assert {"field": "search.radius_m", "old": 5000, "new": 4000} in put.json()["differences"]
    same = system.http.put("/v2/admin/policy", json=whole, headers={"If-Match": '"5"', **WHO})
    assert same.json() == {"version": 5, "differences": []}
    history = system.http.get("/v2/admin/policy/history", params={"limit": 2}).json()
    assert [one["version"] for one in history["versions"]] == [5, 4]
    older = system.http.get("/v2/admin/policy/history", params={"before": history["before"]}).json()
    assert older["before"] is None
    assert all(one["version"] < 4 for one in older["versions"])


def test_a_refused_policy_is_told_finding_by_finding_and_the_old_one_stays(system: System) -> None:
    before = system.http.get("/v2/admin/policy").json()
    bad = {"offer": {"timeout_s": -1, "timeout": 5}, "search": {"radius_m": 999_999, "retry_first_s": "soon"}}
    body = problem(change(system, bad, status=422), 422, "policy_refused")
    assert {one["field"] for one in body["errors"]} == {"offer.timeout_s", "offer.timeout", "search.retry_first_s"}
    for odd in ({"offer": 5}, {"offer": {"timeout_s": 10**400}}, {"\ud800": 1}, {"by_zone": {"a b": {}}}, {"cost": []}):
        problem(change(system, odd, status=422), 422, "policy_refused")
    checked = system.http.post("/v2/admin/policy/check", json={"document": bad}).json()
    assert not checked["good"]
    assert len(checked["findings"]) == 3
    dry = system.http.post("/v2/admin/policy/check", json={"changes": {"search": {"radius_m": 3_000}}}).json()
    assert dry["good"]
    assert [one["new"] for one in dry["differences"]] == [3_000]
    problem(system.http.post("/v2/admin/policy/check", json={}), 422, "invalid")
    unprintable = {"changes": {}, "reason": "\u0007"}
    answer = system.http.patch("/v2/admin/policy", json=unprintable | {"changes": {"offer": {"timeout_s": 9}}},
                               headers={"If-Match": "*"})  # fmt: skip
    problem(answer, 422, "invalid")
    assert system.http.get("/v2/admin/policy").json() == before


def test_of_two_changes_at_once_from_the_same_version_one_is_made(system: System) -> None:
    etag = system.http.get("/v2/admin/policy").headers["etag"]
    answers: list[int] = []

    def one(timeout_s: int) -> None:
        body = {"changes": {"offer": {"reserve_timeout_s": timeout_s}}, **WHY}
        answers.append(system.http.patch("/v2/admin/policy", json=body, headers={"If-Match": etag}).status_code)

    both = [threading.Thread(target=one, args=(seconds,)) for seconds in (6, 7)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(30)
    assert sorted(answers) == [200, 412]


def test_a_flag_is_set_and_told_with_its_gauges_and_its_history(system: System) -> None:
    flags = {one["flag"]: one for one in system.http.get("/v2/admin/flags").json()["flags"]}
    was = flags["dynamic_pricing"]
    body = {"enabled": True, "rollout_percent": 37, "zones": ["centre"], **WHY}
    made = system.http.put("/v2/admin/flags/dynamic_pricing", json=body, headers=WHO)
    assert made.status_code == 200, made.text
    now = made.json()
    assert (now["rollout_percent"], now["zones"], now["actor_id"], now["changed"]) == (37, ["centre"], "olga", True)
    again = system.http.put("/v2/admin/flags/dynamic_pricing", json=body, headers=WHO).json()
    assert (again["changed"], again["version"]) == (False, now["version"])
    gauge = 'feature_flags_rollout_percent{flag="dynamic_pricing"} 37.0'
    system.until(lambda: gauge in system.http.get("/metrics").text, "in the gateway's gauges")
    (last, *_) = system.http.get("/v2/admin/flags/history", params={"flag": "dynamic_pricing"}).json()["changes"]
    assert last["was"]["rollout_percent"] == was["rollout_percent"]
    assert (last["now"]["rollout_percent"], last["reason"]) == (37, "a quiet evening")
    problem(system.http.put("/v2/admin/flags/unheard_of", json=body), 404, "unknown_flag")
    problem(system.http.put("/v2/admin/flags/dynamic_pricing", json=WHY), 422, "invalid")
    problem(system.http.put("/v2/admin/flags/availability_states", json=body), 422, "invalid")
    problem(system.http.put("/v2/admin/flags/dynamic_pricing", json={"enabled": True}), 422, "invalid")
    back = {"enabled": was["enabled"], "rollout_percent": was["rollout_percent"], "zones": was["zones"], **WHY}
    assert system.http.put("/v2/admin/flags/dynamic_pricing", json=back).json()["changed"]


def test_a_map_is_imported_as_a_whole_or_not_at_all(system: System) -> None:
    made = imported(system, a_map(), a_map("east", PLACE["lng"] + 0.05))
    assert made.status_code == 200, made.text
    version = made.json()["version"]
    etag = f'"{version}"'
    system.until(lambda: system.http.get("/v2/zones").headers["etag"] == etag, "followed")
    shown = system.http.get("/v2/zones")
    assert shown.headers["content-type"] == "application/geo+json"
    assert {one["id"] for one in shown.json()["features"]} == {"centre", "east"}
    at = system.http.get("/v2/zones/at", params=PLACE).json()
    assert (at["zone"], at["name"], at["version"]) == ("centre", "Centre", version)
    assert system.http.get("/v2/zones/at", params={"lat": 1, "lng": 1}).json()["zone"] == "none"
    for wrong in ({"lat": 91, "lng": 1}, {"lat": "nan", "lng": 1}, {"lat": 1}):
        problem(system.http.get("/v2/zones/at", params=wrong), 422, "invalid")
    broken = a_map("south")
    broken["geometry"]["coordinates"][0].pop()
    refused = problem(imported(system, a_map(), broken), 422, "zones_refused")
    assert refused["errors"][0]["field"] == "feature 2 (south)"
    problem(imported(system), 422, "zones_refused")
    problem(system.http.put("/v2/admin/zones", params=WHY, content=b"{", headers={"content-type": "application/json"}),
            422, "zones_refused")  # fmt: skip
    assert system.http.get("/v2/zones").headers["etag"] == etag


def test_drivers_are_asked_to_come_once_in_a_while(system: System) -> None:
    assert imported(system, a_map()).status_code == 200
    path, body = "/v2/admin/zones/centre/request-drivers", {"note": "the fair begins"}
    asked = system.post(path, body, **WHO)
    assert asked.status_code == 202, asked.text
    too_soon = system.post(path, body, **WHO)
    problem(too_soon, 429, "asked_too_soon")
    assert 0 < int(too_soon.headers["retry-after"]) <= 601
    problem(system.post("/v2/admin/zones/nowhere/request-drivers", body), 404, "unknown_zone")
    problem(system.post(path, {}), 422, "invalid")


def test_drivers_near_a_zone_hear_that_they_are_wanted_and_those_in_it_a_broadcast(system: System) -> None:
    south = {"lat": PLACE["lat"] - 0.07, "lng": PLACE["lng"]}
    wanted = a_map("wanted", PLACE["lng"] - 0.05)
    assert imported(system, wanted).status_code == 200
    for name, place in (("near", south), ("inside", PLACE)):
        body = {"vehicle": "car", "capacity": 1, "rating": 4.5, **place}
        assert system.post(f"/v2/drivers/{name}/sign-on", body).status_code == 200

    def found(**place: float) -> bool:
        answer = system.post("/v2/serviceability", {"pickup": place, "dropoff": place})
        return answer.status_code == 200 and answer.json()["drivers_near"] != "none"

    system.until(lambda: found(**south) and found(**PLACE), "both in the index")
    system.until(lambda: system.http.get("/v2/zones/at", params=PLACE).json()["zone"] == "wanted", "the map followed")
    with system.socket("near") as near, system.socket("inside") as inside:
        heard(near, "READY"), heard(inside, "READY")
        asked = system.post("/v2/admin/zones/wanted/request-drivers", {"note": "the fair begins"}, **WHO)
        assert asked.status_code == 202, asked.text
        said = heard(near, "ZONE_REQUEST")
        if said["zone_id"] == "centre":  # which another test asked for a moment ago
            said = heard(near, "ZONE_REQUEST")
        assert (said["event"], said["zone_id"], said["note"]) == ("zone_request", "wanted", "the fair begins")
        told = {"text": "Park at the gate.", "zone_id": "wanted", "reason": "the fair"}
        assert system.post("/v2/admin/broadcasts", told, **WHO).status_code == 202
        assert heard(inside, "BROADCAST")["zone_id"] == "wanted"


def test_a_bonus_is_set_listed_and_ended(system: System) -> None:
    assert imported(system, a_map()).status_code == 200
    name = uuid.uuid4().hex
    body = {"incentive_id": name, "zone": "centre", "bonus_minor": 150, "currency": "EUR", "hours": 2, **WHY}
    made = system.post("/v2/admin/incentives", body, **WHO)
    assert made.status_code == 201, made.text
    assert (made.json()["state"], made.json()["actor_id"]) == ("runs", "olga")

    def listed(**query: Any) -> dict[str, Any]:
        found = system.http.get("/v2/admin/incentives", params=query).json()["incentives"]
        return {one["incentive_id"]: one for one in found}

    assert listed()[name]["bonus_minor"] == 150
    path = f"/v2/admin/incentives/{name}"
    problem(system.http.delete(path), 422, "invalid")
    ended = system.http.delete(path, params={"reason": "enough"}, headers=WHO)
    assert (ended.status_code, ended.json()["state"], ended.json()["note"]) == (200, "over", "enough")
    assert name not in listed()
    assert listed(over=True)[name]["state"] == "over"
    problem(system.http.delete(path, params={"reason": "again"}), 422, "invalid")
    problem(system.http.delete("/v2/admin/incentives/unheard", params={"reason": "x"}), 404, "unknown_incentive")
    problem(system.post("/v2/admin/incentives", body | {"zone": "atlantis"}), 404, "unknown_zone")
    for wrong in ({"hours": 1000}, {"currency": "euro"}, {"bonus_minor": 0}, {"starts_at": "2199-01-01T00:00:00Z"}):
        problem(system.post("/v2/admin/incentives", body | wrong), 422, "invalid")


def test_before_checkout_it_is_told_whether_when_and_for_how_much(system: System) -> None:
    assert imported(system, a_map()).status_code == 200
    asked = {"pickup": PLACE, "dropoff": {"lat": 48.01, "lng": 7.86}, "prep_s": 60}
    system.sign_on("nina")

    def answer(**more: Any) -> dict[str, Any]:
        found = system.post("/v2/serviceability", asked | more)
        assert found.status_code == 200, found.text
        told: dict[str, Any] = found.json()
        return told

    system.until(lambda: answer()["serviceable"], "a driver in the index")
    system.until(lambda: answer()["zone"] == "centre", "the map followed")
    yes = answer()
    assert yes["drivers_near"] == "few"
    assert yes["at"] < yes["pickup"]["expected_at"] < yes["delivery"]["expected_at"]
    assert yes["delivery"]["earliest_at"] <= yes["delivery"]["expected_at"] <= yes["delivery"]["latest_at"]
    far = answer(dropoff={"lat": 52.5, "lng": 13.4})
    assert (far["serviceable"], far["why_not"], far["pickup"]) == (False, "too_far", None)
    lonely = answer(pickup={"lat": 10, "lng": 10}, dropoff={"lat": 10, "lng": 10.01})
    assert (lonely["serviceable"], lonely["why_not"], lonely["zone"]) == (False, "no_available_drivers", "none")
    assert lonely["drivers_near"] == "none"
    quoted = system.post("/v2/quotes", asked | {"currency": "EUR"})
    assert quoted.status_code == 201, quoted.text
    quote = quoted.json()
    assert (quote["currency"], quote["zone"], quote["serviceable"]) == ("EUR", "centre", True)
    assert "earning_minor" not in quote
    problem(
        system.post("/v2/quotes", asked | {"dropoff": {"lat": 52.5, "lng": 13.4}, "currency": "EUR"}), 422, "too_far"
    )
    problem(system.post("/v2/quotes", asked | {"currency": "euro"}), 422, "invalid")
    order = an_order(quote_id=quote["quote_id"], dropoff=asked["dropoff"],
                     delivery_fee_minor=quote["delivery_fee_minor"])  # fmt: skip
    placed = system.post("/v2/orders", order).json()
    path = f"/v2/deliveries/{placed['delivery_id']}/audit"
    system.until(lambda: system.http.get(path).status_code == 200, "in the read model")
    created = system.http.get(path).json()["events"][0]["body"]
    assert created["priced_by"] == "quote", json.dumps(created)


def test_a_driver_says_of_a_zone_whether_they_work_there(system: System) -> None:
    system.sign_on("zoe")
    path = "/v2/drivers/zoe/zone-preferences/harbour"
    problem(system.http.put(path, json={"preference": "UNAVAILABLE"}), 404, "unknown_zone")
    problem(system.http.put(path, json={"preference": "SOMETIMES"}), 422, "invalid")
    assert imported(system, a_map("harbour")).status_code == 200
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
    assert system.http.put(path, json={"preference": "PREFERRED"}).json()["outcome"] == "accepted"
    shown = "/v2/drivers/zoe/zone-preferences"
    system.until(lambda: system.http.get(shown).json() == {"preferences": {"harbour": "PREFERRED"}}, "shown")


def test_changes_are_merged_field_by_field() -> None:
    """The examples of RFC 7396, appendix A, that have an object on top."""
    for old, given, new in (
        ({"a": "b"}, {"a": "c"}, {"a": "c"}), ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}), ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}), ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ):  # fmt: skip
        assert merged(old, given) == new
    assert parse(merged({"search": {"radius_m": 7}}, {"search": None})) == Policy(search=SearchPolicy())
