"""What a read model is: a table, a key, and a fold for each event it handles.

Four kinds are folded from the events of deliveries and drivers: `Folded` has one row a key, `Several` a few, `Appended`
one row an event, `Summed` adds up. Two more take other topics' records as they are: `Latest` and `Noted`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

Row = dict[str, Any]
Fold = Callable[[Row, Any], None]
Family = Literal["delivery", "driver"]
"""Of which aggregate's events a table is made, and by whose id its rows are found in the memory of a projector."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A table with one row a key, replaced as events come. A fold changes the row it is given."""

    table: str
    family: Family
    key: str
    columns: tuple[str, ...]
    handles: dict[type, Fold]
    ignores: tuple[type, ...]
    first: tuple[type, ...]
    """Events that may make a row; others are passed over when there is none."""
    defaults: dict[str, Any]
    month: str = ""
    """The column by whose month the table is parted: set by the first event, never changed. Empty: it is one table."""
    carried: tuple[str, ...] = ()
    """Columns from topics that are not kept: a rebuild takes them over from the table that it replaces."""

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return (self.key, self.month) if self.month else (self.key,)


@dataclass(frozen=True, slots=True)
class Several:
    """A table with some rows a key. A fold is given them all and says which one it added or changed."""

    table: str
    family: Family
    key: str
    own: str
    """What tells the rows of a key apart."""
    columns: tuple[str, ...]
    handles: dict[type, Callable[[list[Row], Any], Row | None]]
    ignores: tuple[type, ...]
    month: str = ""
    carried: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return (self.key, self.own, self.month) if self.month else (self.key, self.own)


@dataclass(frozen=True, slots=True)
class Appended:
    """A table with a row an event, never changed."""

    table: str
    family: Family
    identity: tuple[str, ...]
    columns: tuple[str, ...]
    handles: dict[type, Callable[[Any], Row]]
    ignores: tuple[type, ...]
    month: str = ""
    carried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summed:
    """A table of sums: each event adds its amounts to the rows it names. It may look at its key's row in one table."""

    table: str
    family: Family
    identity: tuple[str, ...]
    sums: tuple[str, ...]
    beside: Folded
    handles: dict[type, Callable[[Any, Row | None], Iterable[Row]]]
    ignores: tuple[type, ...]
    month: str = ""
    carried: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.identity, *self.sums)


Events = Folded | Several | Appended | Summed
"""What is folded from events, and can be folded again from the log."""


@dataclass(frozen=True, slots=True)
class AppendOnly:
    """A table that only grows."""

    table: str
    columns: tuple[str, ...]
    identity: tuple[str, ...] = ()
    month: str = ""


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


@lru_cache(4_096)  # the folds of one event ask for the same moment
def moment(ms: int | None) -> datetime | None:
    """UTC milliseconds as Postgres takes them."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
