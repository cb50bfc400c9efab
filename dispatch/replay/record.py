"""A decision as the log has it, taken apart: its record, its command, and the facts that it looked at."""

from typing import Any, NamedTuple

import msgspec

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import Decision
from dispatch.log.application import Record
from dispatch.processors import recorded
from dispatch.processors.recorded import RecordedFacts


class Unreadable(Exception):
    """This release cannot read it; the message says why."""


class Place(NamedTuple):
    """Where a record stands in the log."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Recorded(NamedTuple):
    """One decision of the log."""

    place: Place
    stamp_ms: int
    decision: Decision
    command: Any
    facts: RecordedFacts


def place_of(record: Record) -> Place:
    """Topic, partition and offset."""
    return Place(record.topic, record.partition, record.offset)


def decision_in(record: Record) -> Decision:
    """The decision's own record. Raises Unreadable."""
    try:
        decision = codec.decode(record.value)
    except ContractError as error:
        raise Unreadable(str(error)) from error
    if not isinstance(decision, Decision):
        raise Unreadable(f"a {type(decision).__name__} is no decision")
    return decision


def taken_apart(record: Record, decision: Decision) -> Recorded:
    """With the command and the facts. Raises Unreadable."""
    try:
        command = codec.decode(decision.command)
    except ContractError as error:
        raise Unreadable(f"its command: {error}") from error
    try:
        facts = recorded.read(decision.facts)
    except (msgspec.DecodeError, ValueError) as error:
        raise Unreadable(f"its facts: {error}") from error
    return Recorded(place_of(record), record.timestamp_ms, decision, command, facts)
