"""The OpenAPI document: what FastAPI knows of the routes, with what each answers, who may ask, and examples."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from dispatch.config import Settings
from gateways.access.doors import DOORS, Door
from gateways.documents import desk_shapes, shapes
from gateways.documents.answers import ANSWERS
from gateways.documents.examples import BODIES
from gateways.documents.row import TAGS, Answer

Document = dict[str, Any]
_REF = "#/components/schemas/{model}"
_ABOUT = """Baton takes an order that is ready at a store and sees it into a customer's hands.

Times are ISO-8601 in UTC, money in minor units with its currency. Errors are problem details (RFC 9457) with a stable
`code`. With an `Idempotency-Key` a request that is sent again has the same outcome. Readers pass over fields and codes
that they do not know. Topics and sockets: `GET /asyncapi.json`; Avro schemas: `GET /subjects`.
"""
_MEANINGS = {
    400: "The request cannot be read: its path, its headers, or a body that is not JSON.",
    401: "Who asks is not known.",
    403: "Who asks may not.",
    404: "It is not known.",
    409: "Refused, with the reason in `code`.",
    411: "The body's length is not told.",
    413: "The body is too large.",
    415: "JSON is wanted.",
    422: "A value is not allowed.",
    429: "Too many requests; `Retry-After` tells when.",
    503: "A part is away, or the gateway is ending; `Retry-After` tells when.",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key, the same outcome, decided once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Signed by the issuer."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "Made by `baton keys`."},
}


def document(app: FastAPI) -> Document:
    """The whole document of these routes."""
    made = get_openapi(
        title="Baton", version=app.version, openapi_version="3.1.0", description=_ABOUT, routes=app.routes,
        tags=[{"name": name, "description": about} for name, about in TAGS.items()],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )  # fmt: skip
    components = made.setdefault("components", {})
    kept = {name: one for name, one in components.get("schemas", {}).items() if "ValidationError" not in name}
    for name, example in BODIES.items():
        if name in kept:
            kept[name]["examples"] = [example]
    components["schemas"] = dict(sorted({**kept, **_shapes()}.items()))
    components["securitySchemes"] = SCHEMES
    doors = {(door.method, door.path): door for door in DOORS}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method.upper(), path, doors.get((method.upper(), path)))
    return made


def _complete(operation: Document, method: str, path: str, door: Door | None) -> None:
    answer = ANSWERS.get(f"{method} {path}")
    about = str(operation.get("description", ""))
    operation["summary"] = about.split(". ")[0].split("\n")[0].rstrip(".") or operation.get("summary", "")
    if answer is not None:
        operation["operationId"], operation["tags"] = answer.id, [answer.tag]
    asked = operation.get("parameters", [])
    if answer is not None and answer.decided:
        operation["parameters"] = asked = [*asked, _KEY]
    roles = sorted(door.roles) if door else []
    operation["security"] = [{"token": []}, {"apiKey": []}] if roles else []
    operation["x-roles"] = roles
    operation["responses"] = _successes(operation, answer) | _errors(operation, method, path, answer, bool(roles))


def _successes(operation: Document, answer: Answer | None) -> Document:
    own: Document = {
        status: response
        for status, response in operation["responses"].items()
        if status.startswith("2") and _described(response)
    }
    if answer is None or own:
        return own or {status: one for status, one in operation["responses"].items() if status.startswith("2")}
    made: Document = {str(answer.status): _success(answer)}
    if answer.decided:
        if answer.status == 201:
            made["200"] = _json("It was so before; nothing changed.", shapes.Outcome)
        made["202"] = _json("Not decided in time; it will be.", shapes.Pending)
    for status, meaning in answer.also.items():
        made[str(status)] = _success(answer) | {"description": meaning} if status != 204 else {"description": meaning}
    return made


def _described(response: Document) -> bool:
    """Whether the route itself says how its answer looks."""
    return any(media.get("schema") for media in response.get("content", {}).values())


def _success(answer: Answer) -> Document:
    if answer.status == 204:
        return {"description": "Done."}
    if answer.media.startswith("text/"):
        return {"description": "As text.", "content": {answer.media: {"schema": {"type": "string"}}}}
    if answer.shape is None:
        kind = "integer" if answer.example and isinstance(answer.example[0], int) else "string"
        schema: Document = {"type": "array", "items": {"type": kind}}
    elif isinstance(answer.shape, list):
        schema = {"type": "array", "items": _ref(answer.shape[0])}
    else:
        schema = _ref(answer.shape)
    media: Document = {"schema": schema}
    if answer.example is not None:
        media["example"] = answer.example
    about = "Done." if isinstance(answer.shape, list) or not answer.shape else _about(answer.shape)
    return {"description": about, "content": {answer.media: media}}


def _errors(operation: Document, method: str, path: str, answer: Answer | None, guarded: bool) -> Document:
    statuses = {400, 429, 503}
    if guarded:
        statuses |= {401, 403}
    if "{" in path:
        statuses |= {404}
    if operation.get("parameters") or "requestBody" in operation:
        statuses |= {422}
    if method in ("POST", "PUT", "PATCH"):
        statuses |= {411, 413, 415, 422}
    if answer is not None and answer.decided:
        statuses |= {404, 409}
    if answer is not None and answer.tag == "registry":
        media = {answer.media: {"schema": _ref(shapes.RegistryError)}}
        own = {404: media, 422: media}
    else:
        own = {}
    problem = {"application/problem+json": {"schema": _ref(shapes.Problem)}}
    told = {int(status) for status in operation["responses"] if re.fullmatch("[45][0-9][0-9]", status)}
    return {
        str(status): {"description": _MEANINGS.get(status, "An error."), "content": own.get(status, problem)}
        for status in sorted(statuses | told)
    }


def _json(about: str, shape: type[shapes.Shape]) -> Document:
    return {"description": about, "content": {"application/json": {"schema": _ref(shape)}}}


def _ref(shape: Any) -> Document:
    return {"$ref": _REF.format(model=shape.__name__)}


def _about(shape: Any) -> str:
    return str(shape.__doc__ or "Done.").split("\n")[0]


def _shapes() -> Document:
    models = [
        value
        for value in (vars(shapes) | vars(desk_shapes)).values()
        if isinstance(value, type) and issubclass(value, shapes.Shape) and value is not shapes.Shape
    ]
    _, made = models_json_schema([(model, "serialization") for model in models], ref_template=_REF, by_alias=True)
    schemas: Document = made["$defs"]
    return schemas


def of_no_gateway() -> Document:
    """The document of this release, without connecting to anything."""
    from gateways.app import create_app

    addresses = {"kafka": "127.0.0.1:1", "postgres": "postgresql://127.0.0.1:1/none", "valkey": "redis://127.0.0.1:1"}
    made: Document = create_app(Settings.model_validate(addresses)).openapi()
    return made
