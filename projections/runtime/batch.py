"""One batch into Postgres: everything in one transaction, or nothing."""

from collections.abc import Mapping

from projections.noting import note
from projections.runtime.chosen import Chosen
from projections.runtime.offsets import Connection, Place, Position, advance
from projections.runtime.reading import Folding
from projections.runtime.tables import Tables
from projections.runtime.writing import Writer, replace


class Projection:
    """The tables behind one connection."""

    def __init__(self, connection: Connection, chosen: Chosen | None = None, *, room: str = "public") -> None:
        """`room`: the schema that holds the tables. Raises psycopg.Error."""
        self.connection = connection
        self._chosen = chosen or Chosen()
        self._tables = Tables(self._chosen.folded)
        self._writer = Writer(connection, self._chosen.folded, room=room)

    def forget(self) -> None:
        """What is remembered of rows, and of partitions: they may have been made in a transaction that was not."""
        self._tables.forget()
        self._writer.forget()

    def write(self, folding: Folding, at: Mapping[Place, Position]) -> None:
        """Raises OffsetsMoved, Spoilt, or psycopg.Error; then nothing is written, and nothing is remembered."""
        try:
            with self.connection.transaction():
                advance(self.connection, folding.positions, at)
                changes = self._tables.fold(self.connection, folding.events)
                self._tables.write(self.connection, changes, self._writer)
                if self._chosen.audit:
                    self._writer.append(self.connection, folding.audit)
                others = self._chosen.others
                replace(self.connection, {table: rows for table, rows in folding.latest.items() if table in others})
                noted = {table: rows for table, rows in folding.noted.items() if table in others}
                note(self.connection, self._writer, noted)
        except BaseException:
            self.forget()
            raise
