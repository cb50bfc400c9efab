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
