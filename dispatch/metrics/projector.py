"""What the projector folds, and how far the tables and the audit are behind the events."""

from dispatch.metrics.form import Section

SECTION = Section("The projector", ("projector",))

EVENTS = SECTION.counter("baton_projected_events_total", "Events and pings folded into the tables.")
AUDIT_LAG = SECTION.histogram(
    "baton_audit_lag_seconds", "From an event's moment to its row in the audit and in the tables.",
    (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 2, 5, 15, 60, 600),
)  # fmt: skip
HISTORY = SECTION.counter(
    "baton_history_events_total",
    "Events folded that were older than an hour, as when tables are made anew: no figure counts them as news.",
)
DROPPED = SECTION.counter(
    "baton_projection_dropped_total", "Old months, and old rows of tables without months, that were dropped.",
    {"table": "the table", "what": ("month", "row")},
)  # fmt: skip
KEEPING_FAILURES = SECTION.counter("baton_keeping_failures_total", "Runs of the keeper that failed.")
KEEPING_LAST = SECTION.gauge(
    "baton_keeping_last_run_timestamp_seconds", "When the keeper's last whole run ended, since 1970.", unit="seconds"
)
SLOW_QUERIES_ENDED = SECTION.counter(
    "baton_slow_queries_ended_total", "Transactions of analysts that were ended for their age."
)
