"""How far behind the consumers of this process are, read when it is asked for its metrics.

The client knows each partition's end from what it fetched last, so nothing is asked of the broker. What an end was at
earlier readings tells for how long, at least, a consumer has been behind.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, KafkaException
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dispatch.log import logs
from dispatch.metrics.consumers import LAG_RECORDS, LAG_SECONDS
from dispatch.metrics.form import Metric

_KEPT = 240
"""Readings of a partition's end: an hour of one every 15 s."""
MARK = 1
"""Where a transaction ends its mark has an offset that no consumer is given."""
Series = tuple[str, str, str]
"""Consumer, topic, partition."""
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


class Lags(Collector):
    """Consumers that are watched, from `watch` until `forget`, which comes before a consumer is closed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[str, Consumer]] = {}
        self._ends: dict[Series, Ends] = {}

    def watch(self, name: str, consumer: Consumer) -> None:
        """Shows how far behind this one is."""
        with self._lock:
            self._watched[id(consumer)] = name, consumer

    def forget(self, consumer: Consumer) -> None:
        """Shows it no more; when this returns nobody is reading it."""
        with self._lock:
            self._watched.pop(id(consumer), None)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names, without reading."""
        yield from (_family(LAG_RECORDS), _family(LAG_SECONDS))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Of two consumers with one name and partition the one further behind."""
        records, seconds = _family(LAG_RECORDS), _family(LAG_SECONDS)
        with self._lock:
            found: dict[Series, tuple[int, int]] = {}
            for name, consumer in self._watched.values():
                for series, position, end in _read(name, consumer):
                    if series not in found or end - position > found[series][1] - found[series][0]:
                        found[series] = position, end
            self._ends = {series: self._ends.get(series, Ends()) for series in found}
            for series, (position, end) in found.items():
                records.add_metric(series, max(0, end - position))
                seconds.add_metric(series, self._ends[series].behind_s(position, end, self._clock()))
        yield from (records, seconds)


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=list(metric.labels))


def _read(name: str, consumer: Consumer) -> Iterator[tuple[Series, int, int]]:
    """Position and end of each partition of which both are known."""
    try:
        assigned = consumer.assignment()
        positions = consumer.position(assigned) if assigned else []
    except (KafkaException, RuntimeError) as error:  # RuntimeError: it was closed before it was forgotten
        logger.warning("lag_unknown", consumer=name, reason=str(error))
        return
    begun = {(place.topic, place.partition): place.offset for place in assigned}
    for place in positions:
        low, end = consumer.get_watermark_offsets(place, cached=True)
        position = place.offset if place.offset >= 0 else begun[place.topic, place.partition]
        if low >= 0 and end >= 0 and position >= 0:
            yield (name, place.topic, str(place.partition)), position, end


LAGS = Lags()
"""Of this process; part of what it answers at /metrics."""
REGISTRY.register(LAGS)
