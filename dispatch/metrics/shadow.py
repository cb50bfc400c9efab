"""A policy in the shadow of the one in force."""

from dispatch.metrics.form import Section

SECTION = Section("A policy in the shadow", ("shadow",))

JUDGED = SECTION.counter(
    "baton_shadow_decisions_total", "Decisions made that were judged under the policy in the shadow.",
    {"verdict": ("agrees", "differs", "undecidable", "passed_over")},
)  # fmt: skip
BEHIND = SECTION.gauge(
    "baton_shadow_behind_records", "Decisions made that the shadow has not read yet, as last heard from Kafka.",
    unit="records",
)  # fmt: skip
