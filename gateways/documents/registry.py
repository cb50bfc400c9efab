"""The schema registry over HTTP, for reading only, as Confluent's clients ask it.

Source of the form: docs.confluent.io, "Schema Registry API Reference". Errors are `{"error_code", "message"}`.
"""

import json
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from dispatch.contract import registry
from dispatch.contract.registry import Registered

MEDIA = "application/vnd.schemaregistry.v1+json"
COMPATIBILITY = "FULL_TRANSITIVE"
"""Every version of a subject reads every other; a test holds it."""
_SUBJECT, _VERSION, _SCHEMA, _BAD_VERSION, _BAD_SCHEMA, _READ_ONLY = 40401, 40402, 40403, 42202, 42201, 42205


class RegistryError(Exception):
    """An answer that is an error, in Confluent's words. The first three digits of its code are the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


async def on_registry_error(_request: Request, error: Exception) -> Response:
    """The error as a response."""
    assert isinstance(error, RegistryError)
    return _answer({"error_code": error.code, "message": error.message}, error.code // 100)


def routes() -> APIRouter:
    """The router. Its application answers RegistryError with `on_registry_error`."""
    router = APIRouter(tags=["registry"])
    _by_id(router)
    _by_subject(router)
    _refusals(router)

    @router.get("/config")
    @router.get("/config/{subject}")
    async def config(subject: str = "") -> Response:
        """How versions of a subject must agree."""
        if subject:
            _versions(subject)
        return _answer({"compatibilityLevel": COMPATIBILITY})

    @router.get("/mode")
    async def mode() -> Response:
        """Schemas come with a release; nothing is written over HTTP."""
        return _answer({"mode": "READONLY"})

    return router


def _by_id(router: APIRouter) -> None:
    @router.get("/schemas/types")
    async def types() -> Response:
        """Which kinds of schema there are."""
        return _answer(["AVRO"])

    @router.get("/schemas/ids/{schema_id}")
    async def schema(schema_id: str) -> Response:
        """The schema that bytes name by this id."""
        return _answer({"schema": _text(_of_id(schema_id))})

    @router.get("/schemas/ids/{schema_id}/schema")
    async def bare_schema(schema_id: str) -> Response:
        """The schema itself."""
        return _answer(_of_id(schema_id).schema)

    @router.get("/schemas/ids/{schema_id}/versions")
    async def versions_of_id(schema_id: str) -> Response:
        """Which version of which subject it is."""
        row = _of_id(schema_id)
        return _answer([{"subject": row.subject, "version": row.version}])

    @router.get("/schemas/ids/{schema_id}/subjects")
    async def subjects_of_id(schema_id: str) -> Response:
        """Which subject it belongs to."""
        return _answer([_of_id(schema_id).subject])


def _by_subject(router: APIRouter) -> None:
    @router.get("/subjects")
    async def subjects() -> Response:
        """The records' full names."""
        return _answer(sorted(registry.latest()))

    @router.get("/subjects/{subject}/versions")
    async def versions(subject: str) -> Response:
        """The numbers of its versions."""
        return _answer([row.version for row in _versions(subject)])

    @router.get("/subjects/{subject}/versions/{version}")
    async def version_of(subject: str, version: str) -> Response:
        """One version, or the `latest`."""
        return _answer(_told(_version(subject, version)))

    @router.get("/subjects/{subject}/versions/{version}/schema")
    async def bare_version(subject: str, version: str) -> Response:
        """The schema of one version itself."""
        return _answer(_version(subject, version).schema)

    @router.post("/subjects/{subject}")
    async def look_up(subject: str, request: Request) -> Response:
        """Which version of the subject this schema is: the body is `{"schema": "..."}`."""
        rows, wanted = _versions(subject), _schema_in(await request.body())
        for row in reversed(rows):
            if row.schema == wanted:
                return _answer(_told(row))
        raise RegistryError(_SCHEMA, "Schema not found")


def _refusals(router: APIRouter) -> None:
    async def refused(request: Request) -> Response:
        """Refused: schemas come with a release of Baton."""
        raise RegistryError(_READ_ONLY, f"{request.method} is refused: the registry is in read-only mode")

    for method, path in WRITES:
        name = f"registry_refuses_{method.lower()}_{'_'.join(part.strip('{}') for part in path.split('/') if part)}"
        router.add_api_route(path, refused, methods=[method], operation_id=name, include_in_schema=False)


WRITES = (
    ("POST", "/subjects/{subject}/versions"),
    ("DELETE", "/subjects/{subject}"),
    ("DELETE", "/subjects/{subject}/versions/{version}"),
    ("PUT", "/config"),
    ("PUT", "/config/{subject}"),
    ("DELETE", "/config/{subject}"),
    ("PUT", "/mode"),
)
"""What Confluent's clients may try, and is refused."""


def _answer(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=MEDIA)


def _text(row: Registered) -> str:
    return json.dumps(row.schema, separators=(",", ":"))


def _told(row: Registered) -> dict[str, Any]:
    return {"subject": row.subject, "version": row.version, "id": row.id, "schema": _text(row)}


def _of_id(asked: str) -> Registered:
    rows = registry.registered()
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 9 and 1 <= int(asked) <= len(rows)):
        raise RegistryError(_SCHEMA, f"Schema {asked[:40]} not found")
    return rows[int(asked) - 1]


def _versions(subject: str) -> list[Registered]:
    rows = [row for row in registry.registered() if row.subject == subject]
    if not rows:
        raise RegistryError(_SUBJECT, f"Subject '{subject[:100]}' not found.")
    return rows


def _version(subject: str, asked: str) -> Registered:
    rows = _versions(subject)
    if asked in ("latest", "-1"):
        return rows[-1]
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 9 and int(asked) >= 1):
        wanted = 'Allowed values are between [1, 2^31-1] and the string "latest"'
        raise RegistryError(_BAD_VERSION, f"The specified version '{asked[:40]}' is not a valid version id. {wanted}")
    for row in rows:
        if row.version == int(asked):
            return row
    raise RegistryError(_VERSION, f"Version {int(asked)} not found.")


def _schema_in(body: bytes) -> Any:
    try:
        return json.loads(json.loads(body)["schema"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        wanted = 'wanted is {"schema": "an Avro schema as text"}'
        raise RegistryError(_BAD_SCHEMA, f"Invalid schema: {wanted}") from error
