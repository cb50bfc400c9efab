"""All sections, in the order of the documentation. For tools and tests: a process imports what it counts alone."""

from dispatch.metrics import (
    arrivals,
    consumers,
    dispatching,
    gateway,
    host,
    lookups,
    notices,
    projector,
    reading,
    rules,
    scores,
    shadow,
    standing,
    streams,
    webhooks,
)
from dispatch.metrics.form import Metric, Section

SECTIONS: tuple[Section, ...] = (
    dispatching.SECTION,
    standing.SECTION,
    projector.SECTION,
    host.SECTION,
    consumers.SECTION,
    lookups.SECTION,
    rules.SECTION,
    streams.SECTION,
    arrivals.SECTION,
    scores.SECTION,
    reading.SECTION,
    gateway.SECTION,
    notices.SECTION,
    webhooks.SECTION,
    shadow.SECTION,
)
METRICS: dict[str, Metric] = {metric.name: metric for section in SECTIONS for metric in section.metrics}


def series() -> dict[str, Metric]:
    """Every name under which something is scraped, and what it belongs to."""
    return {name: metric for metric in METRICS.values() for name in metric.series}
