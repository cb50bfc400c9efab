"""Takes deliveries' events from the log into lines of messages; the offsets are committed after the rows."""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaException
from psycopg.rows import dict_row

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.log import logs
from dispatch.log.application import Record
from dispatch.log.reading import record_of
from dispatch.log.share import Share
from dispatch.webhooks import kinds
from dispatch.webhooks.endpoints import MESSAGE, QUEUE, Row

_BATCH = 500
_PASSED_OVER = codec.marks(events.AUDIT_WORDS.keys() - kinds.TOLD.keys())
"""Of what is never told: not even decoded."""
_UNHEARD = codec.marks(events.AUDIT_WORDS.keys() - {events.DeliveryCreated})
"""Of what need not be decoded while there is no endpoint: all but whose delivery it is."""
SetAside = Callable[[Record, ContractError], None]
logger = logs.get("dispatch.webhooks.intake")


class Intake:
    """One member of the webhooks' group."""

    def __init__(self, consumer: Consumer, topic: str) -> None:
        self._consumer, self._topic = consumer, topic
        self._share = Share(consumer)
        self.state = "starting"

    def open(self) -> None:
        """Joins the group."""
        self._share.subscribe([self._topic])
        self.state = "up"

    def poll(self) -> list[Record]:
        """What is there, within some tenths of a second. Raises Fenced when the group gives this client nothing."""
        self._share.check()
        records = []
        first = self._consumer.poll(0.2)
        for message in [first, *self._consumer.consume(_BATCH - 1, 0.005)] if first is not None else []:
            error = message.error()
            if error is None:
                records.append(record_of(message))
            else:
                self.state = error.str()
                logger.warning("kafka_error", reason=error.str())
        return records

    def take(self, connection: psycopg.Connection[Any], records: Sequence[Record], set_aside: SetAside) -> int:
        """Writes what the records tell in one transaction; gives how many messages. Raises psycopg.Error: nothing is
        written.

        Whether there is an endpoint at all is asked once the records are here. One that is committed after that was
        registered after they happened, so none of them was promised to it, though its `created_at`, the begin of its
        transaction, may be a little before.
        """
        with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
            heard = cursor.execute("SELECT FROM webhook_endpoints LIMIT 1").rowcount > 0
            told = _read(records, _PASSED_OVER if heard else _UNHEARD, set_aside)
            _whose(cursor, told)
            lines, messages = _messages(cursor, told) if heard and told else ([], [])
            if messages:
                cursor.executemany(QUEUE, lines)
                cursor.executemany(MESSAGE, messages)
        return len(messages)

    def commit(self, records: Sequence[Record]) -> None:
        """The offsets after these. What is not committed comes again, and changes nothing."""
        try:
            self._consumer.commit(asynchronous=False)
            self.state = "up"
        except KafkaException as error:
            self.state = str(error)
            logger.warning("kafka_unreachable", reason=f"{len(records)} records not committed: {error}")


def _read(records: Sequence[Record], passed_over: frozenset[bytes], set_aside: SetAside) -> list[DeliveryEvent]:
    """What can be told, in order."""
    told: list[DeliveryEvent] = []
    for record in records:
        if record.value is not None and record.value[:5] in passed_over:
            continue
        try:
            event = codec.decode_checked(record.value)
            if type(event) not in kinds.TOLD:
                raise ContractError(f"a {type(event).__name__} is no event of a delivery")
            told.append(event)  # type: ignore[arg-type]
        except ContractError as error:
            set_aside(record, error)
    return told


def _whose(cursor: psycopg.Cursor[Any], told: Sequence[DeliveryEvent]) -> None:
    """Notes whose delivery it is, from its first event."""
    created = sorted(
        (event for event in told if isinstance(event, events.DeliveryCreated)), key=lambda event: event.delivery_id
    )
    if created:
        cursor.execute(
            "INSERT INTO webhook_deliveries (delivery_id, seller_id, seller_order_id, created_at)"
            " SELECT id, seller, seller_order, to_timestamp(at_ms / 1000.0)"
            " FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[]) AS given (id, seller, seller_order, at_ms)"
            " ON CONFLICT DO NOTHING",
            (
                [one.delivery_id for one in created],
                [one.order.seller_id for one in created],
                [one.order.seller_order_id for one in created],
                [one.at_ms for one in created],
            ),
        )


def _messages(cursor: psycopg.Cursor[Any], told: Sequence[DeliveryEvent]) -> tuple[list[Row], list[Row]]:
    """The lines, in one order for all that lock them, and the messages."""
    ids = list({event.delivery_id for event in told})
    owners = {
        row["delivery_id"]: row
        for row in cursor.execute(
            "SELECT d.id AS delivery_id, coalesce(w.seller_id, r.seller_id) AS seller_id,"
            " coalesce(w.seller_order_id, r.seller_order_id) AS seller_order_id"
            " FROM unnest(%s::uuid[]) AS given (id) CROSS JOIN LATERAL (SELECT given.id::text AS id) d"
            " LEFT JOIN webhook_deliveries w ON w.delivery_id = given.id"
            " LEFT JOIN deliveries r ON r.delivery_id = given.id",
            (ids,),
        )
    }
    by_seller: dict[str, list[Row]] = {}
    sellers = list({row["seller_id"] for row in owners.values() if row["seller_id"]})
    for row in cursor.execute(
        "SELECT endpoint_id::text, seller_id, event_types, created_at FROM webhook_endpoints WHERE seller_id = ANY(%s)",
        (sellers,),
    ).fetchall():
        by_seller.setdefault(row["seller_id"], []).append(row)
    messages: list[Row] = []
    for event in told:
        owner = owners[event.delivery_id]
        if owner["seller_id"] is None:
            logger.warning("webhook_delivery_unknown", delivery=event.delivery_id)
        messages += [
            _message(event, one["endpoint_id"], owner)
            for one in by_seller.get(owner["seller_id"], ())
            if event.at_ms >= int(one["created_at"].timestamp() * 1000)  # events know whole milliseconds
            and (not one["event_types"] or kinds.TOLD[type(event)][0] in one["event_types"])
        ]
    lines = sorted({(one["endpoint_id"], one["line"]) for one in messages})
    return [{"endpoint_id": endpoint, "line": line} for endpoint, line in lines], messages


def _message(event: DeliveryEvent, endpoint_id: str, owner: Row) -> Row:
    return {
        "message_id": kinds.message_id(event.event_id, endpoint_id), "endpoint_id": endpoint_id,
        "line": event.delivery_id, "event_type": kinds.TOLD[type(event)][0], "sequence": event.version,
        "body": kinds.body(event, owner["seller_id"], owner["seller_order_id"]),
        "at": kinds.instant(event.at_ms),
    }  # fmt: skip
