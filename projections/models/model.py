"""What a read model is: a table, a key, and a fold for each event it handles."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
Fold = Callable[[Row, Any], None]


@dataclass(frozen=True, slots=True)
class Folded:
    """A table with one row a key, replaced as events come. A fold changes the row it is given."""

    table: str
    key: str
    columns: tuple[str, ...]
    handles: dict[type, Fold]
    ignores: tuple[type, ...]
    first: tuple[type, ...]
    """Events that may make a row; others are passed over when there is none."""
    defaults: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AppendOnly:
    """A table that only grows."""

    table: str
    columns: tuple[str, ...]


def moment(ms: int | None) -> datetime | None:
    """UTC milliseconds as Postgres takes them."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
