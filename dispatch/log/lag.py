"""How far behind the consumers of this process are: told by the thread that reads, shown when metrics are asked for.

A consumer answers one thread at a time, and the one that reads has it nearly always: whoever asked from another would
wait for good. So the reader notes every few seconds where it stands. The client knows each partition's end from what it
fetched last; nothing is asked of the broker. What the end was at earlier notes tells for how long, at least, it has
been behind.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dispatch.log import logs
from dispatch.metrics.consumers import LAG_RECORDS, LAG_SECONDS, SILENT_SECONDS
from dispatch.metrics.form import Metric

EVERY_S = 2.0
_KEPT = 600
"""Notes of a partition's end: twenty minutes."""
MARK = 1
"""Where a transaction ends its mark has an offset that no consumer is given."""
Place = tuple[str, str]
"""Topic, partition."""
logger = logs.get("dispatch.log.lag")


class Ends:
    """What a partition's end was, and when."""

    def __init__(self) -> None:
        self._read: deque[tuple[float, int]] = deque(maxlen=_KEPT)

    def behind_s(self, position: int, end: int, now_s: float) -> float:
        """For how long, at least, the end has been beyond the position. Takes the present reading."""
        if end <= position + MARK:
            self._read.clear()
            return 0.0
        if not self._read or self._read[-1][1] != end:
            self._read.append((now_s, end))
        return now_s - next((at for at, past in self._read if past > position + MARK), now_s)


@dataclass(slots=True)
class _Report:
    """What a consumer noted last."""

    name: str
    at_s: float
    places: dict[Place, tuple[int, float]] = field(default_factory=dict)
    """Records and seconds behind."""
    ends: dict[Place, Ends] = field(default_factory=dict)


class Lags(Collector):
    """What consumers noted, from the first `note` until `forget`, which comes when a consumer is closed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reports: dict[int, _Report] = {}

    def note(self, name: str, consumer: Consumer) -> None:
        """Takes where this one stands, every EVERY_S at most. By the thread that reads with it, each turn."""
        now_s, before = self._clock(), self._reports.get(id(consumer))
        if before is not None and now_s - before.at_s < EVERY_S:
            return
        report = _Report(name, now_s)
        for place, position, end in _read(name, consumer):
            ends = (before.ends.get(place) if before is not None else None) or Ends()
            report.ends[place] = ends
            report.places[place] = max(0, end - position), ends.behind_s(position, end, now_s)
        self._reports[id(consumer)] = report

    def forget(self, consumer: Consumer) -> None:
        """Shows it no more."""
        self._reports.pop(id(consumer), None)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names, without values."""
        yield from (_family(LAG_RECORDS), _family(LAG_SECONDS), _family(SILENT_SECONDS))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Of two consumers with one name the one further behind, and the one silent for longer."""
        now_s = self._clock()
        records: dict[tuple[str, ...], float] = {}
        seconds: dict[tuple[str, ...], float] = {}
        silent: dict[tuple[str, ...], float] = {}
        for report in list(self._reports.values()):
            since_s = max(0.0, now_s - report.at_s)
            silent[report.name,] = max(since_s, silent.get((report.name,), 0.0))
            for place, (behind, behind_s) in report.places.items():
                series: tuple[str, ...] = (report.name, *place)
                records[series] = max(behind, records.get(series, 0))
                seconds[series] = max(behind_s + since_s if behind_s else 0.0, seconds.get(series, 0.0))
        for metric, values in ((LAG_RECORDS, records), (LAG_SECONDS, seconds), (SILENT_SECONDS, silent)):
            family = _family(metric)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=list(metric.labels))


def _read(name: str, consumer: Consumer) -> Iterator[tuple[Place, int, int]]:
    """Position and end of each partition of which both are known."""
    try:
        assigned = consumer.assignment()
        positions = consumer.position(assigned) if assigned else []
        begun = {(place.topic, place.partition): place.offset for place in assigned}
        for place in positions:
            low, end = consumer.get_watermark_offsets(place, cached=True)
            position = place.offset if place.offset >= 0 else begun[place.topic, place.partition]
            if low >= 0 and end >= 0 and position >= 0:
                yield (place.topic, str(place.partition)), position, end
    except KafkaException as error:
        logger.warning("lag_unknown", consumer=name, reason=str(error))


LAGS = Lags()
"""Of this process; part of what it answers at /metrics."""
REGISTRY.register(LAGS)
