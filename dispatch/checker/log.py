"""Reads a whole log from Kafka into the checker."""

from dispatch.checker.report import Report
from dispatch.checker.rules import Checker
from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.delivery_commands import DeliveryTimerDue
from dispatch.contract.records.driver_commands import DriverTimerDue
from dispatch.contract.records.system import DeadLetter, Decision
from dispatch.log.application import Record
from dispatch.log.reading import read_all


def check_log(brokers: str, namespace: str = "", *, quiescent: bool = True) -> Report:
    """The report over everything that is committed."""
    checker = Checker()
    for record in read_all(brokers, [namespace + topics.DEAD_LETTERS.name]):
        letter = codec.decode(record.value)
        if isinstance(letter, DeadLetter):
            checker.dead_letter((letter.source_topic, letter.partition, letter.offset))
    for record in read_all(brokers, [namespace + topics.DELIVERY_EVENTS.name]):
        checker.delivery_event(codec.decode(record.value), _place(record))
    for record in read_all(brokers, [namespace + topics.DRIVER_EVENTS.name]):
        checker.driver_event(codec.decode(record.value), _place(record))
    for record in read_all(brokers, [namespace + topics.DECISIONS.name]):
        decision = codec.decode(record.value)
        if isinstance(decision, Decision):
            timer = isinstance(codec.decode(decision.command), DeliveryTimerDue | DriverTimerDue)
            checker.decision(decision, _place(record), timer)
    for record in read_all(
        brokers, [namespace + topic.name for topic in (topics.DELIVERY_COMMANDS, topics.DRIVER_COMMANDS)]
    ):
        try:
            command = codec.decode_checked(record.value)
        except ContractError:
            checker.unreadable((record.topic, record.partition, record.offset))
            continue
        if not checker.is_dead_letter((record.topic, record.partition, record.offset)):
            checker.command(getattr(command, "command_id", ""), _place(record))
    return checker.finish(quiescent=quiescent)


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"
