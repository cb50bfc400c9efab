"""What goes wrong, by what the caller should do. BatonError > Unreachable, ProblemAnswer > one for each status."""

from collections.abc import Mapping
from typing import Any


class BatonError(Exception):
    """Anything that this client raises."""


class Unreachable(BatonError):
    """No answer came, as often as it was tried. Whether it was done is not known: ask again with the same key."""


class ProblemAnswer(BatonError):
    """The gateway answered with an error. Go by `code`; `detail` is for people."""

    def __init__(self, status: int, body: Mapping[str, Any], request_id: str = "") -> None:
        self.status, self.body, self.request_id = status, dict(body), request_id
        self.code = str(body.get("code", "http_error"))
        self.detail = str(body.get("detail", ""))
        self.errors: list[dict[str, Any]] = list(body.get("errors") or [])
        super().__init__(f"{status} {self.code}: {self.detail}")


class NotSignedIn(ProblemAnswer):
    """401: sign in anew."""


class NotAllowed(ProblemAnswer):
    """403: this role, or this resource, is not yours."""


class Unknown(ProblemAnswer):
    """404: there is no such thing."""


class Conflict(ProblemAnswer):
    """409, 412: refused as things stand; `code` says why."""


class NotTaken(ProblemAnswer):
    """400, 413, 415, 422 and the like: put the request right."""


class TooOften(ProblemAnswer):
    """429: wait."""


class Unavailable(ProblemAnswer):
    """503: try later."""


class Faulty(ProblemAnswer):
    """500: a fault of the gateway's; it was logged under `request_id`."""


_BY_STATUS = {
    401: NotSignedIn, 403: NotAllowed, 404: Unknown, 409: Conflict, 412: Conflict, 429: TooOften, 503: Unavailable,
}  # fmt: skip


def problem(status: int, body: Mapping[str, Any], request_id: str = "") -> ProblemAnswer:
    """The exception of an answer."""
    kind = _BY_STATUS.get(status, Faulty if status >= 500 else NotTaken)
    return kind(status, body, request_id)
