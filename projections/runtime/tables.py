"""The folded tables of a projector: events go in one by one, and come out as the rows that they changed.

An event whose version its aggregate has reached before is in the log twice; it changes nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from dispatch.log.application import Record
from projections.models import BASES, FOLDED
from projections.models.model import Appended, Events, Family, Folded, Row, Several, Summed
from projections.runtime.memory import Aggregate, Memory
from projections.runtime.offsets import Connection
from projections.runtime.reading import Taken
from projections.runtime.writing import Changes, Writer, names

_FIRST_VERSION = 1
_ID: dict[Family, str] = {"delivery": "delivery_id", "driver": "driver_id"}
Step = Callable[[Aggregate, Any, Changes], None]


class Spoilt(Exception):
    """A record whose event a fold cannot take."""

    def __init__(self, record: Record, reason: str) -> None:
        super().__init__(reason)
        self.record, self.reason = record, reason


class Tables:
    """Folds into these tables, and remembers what is under way."""

    def __init__(self, models: Sequence[Events] = FOLDED) -> None:
        self._models = models
        self._memory: dict[Family, Memory] = {"delivery": Memory(), "driver": Memory()}
        self._steps: dict[type, tuple[Step, ...]] = {}
        self._family: dict[type, Family] = {}
        self._reading: dict[Family, list[tuple[Folded | Several, bytes]]] = {"delivery": [], "driver": []}
        for model in models:
            if isinstance(model, Folded | Several):
                self._reading[model.family].append((model, _reading(model)))
            for kind in model.handles:
                self._steps[kind] = (*self._steps.get(kind, ()), _step(model, kind))
                self._family[kind] = model.family

    def forget(self) -> None:
        """What is remembered may not be what stands in Postgres any more."""
        for memory in self._memory.values():
            memory.forget()

    def fold(self, connection: Connection, taken: Iterable[Taken]) -> Changes:
        """What the events change. Reads the aggregates that are not remembered. Raises Spoilt, or psycopg.Error."""
        mine = [one for one in taken if type(one.event) in self._steps]
        self._read(connection, mine)
        changes = Changes()
        for one in mine:
            self._apply(one, changes)
        return changes

    def write(self, connection: Connection, changes: Changes, writer: Writer) -> None:
        """Merges what changed, within the transaction that is open. Raises psycopg.Error."""
        for model in self._models:
            rows = changes.rows.get(model.table)
            if rows:
                writer.merge(connection, model, list(rows.values()))
        for memory in self._memory.values():
            memory.shrink()

    def _apply(self, one: Taken, changes: Changes) -> None:
        event = one.event
        family = self._family[type(event)]
        name = event.driver_id if family == "driver" else event.delivery_id
        aggregate = self._memory[family].get(name)
        assert aggregate is not None, "it was read before"
        version = getattr(event, "version", None)
        base = aggregate.rows.get(BASES[family].table, {}).get(name)
        if version is not None and base is not None and version <= base["version"]:
            return
        try:
            for step in self._steps[type(event)]:
                step(aggregate, event, changes)
        except Exception as error:  # whatever an event leads a fold to, it is this record's fault
            reason = f"{type(event).__name__} cannot be folded: {type(error).__name__}: {error}"
            raise Spoilt(one.record, reason) from error

    def _read(self, connection: Connection, taken: Sequence[Taken]) -> None:
        first: dict[tuple[Family, str], int | None] = {}
        for one in taken:
            family = self._family[type(one.event)]
            name = one.event.driver_id if family == "driver" else one.event.delivery_id
            first.setdefault((family, name), getattr(one.event, "version", None))
        for family, memory in self._memory.items():
            missing = memory.missing(name for of, name in first if of == family)
            for name in missing:
                memory.add(name)
            wanted = [name for name in missing if first[family, name] != _FIRST_VERSION]
            if wanted:
                self._read_family(connection, family, wanted)

    def _read_family(self, connection: Connection, family: Family, wanted: list[str]) -> None:
        column = _ID[family]
        memory = self._memory[family]
        for model, statement in self._reading[family]:
            with connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute(statement, (wanted,))
                for row in cursor:
                    aggregate = memory.get(str(row[column]))
                    assert aggregate is not None
                    if isinstance(model, Folded):
                        aggregate.rows.setdefault(model.table, {})[str(row[model.key])] = row
                    else:
                        aggregate.lists.setdefault(model.table, []).append(row)


def _reading(model: Folded | Several) -> bytes:
    """The rows of some aggregates, those of each in their order."""
    statement = sql.SQL("SELECT {} FROM {} WHERE {} = ANY(%s::{}[]) ORDER BY {}").format(
        names(model.columns), sql.Identifier(model.table), sql.Identifier(_ID[model.family]),
        sql.SQL("text" if model.family == "driver" else "uuid"),
        sql.Identifier(model.key if isinstance(model, Folded) else model.own),
    )  # fmt: skip
    return statement.as_bytes(None)


def _step(model: Events, kind: type) -> Step:
    """What an event of this kind does to a table."""
    match model:
        case Folded():
            return _folded(model, kind)
        case Several():
            return _several(model, kind)
        case Appended():
            return _appended(model, kind)
        case Summed():
            return _summed(model, kind)


def _folded(model: Folded, kind: type) -> Step:
    table, key, fold = model.table, model.key, model.handles[kind]
    makes = kind in model.first
    empty = dict.fromkeys(model.columns) | model.defaults

    def step(aggregate: Aggregate, event: Any, changes: Changes) -> None:
        rows = aggregate.rows.get(table)
        if rows is None:
            rows = aggregate.rows[table] = {}
        name = getattr(event, key)
        row = rows.get(name)
        if row is None:
            if not makes:
                return
            row = rows[name] = empty | {key: name}
        fold(row, event)
        changes.put(table, name, row)

    return step


def _several(model: Several, kind: type) -> Step:
    table, own, fold = model.table, model.own, model.handles[kind]

    def step(aggregate: Aggregate, event: Any, changes: Changes) -> None:
        row = fold(aggregate.lists.setdefault(table, []), event)
        if row is not None:
            changes.put(table, (str(row[model.key]), row[own]), row)

    return step


def _appended(model: Appended, kind: type) -> Step:
    table, made, identity = model.table, model.handles[kind], model.identity

    def step(_aggregate: Aggregate, event: Any, changes: Changes) -> None:
        row = made(event)
        changes.put(table, tuple(row[name] for name in identity), row)

    return step


def _summed(model: Summed, kind: type) -> Step:
    table, made, identity, beside = model.table, model.handles[kind], model.identity, model.beside

    def step(aggregate: Aggregate, event: Any, changes: Changes) -> None:
        row_beside: Row | None = aggregate.rows.get(beside.table, {}).get(getattr(event, beside.key))
        for row in made(event, row_beside):
            changes.add(table, tuple(row[name] for name in identity), row, model.sums)

    return step
