"""How a metric is declared. Prometheus' own classes are made here and nowhere else, which a test holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram

Kind = Literal["counter", "gauge", "histogram"]
Labels = Mapping[str, Sequence[str] | str]
"""By name: every value there is, which shows at 0 from the start; or in words what the values are."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is declared. The name is the one that is scraped: a counter's ends in _total."""

    name: str
    kind: Kind
    help: str
    labels: Labels
    unit: str = ""
    """What one is: seconds, records, minor units; empty: it counts what its name says."""
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which it is scraped."""
        if self.kind == "histogram":
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)

    def combinations(self) -> list[tuple[str, ...]]:
        """Every combination of label values, when all are known; else none."""
        if not self.labels or any(isinstance(values, str) for values in self.labels.values()):
            return []
        return list(product(*self.labels.values()))


class Section:
    """The metrics of one part, and the processes that show them."""

    def __init__(self, title: str, processes: Sequence[str]) -> None:
        self.title, self.processes = title, tuple(processes)
        self.metrics: list[Metric] = []

    def counter(self, name: str, text: str, labels: Labels | None = None, *, unit: str = "") -> Counter:
        """A counter. With all values of its labels known, each is there from the start."""
        metric = self._declared(Metric(name, "counter", text, labels or {}, unit))
        made = Counter(name, text, list(metric.labels))
        for values in metric.combinations():
            made.labels(*values)
        return made

    def gauge(self, name: str, text: str, labels: Labels | None = None, *, unit: str = "") -> Gauge:
        """A gauge; a labelled one shows what was set."""
        metric = self._declared(Metric(name, "gauge", text, labels or {}, unit))
        return Gauge(name, text, list(metric.labels))

    def histogram(
        self, name: str, text: str, buckets: Sequence[float], labels: Labels | None = None, *, unit: str = "seconds"
    ) -> Histogram:
        """A histogram. With all values of its labels known, each is there from the start."""
        metric = self._declared(Metric(name, "histogram", text, labels or {}, unit, tuple(buckets)))
        made = Histogram(name, text, list(metric.labels), buckets=metric.buckets)
        for values in metric.combinations():
            made.labels(*values)
        return made

    def collected(self, name: str, text: str, labels: Labels | None = None, *, unit: str = "") -> Metric:
        """A gauge whose values a collector of its room gives when it is asked."""
        return self._declared(Metric(name, "gauge", text, labels or {}, unit))

    def _declared(self, metric: Metric) -> Metric:
        self.metrics.append(metric)
        return metric
