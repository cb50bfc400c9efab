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


@dataclass(frozen=True, slots=True)
class Latest:
    """A table with the last record of each key, as it is; neither folded nor audited."""

    table: str
    key: str
    columns: tuple[str, ...]
    """Without the key, and `types` in the same order."""
    types: tuple[str, ...]
    read: Callable[[bytes | None, bytes | None], tuple[str, Row | None] | None]
    """From a record's key and value: the row's key and the row, None to delete it; None: not of this table."""
    key_type: str = "uuid"


def moment(ms: int | None) -> datetime | None:
    """UTC milliseconds as Postgres takes them."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
