"""What a noted table is: rows of records that are no events of an aggregate, merged into what is there by key."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dispatch.contract.topics import Topic
from dispatch.log.application import Record
from projections.models.model import Row


@dataclass(frozen=True, slots=True)
class Noted:
    """A table with a row a record or key of one topic. Neither folded nor audited."""

    topic: Topic
    table: str
    columns: tuple[str, ...]
    read: Callable[[Record], Row | Sequence[Row] | None]
    """From a record to its row or rows; None: not of this table. Raises ContractError."""
    merge: str
    """What follows ON CONFLICT, for a row whose key is there already."""
    month: str = ""
    """The column by whose month the table is parted. Empty: it is one table."""
    not_again: str = ""
    """Why it cannot be made again from the log. Empty: it can."""


def replaced(key: Iterable[str], columns: Iterable[str]) -> str:
    """A merge by which the later row replaces the one that is there."""
    key = tuple(key)
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    return f"({', '.join(key)}) DO UPDATE SET {changes}"
