"""Takes notices and what concerns tickets from the log into Postgres; the offsets are committed after the rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaException

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import Notice
from dispatch.core.policy import NoticePolicy
from dispatch.inputs.rules import Rules
from dispatch.log import logs
from dispatch.log.application import Record
from dispatch.log.reading import record_of
from dispatch.log.share import Share
from dispatch.notices import ledger, tickets
from dispatch.notices.kinds import CATALOGUE
from dispatch.notices.recipients import zone_of_delivery

_BATCH = 500
SetAside = Callable[[Record, ContractError], None]
logger = logs.get("dispatch.notices.intake")


class Intake:
    """One member of the notifiers' group. `names`: the channels of each audience."""

    def __init__(self, consumer: Consumer, namespace: str, rules: Rules, names: Mapping[str, Sequence[str]]) -> None:
        self._consumer, self._rules, self._names = consumer, rules, names
        self._notices = namespace + topics.NOTICES.name
        self._topics = [self._notices, namespace + topics.DELIVERY_EVENTS.name]
        self._share = Share(consumer)
        self.state = "starting"

    def open(self) -> None:
        """Joins the group."""
        self._share.subscribe(self._topics)
        self.state = "up"

    def poll(self) -> list[Record]:
        """What is there, within some tenths of a second. Raises Fenced when the group gives this client nothing."""
        self._share.check()
        records = []
        first = self._consumer.poll(0.2)
        for message in [first, *self._consumer.consume(_BATCH - 1, 0.01)] if first is not None else []:
            error = message.error()
            if error is None:
                records.append(record_of(message))
            else:
                self.state = error.str()
                logger.warning("kafka_error", reason=error.str())
        return records

    def take(self, connection: psycopg.Connection[Any], records: Sequence[Record], set_aside: SetAside) -> None:
        """Writes the records' rows in one transaction. Raises psycopg.Error; then nothing is written."""
        with connection.transaction():
            page = ledger.Page(connection)
            concerned = tickets.concerned(connection, records)
            for record in records:
                try:
                    if record.topic == self._notices:
                        self._notice(page, codec.decode_checked(record.value))
                    elif not tickets.passed_over(record, concerned):
                        closing = tickets.take(connection, codec.decode_checked(record.value))
                        if closing is not None:
                            self._notice(page, closing)
                except ContractError as error:
                    set_aside(record, error)
            page.write()

    def commit(self, records: Sequence[Record]) -> None:
        """The offsets after these. What is not committed comes again, and changes nothing."""
        try:
            self._consumer.commit(asynchronous=False)
            self.state = "up"
        except KafkaException as error:
            self.state = str(error)
            logger.warning("kafka_unreachable", reason=f"{len(records)} records not committed: {error}")

    def _notice(self, page: ledger.Page, found: Any) -> None:
        if not isinstance(found, Notice):
            raise ContractError(f"a {type(found).__name__} is no notice")
        kind = CATALOGUE.get((found.audience, found.kind))
        if kind is None:
            raise ContractError(f"{found.audience} {found.kind} is no kind of notice", "kind")
        names = self._names.get(found.audience, ())
        page.add(found, kind, names, self._policy(page.connection, found), time.time_ns() // 1_000_000)

    def _policy(self, connection: psycopg.Connection[Any], notice: Notice) -> NoticePolicy:
        """That of the delivery's zone; asked for only where zones differ."""
        if not self._rules.policy.by_zone:
            return self._rules.policy.notices
        zone = (
            notice.details.get("zone_id")
            or notice.details.get("zone")
            or zone_of_delivery(connection, notice.delivery_id)
        )
        return self._rules.policy_for(zone).notices
