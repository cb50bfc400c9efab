"""Structured logs: JSON lines, one catalogue of event names with their fields."""

import io
import logging
import sys
from typing import Any, TextIO, cast

import structlog

CATALOGUE: dict[str, tuple[str, ...]] = {
    "started": ("process",),
    "stopped": ("process",),
    "assigned": ("partitions",),
    "restored": ("partitions", "records", "seconds"),
    "revoked": ("partitions",),
    "lost": ("partitions",),
    "aborted": ("reason", "records"),
    "commit_unknown": ("reason",),
    "fenced": ("reason",),
    "kafka_unreachable": ("reason",),
    "kafka_error": ("reason",),
    "lag_unknown": ("consumer", "reason"),
    "standing_unread": ("reason",),
    "deadly_record": ("topic", "partition", "offset"),
    "deadly_timer": ("aggregate", "timer", "at_ms"),
    "dead_lettered": ("count",),
    "rules_unreachable": ("error",),
    "topic_not_read": ("what", "reason"),
    "rules_refused": ("topic", "offset", "reason"),
    "prices_unreachable": ("reason",),
    "prices_refused": ("topic", "offset", "reason"),
    "price_changed": ("zone", "percent", "pressure"),
    "standing_unreachable": ("reason",),
    "standing_refused": ("topic", "offset", "reason"),
    "driver_scores_told": ("drivers", "seconds"),
    "zones_unreachable": ("error",),
    "zones_refused": ("topic", "offset", "reason"),
    "zone_health_failing": ("reason",),
    "index_rebuilt": ("drivers", "seconds"),
    "index_unreachable": ("reason",),
    "index_failing": ("source", "reason"),
    "routing_failing": ("reason",),
    "arrivals_unreachable": ("reason",),
    "arrivals_refused": ("offset", "reason"),
    "arrivals_learned": ("deliveries", "scopes"),
    "postgres_unreachable": ("reason",),
    "projected": ("events",),
    "audit_broken": ("topic", "partition", "offset"),
    "audit_unanchored": ("reason",),
    "old_month_dropped": ("part",),
    "old_month_held": ("part", "reason"),
    "old_rows_dropped": ("table", "rows"),
    "keeping_failed": ("reason",),
    "slow_queries_ended": ("count",),
    "poison": ("topic", "partition", "offset", "reason"),
    "failed": ("process", "reason"),
    "notice_failed": ("notice", "kind", "reason"),
    "notice_dead": ("notice", "kind", "reason"),
    "webhook_failed": ("message", "reason"),
    "webhook_disabled": ("endpoint", "reason"),
    "webhook_delivery_unknown": ("delivery",),
    "time_zone_unknown": ("name",),
    "keys_not_fetched": ("reason",),
    "api_keys_unreachable": ("reason",),
    "api_keys_refused": ("offset", "reason"),
    "gateway_open": ("host",),
    "shadow_passed_over": ("reason",),
    "request": ("door", "method", "status", "ms", "role"),
    "fault": ("door", "kind", "place"),
    "draining": ("in_flight",),
}
"""Every event that is logged, and the fields that come with it. A test holds the calls to it."""


class _StandardError(io.TextIOBase):
    """Standard error as it is when a line is written, not as it was when logging was set up."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(process: str, level: str = "info") -> None:
    """JSON lines on standard error, each with the process and the time in UTC."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, _StandardError())),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(process=process)


def get(name: str) -> Any:
    """A logger that says which room speaks."""
    return structlog.get_logger(name)
