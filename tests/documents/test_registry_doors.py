"""The registry's HTTP form: what it answers, what it refuses, and in which words."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from in_process import Asked

from dispatch.contract import registry
from gateways.documents import registry as doors

SUBJECT = "baton.delivery_events.DriverAccepted"


@pytest.fixture(scope="module")
def asked() -> Asked:
    app = FastAPI()
    app.include_router(doors.routes())
    app.add_exception_handler(doors.RegistryError, doors.on_registry_error)
    return Asked(app)


def refused(answer: httpx.Response, code: int) -> None:
    assert (answer.status_code, answer.json()["error_code"]) == (code // 100, code), answer.text
    assert answer.json()["message"]
    assert answer.headers["content-type"] == doors.MEDIA


def test_every_id_gives_its_schema_and_where_it_stands(asked: Asked) -> None:
    for row in registry.registered():
        answer = asked.get(f"/schemas/ids/{row.id}")
        assert answer.headers["content-type"] == doors.MEDIA
        assert json.loads(answer.json()["schema"]) == row.schema == asked.get(f"/schemas/ids/{row.id}/schema").json()
        place = {"subject": row.subject, "version": row.version}
        assert asked.get(f"/schemas/ids/{row.id}/versions").json() == [place]
        assert asked.get(f"/schemas/ids/{row.id}/subjects").json() == [row.subject]


def test_every_subject_has_its_versions_and_a_latest(asked: Asked) -> None:
    assert set(asked.get("/subjects").json()) == {row.subject for row in registry.registered()}
    for subject, newest in registry.latest().items():
        numbers = asked.get(f"/subjects/{subject}/versions").json()
        assert numbers == list(range(1, newest.version + 1))
        latest: dict[str, Any] = asked.get(f"/subjects/{subject}/versions/latest").json()
        assert (latest["id"], latest["version"], latest["subject"]) == (newest.id, newest.version, subject)
        assert asked.get(f"/subjects/{subject}/versions/-1").json() == latest
        assert asked.get(f"/subjects/{subject}/versions/{newest.version}/schema").json() == newest.schema


def test_a_schema_is_looked_up(asked: Asked) -> None:
    newest = registry.latest()[SUBJECT]
    found = asked.post(f"/subjects/{SUBJECT}", json={"schema": json.dumps(newest.schema, indent=3)})
    assert (found.status_code, found.json()["id"]) == (200, newest.id)
    refused(asked.post(f"/subjects/{SUBJECT}", json={"schema": '"string"'}), 40403)
    refused(asked.post("/subjects/nobody", json={"schema": '"string"'}), 40401)
    for wrong in ("", "[]", "{}", '{"schema": 1}', '{"schema": "{"}', "[" * 5000, '{"schema": "' + "[" * 50_000 + '"}'):
        refused(asked.post(f"/subjects/{SUBJECT}", content=wrong), 42201)


def test_what_is_unknown_is_told_in_confluents_codes(asked: Asked) -> None:
    for number in ("0", "99999", "-1", "abc", "²", "9" * 30):
        refused(asked.get(f"/schemas/ids/{number}"), 40403)
    refused(asked.get("/subjects/nobody/versions"), 40401)
    refused(asked.get("/config/nobody"), 40401)
    refused(asked.get(f"/subjects/{SUBJECT}/versions/999"), 40402)
    for number in ("0", "newest", "-2", "1.0"):
        refused(asked.get(f"/subjects/{SUBJECT}/versions/{number}"), 42202)


def test_the_rest_is_as_clients_expect(asked: Asked) -> None:
    assert asked.get("/schemas/types").json() == ["AVRO"]
    for path in ("/config", f"/config/{SUBJECT}"):
        assert asked.get(path).json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert asked.get("/mode").json() == {"mode": "READONLY"}


@pytest.mark.parametrize(("method", "path"), doors.WRITES)
def test_nothing_is_written(asked: Asked, method: str, path: str) -> None:
    place = path.replace("{subject}", SUBJECT).replace("{version}", "1")
    refused(asked.request(method, place, json={"schema": '"string"', "compatibility": "NONE"}), 42205)
