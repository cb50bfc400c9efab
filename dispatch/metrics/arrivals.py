"""Arrivals: reckoned, told, learned from."""

from dispatch.metrics.form import Section

SECTION = Section("Arrivals under way", ("eta",))

RECKONED = SECTION.counter(
    "baton_eta_reckoned_total", "Arrivals reckoned anew, by why.",
    {"why": ("driver_moved", "status_changed", "prep_time_changed")},
)  # fmt: skip
SENT = SECTION.counter("baton_eta_changes_sent_total", "Changed arrivals sent to their deliveries.")
LEARNED = SECTION.counter("baton_eta_deliveries_learned_total", "Finished deliveries learned from.")
UNDER_WAY = SECTION.gauge("baton_eta_deliveries_under_way", "Deliveries in a driver's hands whose arrival is tracked.")
STALE = SECTION.gauge(
    "baton_eta_stale_deliveries", "Of these, how many arrivals were last reckoned more than 30 s ago."
)
