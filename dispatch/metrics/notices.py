"""What people were told."""

from dispatch.metrics.form import Section

SECTION = Section("Notices", ("notifier",))

SENT = SECTION.counter(
    "baton_notices_total", "Notices by audience and what became of a sending.",
    {"audience": "customer, driver, operations, support", "outcome": "sent, failed, dead, unknown"},
)  # fmt: skip
