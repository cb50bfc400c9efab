"""The OpenAPI document says of every door what it takes, what it answers, and who may ask."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from in_process import Asked
from pydantic import TypeAdapter

from dispatch.config import Settings
from gateways import models
from gateways.access.doors import DOORS
from gateways.app import create_app
from gateways.documents import examples
from gateways.documents.answers import ANSWERS
from gateways.documents.row import TAGS

NOT_TOLD = ("/docs", "/openapi.json")


@pytest.fixture(scope="module")
def app() -> Any:
    nowhere = Settings(kafka="127.0.0.1:1", postgres="postgresql://127.0.0.1:1/x", valkey="redis://127.0.0.1:1")
    return create_app(nowhere)


@pytest.fixture(scope="module")
def document(app: Any) -> dict[str, Any]:
    made: dict[str, Any] = app.openapi()
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_has_a_row_and_no_row_is_left_over(document: dict[str, Any]) -> None:
    told = {where for where, _ in operations(document)}
    assert told - set(ANSWERS) == set(), "add a row to gateways/documents/answers.py or desk_answers.py"
    assert set(ANSWERS) - told == set()


def test_ids_are_unique_and_tags_known(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert {tag for _, operation in operations(document) for tag in operation["tags"]} <= set(TAGS)


def test_every_operation_says_what_comes_of_it(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        assert operation["summary"], where
        success = [status for status in operation["responses"] if status.startswith("2")]
        errors = [status for status in operation["responses"] if status.startswith("4")]
        assert success, where
        assert errors, where
        for status in success:
            if status != "204":
                assert operation["responses"][status]["content"], (where, status)
        for status in errors:
            for media in operation["responses"][status]["content"].values():
                assert media["schema"]["$ref"].rsplit("/", 1)[1] in ("Problem", "RegistryError"), (where, status)


def test_who_may_ask_is_as_in_the_table_of_doors(document: dict[str, Any]) -> None:
    doors = {f"{door.method} {door.path}": door for door in DOORS}
    for where, operation in operations(document):
        assert operation["x-roles"] == sorted(doors[where].roles), where
        assert bool(operation["security"]) == bool(doors[where].roles), where


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def look(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            for name, value in part.items():
                if name == "$ref":
                    yield value
                else:
                    yield from look(value)
        elif isinstance(part, list):
            for value in part:
                yield from look(value)

    for reference in set(look(document)):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_examples_are_what_the_models_take_and_the_shapes_describe(document: dict[str, Any]) -> None:
    for name, body in examples.BODIES.items():
        TypeAdapter(getattr(models, name)).validate_python(body)
        assert document["components"]["schemas"][name]["examples"] == [body]
    for where, operation in operations(document):
        for response in operation["responses"].values():
            for media in response.get("content", {}).values():
                if "example" in media:
                    schema = {**media["schema"], "components": document["components"]}
                    jsonschema.Draft202012Validator(schema).validate(media["example"])
        assert where


def test_the_page_loads_nothing_from_elsewhere(app: Any) -> None:
    asked = Asked(app)
    page = asked.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("https://baton", "")
    assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
    for place in ("swagger-ui.js", "swagger-ui.css", "page.js", "page.css"):
        assert f'"/docs/{place}"' in page.text
        given = asked.get(f"/docs/{place}")
        assert given.status_code == 200
        assert len(given.content) > 100
    assert "<script>" not in page.text
    assert asked.get("/openapi.json").json()["openapi"].startswith("3.1")
