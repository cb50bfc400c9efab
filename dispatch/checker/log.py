"""The two ways to have a log checked: records from anywhere, or a whole log from Kafka."""

from collections.abc import Iterable, Mapping

from dispatch.checker.checker import LATE_MS, READ, Checker
from dispatch.checker.decisions import Redecide
from dispatch.checker.report import Report
from dispatch.checker.states import Row
from dispatch.log.application import Record
from dispatch.log.reading import read_all


def check_records(
    records: Iterable[Record],
    namespace: str = "",
    *,
    quiescent: bool = True,
    redecide: Redecide | None = None,
    tables: Mapping[str, Row] | None = None,
    late_ms: int = LATE_MS,
) -> Report:
    """The report over these records of all topics; each partition's are in order, topics may be mixed in any way.

    `quiescent`: nothing is under way any more, so that what is missing is lost. `redecide` decides again (rule 15),
    `tables` are rows by delivery or driver (rule 14), and no timer may be overdue by `late_ms` when the log ends.
    """
    checker = Checker(namespace, redecide)
    for record in records:
        checker.take(record)
    return checker.finish(quiescent=quiescent, tables=tables, late_ms=late_ms)


def check_log(brokers: str, namespace: str = "", *, quiescent: bool = True) -> Report:
    """The report over everything that is committed."""
    records = read_all(brokers, [namespace + topic.name for topic in READ])
    return check_records(records, namespace, quiescent=quiescent)
