"""A batch of records, decoded and chained; what cannot be read is poison and is passed over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import DriverLocation
from dispatch.log.application import Record
from projections.models import LATEST
from projections.models.audit import WORDS
from projections.models.audit import row as audit_row
from projections.models.model import Row
from projections.noting import Rows, noted
from projections.runtime.offsets import Place, Position

_OF_EVENTS = frozenset((topics.DELIVERY_EVENTS.name, topics.DRIVER_EVENTS.name, topics.DRIVER_PLACES.name))


class Taken(NamedTuple):
    """An event and the record that it was read from."""

    event: Any
    record: Record


@dataclass(slots=True)
class Poison:
    """A record that could not be folded."""

    record: Record
    reason: str
    place: str


@dataclass(slots=True)
class Folding:
    """What a batch comes to, before it is written."""

    audit: list[Row] = field(default_factory=list)
    events: list[Taken] = field(default_factory=list)
    latest: dict[str, dict[str, Row | None]] = field(default_factory=dict)
    """By table and key; None: erased."""
    noted: Rows = field(default_factory=dict)
    poison: list[Poison] = field(default_factory=list)
    positions: dict[Place, Position] = field(default_factory=dict)


def fold(
    records: Sequence[Record], at: Mapping[Place, Position], namespace: str, refused: Mapping[Record, str] | None = None
) -> Folding:
    """Decodes and chains. Records before the position were folded before; `refused` are poison, for the reason given.

    Pings come last: one that was read before its driver's sign-on would be lost.
    """
    folding = Folding()
    refused = refused or {}
    pings = namespace + topics.DRIVER_PLACES.name
    for record in sorted(records, key=lambda record: record.topic == pings):
        place = (record.topic, record.partition)
        position = folding.positions.get(place)
        if position is None:
            before = at[place]
            position = Position(before.next_offset, before.last_hash, before.generation)
        if record.offset < position.next_offset:
            continue
        try:
            if record in refused:
                raise ContractError(refused[record])
            _take(folding, record, record.topic.removeprefix(namespace), position)
        except ContractError as error:
            folding.poison.append(Poison(record, error.reason, error.place))
        except (ValueError, OverflowError, OSError, TypeError) as error:  # values that no calendar of ours can hold
            folding.poison.append(Poison(record, f"cannot be read: {type(error).__name__}: {error}", ""))
        position.next_offset = record.offset + 1
        folding.positions[place] = position
    return folding


def _take(folding: Folding, record: Record, topic: str, position: Position) -> None:
    if topic in _OF_EVENTS:
        event = codec.decode(record.value)
        if type(event) in WORDS:
            row = audit_row(event, record.value or b"", (topic, record.partition, record.offset), position.last_hash)
            folding.audit.append(row)
            position.last_hash = row["hash"]
        elif not isinstance(event, DriverLocation):
            raise ContractError(f"a {type(event).__name__} is no event")
        folding.events.append(Taken(event, record))
    elif topic in LATEST:
        for model in LATEST[topic]:
            if (read := model.read(record.key, record.value)) is not None:
                folding.latest.setdefault(model.table, {})[read[0]] = read[1]
    else:
        for table, more in noted(topic, record).items():
            folding.noted.setdefault(table, []).extend(more)
