"""Every route as an impatient newcomer uses it: each mistake is told as a problem with a code and a sentence."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from whole_system import System, an_order, problem

pytestmark = pytest.mark.servers
JSON = {"content-type": "application/json"}
BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "nothing": (b"", {}),
    "no JSON": (b"{x", JSON),
    "nothing in it": (b"{}", JSON),
    "null": (b"null", JSON),
    "a list": (b"[]", JSON),
    "text": (b'"hi"', JSON),
    "unknown field": (b'{"colour": "red"}', JSON),
    "no UTF-8": (b'{"note": "\xff"}', JSON),
    "half a character": (b'{"reason": "\\ud800", "note": "\\ud800", "\\ud800": 1}', JSON),
    "NUL": (b'{"reason": "a\\u0000", "colour": "a\\u0000"}', JSON),
    "NaN": (b'{"lat": NaN, "lng": Infinity, "minutes": NaN, "prep_s": NaN, "colour": 1}', JSON),
    "a long number": (b'{"minutes": 1' + b"0" * 5000 + b"}", JSON),
    "nested": (b"[" * 30_000, JSON),
    "a megabyte": (b'{"note": "' + b"x" * 1_000_000 + b'"}', JSON),
    "a form": (b"reason=x", {"content-type": "application/x-www-form-urlencoded"}),
    "plain": (b'{"reason": "x"}', {"content-type": "text/plain"}),
}
FREE = {"/v2/drivers/{driver_id}/offers/{offer_id}/accept", "/v2/drivers/{driver_id}/shift/end",
        "/v2/drivers/{driver_id}/availability/end-shift"}  # fmt: skip
"""Their body may be left out."""
NAMES = ("%00", "a%20b", "x" * 200, "%F0%9F%98%80", "%ff")
CODES = {400: {"not_json", "bad_path"},
         404: {"unknown_driver", "unknown_order", "unknown_offer", "unknown_token", "not_held"},
         413: {"too_large"}, 415: {"json_wanted"}, 422: {"invalid", "too_many_pings"}}  # fmt: skip


def routes(system: System) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """All but the registry's, which speak of errors as Confluent's clients want them (tests/documents)."""
    for path, methods in system.http.get("/openapi.json").json()["paths"].items():
        if path.startswith(("/schemas/", "/subjects", "/config")):
            continue
        for method, route in methods.items():
            yield method.upper(), path, route


def at(path: str, name: str) -> str:
    for part in ("driver_id", "delivery_id", "offer_id", "seller_id", "seller_order_id"):
        path = path.replace("{" + part + "}", name)
    return path


def is_told(answer: httpx.Response, where: str) -> None:
    assert answer.status_code in CODES, f"{where}: {answer.status_code} {answer.text[:300]}"
    body = problem(answer, answer.status_code, answer.json().get("code", ""))
    assert body["code"] in CODES[answer.status_code], f"{where}: {body}"
    assert len(body["detail"]) > 15, f"{where}: {body}"


def test_a_wrong_body_is_told_on_every_route(system: System) -> None:
    tried = 0
    for method, path, route in routes(system):
        if "requestBody" not in route:
            continue
        for what, (content, headers) in BODIES.items():
            if path in FREE and what in ("nothing", "nothing in it", "null"):
                continue
            answer = system.http.request(method, at(path, str(uuid.uuid4())), content=content, headers=headers)
            is_told(answer, f"{method} {path} with {what}")
            tried += 1
    assert tried > 300


def test_a_name_that_can_be_none_is_told_on_every_route(system: System) -> None:
    tried = 0
    for method, path, route in routes(system):
        if "{" not in path:
            continue
        for name in NAMES:
            content = b"{}" if "requestBody" in route else b""
            answer = system.http.request(method, at(path, name), content=content, headers=JSON)
            is_told(answer, f"{method} {path} of {name}")
            assert answer.status_code in (400, 422) or (answer.status_code == 404 and "{token}" in path)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize("name", ["nobody", "edd4c2b6-6555-4e88-9bdd-ade4ffc69f25"])
def test_what_is_unknown_is_told_where_there_is_something_to_read(system: System, name: str) -> None:
    asked = [path for method, path, _ in routes(system) if method == "GET" and "{" in path]
    told = [path for path in asked if not path.endswith("/offers")]
    assert told
    for path in told:
        is_told(system.http.get(at(path, name)), path)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"placed_at": "9999-12-31T23:59:59-14:00"}, "at most 300 s"), ({"placed_at": "0001-01-01T00:00:00Z"}, "0 to"),
        ({"placed_at": 1e300}, "valid datetime"), ({"placed_at": "soon"}, "valid datetime"),
        ({"customer": {"name": "\ud800"}}, "valid string"), ({"customer": {"phone": "a\x00"}}, "NUL"),
        ({"order_value_minor": 1.5}, "integer"), ({"order_value_minor": 10**30}, "less than"),
        ({"seller_id": ""}, "at least 1"), ({"pickup": None}, "valid dictionary"),
    ],
)  # fmt: skip
def test_an_order_that_cannot_be_is_refused_at_both_doors(system: System, changes: dict[str, Any], word: str) -> None:
    for path in ("/v2/orders", "/v2/orders/ready", "/events/seller-order-ready"):
        answer = system.post(path, an_order(**changes))
        assert answer.status_code == 422, answer.text
        assert word in problem(answer, 422, answer.json()["code"])["detail"]


def test_what_is_wrong_with_pings_is_told_with_its_number(system: System) -> None:
    path = "/v2/drivers/zoe/location"
    wrong = problem(system.http.put(path, json=[{"lat": 1, "lng": 1}, {"lat": 100, "lng": 1}]), 422, "invalid")
    assert wrong["errors"][0]["field"] == "pings.1.lat"
    late = {"lat": 1, "lng": 1, "at": "2999-01-01T00:00:00Z"}
    assert problem(system.http.put(path, json=late), 422, "invalid")["errors"][0]["field"] == "ping.at"
    problem(system.http.put(path, json=[{"lat": 1, "lng": 1}] * 501), 422, "too_many_pings")


def test_what_is_not_there_says_what_is(system: System) -> None:
    assert "openapi.json" in problem(system.http.get("/"), 404, "not_found")["detail"]
    answer = system.http.patch("/v2/orders")
    assert "POST" in problem(answer, 405, "method_not_allowed")["detail"]
    assert answer.headers["allow"] == "POST"
    problem(system.http.post("/v2/orders", content=iter([b"{}"]), headers=JSON), 422, "invalid")
    problem(system.http.get("/v2/admin/unassigned-orders", params={"limit": 0}), 422, "invalid")
    problem(system.post("/v2/admin/drivers/zoe/pause", {"reason": "r"}, **{"x-actor-id": "a b"}), 422, "invalid")
    for name in ("%00", "a%20b"):
        with pytest.raises(InvalidStatus), system.socket(name):
            raise AssertionError("connected")


def test_a_fault_is_logged_with_its_place_and_without_what_was_sent(
    system: System, capfd: pytest.CaptureFixture[str]
) -> None:
    sent = json.dumps(an_order())

    async def broken() -> None:
        raise ValueError(sent)

    app: Any = system.server.config.app
    app.add_api_route("/broken", broken)
    body = problem(system.http.get("/broken"), 500, "fault")
    assert "Clara" not in json.dumps(body)
    logged = "".join(capfd.readouterr())
    assert "ValueError" in logged
    assert "in broken" in logged
    assert "Clara" not in logged
