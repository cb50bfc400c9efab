"""Requests as values, and when one is sent again. Pure: no clock, no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Answer = dict[str, Any]
"""An answer's JSON. Shapes: GET /openapi.json."""
_AGAIN = frozenset((429, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    method: str
    path: str
    body: Any = None
    params: Mapping[str, Any] | None = None
    key: str = ""
    """Its Idempotency-Key: the same for every try; empty: a reading, which needs none."""
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is sent, and how long is waited between. A call that changes something has a key, so that it
    is decided once however often it is sent."""

    tries: int = 4
    first_s: float = 0.2
    longest_s: float = 5.0

    def after(self, tried: int, status: int | None, retry_after: str, chance: float) -> float | None:
        """How long to wait after so many tries, in s; None: it is over. `status` None: no answer came.
        `chance` is in [0, 1): callers who failed together do not come again together."""
        if tried >= self.tries or (status is not None and status not in _AGAIN):
            return None
        wait_s = min(self.longest_s, self.first_s * 2.0 ** (tried - 1))
        wait_s *= 0.5 + chance / 2
        if retry_after.isascii() and retry_after.isdigit():
            if int(retry_after) > self.longest_s:
                return None
            wait_s = max(wait_s, float(retry_after))
        return wait_s


def path(template: str, *parts: str) -> str:
    """The path with these parts in the places of `{}`, escaped."""
    return template.format(*(quote(part, safe="") for part in parts))
