"""What a noted table is: rows of records that are no events of an aggregate, merged into what is there by key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString

from dispatch.contract.topics import Topic
from dispatch.log.application import Record
from projections.models.model import Row


@dataclass(frozen=True, slots=True)
class Noted:
    """A table with a row a record or key of one topic. Neither folded nor audited."""

    topic: Topic
    table: str
    columns: tuple[str, ...]
    read: Callable[[Record], Row | None]
    """From a record to its row; None: not of this table. Raises ContractError."""
    merge: LiteralString
    """What follows ON CONFLICT, for a row whose key is there already."""
    afterwards: LiteralString = ""
    """What is done once after each batch: old rows go."""
