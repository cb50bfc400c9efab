"""Folds the log again, from its beginning, into the tables of a room, up to given offsets and no further."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dispatch.log.application import Record
from dispatch.log.connecting import UNCOMMITTED, kafka_client
from dispatch.log.reading import record_of
from projections.runtime import Chosen, Place, Poison, Position, Projection, Spoilt, fold

BATCH = 10_000
_QUIET_S = 0.2
Told = Callable[[int], None]
"""How many records more were folded."""


class Lane:
    """Some partitions, read by a consumer and written through a connection of its own."""

    def __init__(self, brokers: str, dsn: str, namespace: str, room: str, chosen: Chosen) -> None:
        self._namespace = namespace
        self._connection = psycopg.connect(dsn, connect_timeout=3, options=_options(room))
        self._projection = Projection(self._connection, chosen, room=room)
        self._at: dict[Place, Position] = {}
        self.poison: list[Poison] = []
        self._consumer = Consumer(
            {
                **kafka_client(brokers, "rebuild"),
                "group.id": UNCOMMITTED,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 65_536,
            }
        )

    def run(self, targets: Mapping[Place, int], told: Told) -> None:
        """Folds all that is before the targets. Raises psycopg.Error or KafkaException."""
        left = {place: to for place, to in targets.items() if self._position(place).next_offset < to}
        if not left:
            return
        self._consumer.assign([TopicPartition(*place, self._at[place].next_offset) for place in left])
        while left:
            records = []
            for message in self._consumer.consume(BATCH, _QUIET_S):
                place = (message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        left.pop(place, None)
                    elif error.fatal():
                        raise KafkaException(error)
                    continue
                if place not in left:
                    continue
                record = record_of(message)
                if record.offset < left[place]:
                    records.append(record)
                if record.offset >= left[place] - 1:
                    left.pop(place)
            if records:
                self._write(records)
                told(len(records))
        self._consumer.unassign()

    def close(self) -> None:
        """Ends consumer and connection."""
        self._consumer.close()
        self._connection.close()

    def _position(self, place: Place) -> Position:
        return self._at.setdefault(place, Position())

    def _write(self, records: Sequence[Record]) -> None:
        """As the projector would: what it set aside is passed over here, too."""
        refused: dict[Record, str] = {}
        while True:
            folding = fold(records, self._at, self._namespace, refused)
            try:
                self._projection.write(folding, self._at)
            except Spoilt as spoilt:
                refused[spoilt.record] = spoilt.reason
                continue
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                if len(records) > 1:
                    middle = len(records) // 2
                    self._write(records[:middle])
                    self._write(records[middle:])
                    return
                refused[records[0]] = error.diag.message_primary or str(error)
                continue
            self.poison += folding.poison
            self._at.update(folding.positions)
            return


class Replay:
    """Several lanes at once: partitions of one number, of whatever topic, go to one lane."""

    def __init__(self, brokers: str, dsn: str, namespace: str, room: str, chosen: Chosen, lanes: int = 2) -> None:
        self._lanes = [Lane(brokers, dsn, namespace, room, chosen) for _ in range(lanes)]

    def run(self, targets: Mapping[Place, int], told: Told) -> None:
        """Folds up to the targets. The first lane that fails is told."""
        parts: list[dict[Place, int]] = [{} for _ in self._lanes]
        for (topic, number), to in targets.items():
            parts[number % len(parts)][topic, number] = to
        with ThreadPoolExecutor(len(parts), "replay") as threads:
            for done in [
                threads.submit(lane.run, part, told) for lane, part in zip(self._lanes, parts, strict=True)
            ]:  # fmt: skip
                done.result()

    def poison(self) -> list[Poison]:
        """What could not be folded."""
        return [poison for lane in self._lanes for poison in lane.poison]

    def close(self) -> None:
        """Ends all lanes."""
        for lane in self._lanes:
            lane.close()


def _options(room: str) -> str:
    """Nothing but the room is in the search path: what is not in there is an error and never the live table."""
    return f"-c search_path={room} -c timezone=UTC -c synchronous_commit=off"
