"""One batch into Postgres: everything in one transaction, or nothing."""

from collections.abc import Mapping, Sequence

from projections.models import FOLDED
from projections.models.model import Events
from projections.noting import note
from projections.runtime.offsets import Connection, Place, Position, advance
from projections.runtime.reading import Folding
from projections.runtime.tables import Tables
from projections.runtime.writing import Writer, replace


class Projection:
    """The tables behind one connection."""

    def __init__(self, connection: Connection, models: Sequence[Events] = FOLDED, *, room: str = "public") -> None:
        """`room`: the schema that holds the tables. Raises psycopg.Error."""
        self.connection = connection
        self._tables, self._writer = Tables(models), Writer(connection, models, room=room)

    def forget(self) -> None:
        """What is remembered of rows."""
        self._tables.forget()

    def write(self, folding: Folding, at: Mapping[Place, Position], *, audit: bool = True) -> None:
        """Raises OffsetsMoved, Spoilt, or psycopg.Error; then nothing is written, and nothing is remembered."""
        try:
            with self.connection.transaction():
                advance(self.connection, folding.positions, at)
                changes = self._tables.fold(self.connection, folding.events)
                self._tables.write(self.connection, changes, self._writer)
                if audit:
                    self._writer.append(self.connection, folding.audit)
                replace(self.connection, folding.latest)
                note(self.connection, self._writer, folding.noted)
        except BaseException:
            self.forget()
            raise
