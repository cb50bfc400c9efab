"""How far each partition was folded: read with the assignment, compared and set with every batch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
Place = tuple[str, int]


class OffsetsMoved(Exception):
    """Another projector wrote these partitions, or a rebuild replaced tables: forget all and ask where they stand."""


@dataclass(slots=True)
class Position:
    """Where a partition stands: the next offset, the hash of the last audited record, and the tables' generation."""

    next_offset: int = 0
    last_hash: bytes = b""
    generation: int = 0


def positions(connection: Connection, places: Iterable[Place]) -> dict[Place, Position]:
    """Where these partitions stand."""
    rows = connection.execute(
        "SELECT topic, partition, next_offset, last_hash, generation FROM projection_offsets"
    ).fetchall()
    connection.commit()
    known = {(row[0], row[1]): Position(row[2], bytes(row[3]), row[4]) for row in rows}
    return {place: known.get(place, Position()) for place in places}


_NEW = b"""
INSERT INTO projection_offsets (topic, partition, next_offset)
SELECT topic, partition, 0 FROM unnest(%s::text[], %s::int[]) AS new (topic, partition) ON CONFLICT DO NOTHING
"""
_ADVANCE = b"""
WITH wanted AS (
    SELECT * FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bytea[], %s::bigint[], %s::bigint[])
    AS wanted (topic, partition, next_offset, last_hash, was, generation)
), mine AS (
    SELECT wanted.* FROM projection_offsets o JOIN wanted USING (topic, partition)
    WHERE o.next_offset = wanted.was AND o.generation = wanted.generation ORDER BY topic, partition FOR UPDATE OF o
)
UPDATE projection_offsets o SET next_offset = mine.next_offset, last_hash = mine.last_hash, read_at = now()
FROM mine WHERE o.topic = mine.topic AND o.partition = mine.partition
"""
"""Locked in one order, so that two never wait for each other."""


def advance(connection: Connection, to: Mapping[Place, Position], at: Mapping[Place, Position]) -> None:
    """Sets them within the transaction that is open. Raises OffsetsMoved when one is not where it was."""
    if new := [place for place in to if at[place].next_offset == 0]:
        connection.execute(_NEW, ([topic for topic, _ in new], [number for _, number in new]))
    moved = connection.execute(
        _ADVANCE,
        (
            [topic for topic, _ in to],
            [number for _, number in to],
            [position.next_offset for position in to.values()],
            [position.last_hash for position in to.values()],
            [at[place].next_offset for place in to],
            [at[place].generation for place in to],
        ),
    )
    if moved.rowcount != len(to):
        stood = ", ".join(f"{topic} {number} at {at[topic, number].next_offset}" for topic, number in sorted(to))
        raise OffsetsMoved(f"of {stood} not all stand there any more")
