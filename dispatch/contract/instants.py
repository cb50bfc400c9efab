"""Moments as clients are told them."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4_096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]  # without "+00:00"


def iso(at_ms: int) -> str:
    """ISO-8601 in UTC to the millisecond: `2026-11-30T15:04:05.678Z`. Raises ValueError beyond the years of a date.

    What a driver or a seller is told has several moments, most of them of the same few seconds.
    """
    seconds, ms = divmod(at_ms, 1000)
    return f"{_second(seconds)}.{ms:03d}Z"
