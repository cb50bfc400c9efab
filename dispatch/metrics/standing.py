"""How things stand, read from the tables every ten seconds by each projector; take the highest of several."""

from dispatch.metrics.form import Section

SECTION = Section("How things stand", ("projector",))
ZONE = "of the pickup"

QUEUE = SECTION.collected(
    "baton_unassigned_orders", "Orders in the queue of unassigned ones.", {"zone": ZONE, "level": "0 to 3"}
)
LONG = SECTION.collected(
    "baton_unassigned_over_5_minutes", "Orders that have waited for a driver for more than 5 min.", {"zone": ZONE}
)
SEARCHING = SECTION.collected(
    "baton_searching_deliveries", "Deliveries that wait for a driver or for an answer.", {"zone": ZONE}
)
OLDEST = SECTION.collected(
    "baton_oldest_wait_seconds", "How long the longest of them has waited.", {"zone": ZONE}, unit="seconds"
)
UNDER_WAY = SECTION.collected(
    "baton_deliveries_held", "Deliveries in drivers' hands, by status.",
    {"status": "assigned to arrived_at_dropoff, failed on the way back"},
)  # fmt: skip
DRIVERS = SECTION.collected(
    "baton_drivers", "Drivers by availability.",
    {"availability": ("AVAILABLE", "BUSY", "ON_BREAK", "SHIFT_ENDED", "OFFLINE", "PAUSED")},
)  # fmt: skip
REVIEWS = SECTION.collected("baton_manual_reviews_open", "Deliveries that people must look at.")
ESCALATIONS_OVERDUE = SECTION.collected(
    "baton_escalations_overdue", "Orders that should have been escalated more than 10 s ago."
)
BREAKS_OVERDUE = SECTION.collected("baton_breaks_overdue", "Drivers whose break should have ended more than 10 s ago.")
LETTERS = SECTION.collected("baton_dead_letters_open", "Dead letters that nobody has handled.")
READ_AT = SECTION.collected(
    "baton_standing_read_timestamp_seconds", "When these were read last; without it none of them is shown.",
    unit="seconds",
)  # fmt: skip
FAILURES = SECTION.counter("baton_standing_failures_total", "Times that they could not be read.")
