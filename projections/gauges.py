"""How things stand, as metrics: read from the tables every ten seconds, on a connection of its own, in the projector.

What could not be read is not shown: a queue of yesterday would look like one of today.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from dispatch.log import logs
from dispatch.metrics import standing as figures
from dispatch.metrics.form import Metric

EVERY_S = 10.0
AGAIN_S = 2.0
_LONGEST_MS = 5_000
"""A question that takes longer is given up."""
_WAITS = "d.waiting_since IS NOT NULL"
_LATE = "interval '10 seconds'"
Values = dict[tuple[str, ...], float]
logger = logs.get("projections.gauges")


@dataclass(frozen=True, slots=True)
class Question:
    """What a gauge is read with: its labels' values, then the number. `zeros`: values that are 0 without a row."""

    metric: Metric
    statement: str
    zeros: tuple[tuple[str, ...], ...] = ()


QUESTIONS = (
    Question(
        figures.QUEUE,
        "SELECT d.zone, q.escalation_level::text, count(*) FROM unassigned_orders q JOIN deliveries d USING"
        " (delivery_id) WHERE q.queue_status IN ('PENDING', 'NOTIFIED') GROUP BY 1, 2",
    ),
    Question(
        figures.LONG,
        "SELECT d.zone, count(*) FROM deliveries d WHERE d.waiting_since < now() - interval '5 minutes' GROUP BY 1",
    ),
    Question(figures.SEARCHING, f"SELECT d.zone, count(*) FROM deliveries d WHERE {_WAITS} GROUP BY 1"),
    Question(
        figures.OLDEST,
        "SELECT d.zone, greatest(0, extract(epoch FROM now() - min(d.waiting_since)))::float8 FROM deliveries d"
        f" WHERE {_WAITS} GROUP BY 1",
    ),
    Question(
        figures.UNDER_WAY,
        "SELECT status, count(*) FROM deliveries WHERE ended_at IS NULL AND driver_id IS NOT NULL"
        " AND status NOT IN ('offered', 'searching') GROUP BY 1",
    ),
    Question(
        figures.DRIVERS, "SELECT availability, count(*) FROM drivers GROUP BY 1", tuple(figures.DRIVERS.combinations())
    ),
    Question(
        figures.REVIEWS,
        "SELECT count(*) FROM deliveries WHERE needs_manual_review AND ended_at IS NULL",
    ),
    Question(
        figures.ESCALATIONS_OVERDUE,
        "SELECT count(*) FROM deliveries d JOIN LATERAL (SELECT body FROM delivery_audit_logs a WHERE"
        " a.delivery_id = d.delivery_id AND a.event = 'AssignmentStarted' ORDER BY version DESC LIMIT 1) s ON true"
        f" WHERE {_WAITS} AND d.escalation AND NOT d.needs_manual_review AND d.escalation_level < 3"
        f" AND now() - d.waiting_since > {_LATE} + make_interval(secs => (s.body ->>"
        " ('level_' || d.escalation_level + 1 || '_ms'))::float8 / 1000)",
    ),
    Question(
        figures.BREAKS_OVERDUE,
        f"SELECT count(*) FROM drivers WHERE availability = 'ON_BREAK' AND until < now() - {_LATE}",
    ),
    Question(
        figures.LETTERS,
        "SELECT count(*) FROM dead_letters l WHERE NOT EXISTS"
        " (SELECT FROM dead_letter_acts a WHERE a.letter_id = l.letter_id)",
    ),
)


class Gauges(Collector):
    """`run` on a thread of its own until stopped; shown by the registry while it runs."""

    def __init__(self, postgres: str, registry: CollectorRegistry = REGISTRY, every_s: float = EVERY_S) -> None:
        self._postgres, self._registry, self._every_s = postgres, registry, every_s
        self._shown: dict[str, Values] = {}
        """By metric; replaced as a whole, so that a reader sees one reading."""

    def run(self, stop: threading.Event) -> None:
        """Reads until stopped. Whatever fails is told and counted, and tried again."""
        self._registry.register(self)
        try:
            while not stop.is_set():
                try:
                    self._read_on(stop)
                except psycopg.Error as error:
                    self._shown = {}
                    figures.FAILURES.inc()
                    logger.warning("standing_unread", reason=error.diag.message_primary or type(error).__name__)
                    stop.wait(AGAIN_S)
        finally:
            self._registry.unregister(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The last reading; of a failed one nothing."""
        shown = self._shown
        for metric in (*(question.metric for question in QUESTIONS), figures.READ_AT):
            family = GaugeMetricFamily(metric.name, metric.help, labels=list(metric.labels))
            for values, number in shown.get(metric.name, {}).items():
                family.add_metric(values, number)
            yield family

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names."""
        yield from self.collect()

    def _read_on(self, stop: threading.Event) -> None:
        options = f"-c statement_timeout={_LONGEST_MS} -c default_transaction_read_only=on"
        with psycopg.connect(self._postgres, autocommit=True, connect_timeout=3, options=options) as connection:
            while not stop.is_set():
                self._shown = read(connection)
                stop.wait(self._every_s)


def read(connection: psycopg.Connection[Any]) -> dict[str, Values]:
    """By metric and labels the number, all of one moment. Raises psycopg.Error."""
    found: dict[str, Values] = {}
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for question in QUESTIONS:
            rows = connection.execute(question.statement.encode()).fetchall()
            values = dict.fromkeys(question.zeros, 0.0)
            found[question.metric.name] = values | {tuple(row[:-1]): float(row[-1]) for row in rows}
    return found | {figures.READ_AT.name: {(): time.time()}}
