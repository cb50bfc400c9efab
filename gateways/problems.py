"""Errors as problem details (RFC 9457), each with a stable code."""

import traceback
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from dispatch.contract.errors import OutOfLimits
from dispatch.log import logs

_TITLES = {
    400: "The request cannot be read", 401: "Sign-in is wanted", 403: "Not allowed",
    404: "Not found", 405: "This method is not offered here",
    408: "The request is too slow", 409: "Refused", 413: "The body is too large", 414: "The target is too long",
    415: "JSON is wanted", 422: "A value is not allowed", 429: "Too many requests", 431: "The headers are too large",
    500: "A fault of ours", 503: "Not available now", 504: "No answer in time",
}  # fmt: skip
_NOT_FOUND = ("unknown_order", "unknown_driver", "unknown_zone")
_SEEN_CHARACTERS = 200
_POLICY_VIOLATED = 1008
logger = logs.get("gateways")


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more
        self.headers: Mapping[str, str] = {}


def refused(code: str, detail: str) -> Problem:
    """What the decider refused: 404 for what is unknown, 409 otherwise."""
    return Problem(404 if code in _NOT_FOUND else 409, code, detail or code)


def unreachable(what: str) -> Problem:
    """A part that is needed does not answer."""
    problem = Problem(503, "unavailable", f"{what} does not answer; try again.")
    problem.headers = {"retry-after": "1"}
    return problem


def overloaded() -> Problem:
    """More requests wait for their answer than this gateway takes at once."""
    problem = Problem(503, "overloaded", "Too many requests are being answered just now; try again.")
    problem.headers = {"retry-after": "1"}
    return problem


async def refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """The problem as the answer; a socket is refused before it is accepted."""
    answer = respond(HTTPConnection(scope), problem)
    if scope["type"] == "http":
        await answer(scope, receive, send)
        return
    socket = WebSocket(scope, receive, send)
    if "websocket.http.response" in scope.get("extensions", {}):
        await socket.send_denial_response(answer)
    else:
        await socket.close(_POLICY_VIOLATED, problem.code)


def respond(request: HTTPConnection, problem: Problem) -> Response:
    """The problem as a response."""
    body = {
        "type": f"urn:baton:problem:{problem.code}",
        "title": _TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "instance": _readable(request.scope["path"]),
        "request_id": request.scope.get("state", {}).get("request_id", ""),
        **problem.more,
    }
    return Response(orjson.dumps(body), problem.status, dict(problem.headers), media_type="application/problem+json")


async def on_problem(request: Request, error: Exception) -> Response:
    """Ours."""
    assert isinstance(error, Problem)
    return respond(request, error)


async def on_limits(request: Request, error: Exception) -> Response:
    """A value that the contract does not allow."""
    assert isinstance(error, OutOfLimits)
    wrong = [{"field": error.place, "reason": error.reason}]
    return respond(request, Problem(422, "out_of_limits", error.reason, errors=wrong))


async def on_validation(request: Request, error: Exception) -> Response:
    """A body or parameter of the wrong form."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return respond(request, Problem(400, "not_json", f"The body is not JSON: {_readable(first['ctx']['error'])}."))
    kind = request.headers.get("content-type", "")
    if first["loc"][0] == "body" and "json" not in kind and request.headers.get("content-length", "0") != "0":
        detail = f"The body is {_readable(kind) or 'of no content-type'}; application/json is wanted."
        return respond(request, Problem(415, "json_wanted", detail))
    wrong = [
        {
            "field": _readable(".".join(str(part) for part in entry["loc"][1:]) or str(entry["loc"][0])),
            "seen": _readable(str(entry.get("input"))),
            "reason": _readable(entry["msg"].removeprefix("Value error, ")),
        }
        for entry in error.errors()[:20]
    ]
    detail = f"{wrong[0]['field']}: {wrong[0]['reason']}"
    return respond(request, Problem(422, "invalid", detail, errors=wrong))


async def on_http(request: Request, error: Exception) -> Response:
    """Starlette's own: no such page, no such method, a body that its parser gives up."""
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow", "")
    code, detail = {
        400: ("not_json", "The body is not JSON: not UTF-8, nested too deeply, or with a number too long."),
        404: ("not_found", "Nothing is at this path; GET /openapi.json lists what there is."),
        405: ("method_not_allowed", f"{request.method} is not offered here; {allowed or 'another method'} is."),
    }.get(error.status_code, ("http_error", str(error.detail)))
    problem = Problem(error.status_code, code, detail)
    problem.headers = {"allow": allowed} if allowed else {}
    return respond(request, problem)


async def on_fault(request: Request, error: Exception) -> Response:
    """Anything else is our fault."""
    log_fault(request, error)
    return respond(request, Problem(500, "fault", "Something went wrong here; it was logged."))


def log_fault(request: HTTPConnection, error: Exception) -> None:
    """Names door, kind and place, but not the message nor the path, which may quote personal data or a token."""
    door = getattr(request.scope.get("state", {}).get("door"), "path", "unknown")
    place = "".join(traceback.format_tb(error.__traceback__))
    logger.error("fault", door=door, kind=type(error).__name__, place=place)


def _readable(text: str) -> str:
    """Cut short, and without what JSON cannot carry."""
    return text[:_SEEN_CHARACTERS].encode(errors="replace").decode()
