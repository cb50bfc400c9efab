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


def advance(connection: Connection, to: Mapping[Place, Position], at: Mapping[Place, Position]) -> None:
    """Sets them within the transaction that is open. Raises OffsetsMoved when one is not where it was."""
    for (topic, number), position in sorted(to.items()):  # in one order, so that two never wait for each other
        before = at[topic, number]
        if before.next_offset == 0:
            connection.execute(
                "INSERT INTO projection_offsets (topic, partition, next_offset) VALUES (%s, %s, 0)"
                " ON CONFLICT DO NOTHING",
                (topic, number),
            )
        moved = connection.execute(
            "UPDATE projection_offsets SET next_offset = %s, last_hash = %s, read_at = now()"
            " WHERE topic = %s AND partition = %s AND next_offset = %s AND generation = %s",
            (position.next_offset, position.last_hash, topic, number, before.next_offset, before.generation),
        )
        if moved.rowcount != 1:
            raise OffsetsMoved(f"{topic} {number} does not stand at {before.next_offset} any more")
