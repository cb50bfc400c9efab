"""Pings, and how each zone is doing, as the streams process counts it."""

from dispatch.metrics.form import Section

SECTION = Section("Pings and zones", ("streams",))
ZONE = "a zone of the map, or none"
PING_OUTCOMES = (
    "taken", "confirmed", "jump", "out_of_order", "unknown_driver", "zero_place", "in_the_future", "too_old",
    "bad_accuracy", "heartbeat", "unreadable",
)  # fmt: skip

PINGS = SECTION.counter(
    "baton_pings_total", "Pings and heartbeats of drivers by what became of them.",
    {"outcome": PING_OUTCOMES},
)  # fmt: skip
ZONES_FAILED = SECTION.counter(
    "baton_zone_health_failures_total", "Times that counting the zones failed and began anew."
)
ZONE_DRIVERS = SECTION.gauge(
    "baton_zone_drivers", "Drivers last seen in the zone, by state.",
    {"zone": ZONE, "state": ("available", "busy", "on_break", "paused", "shift_ended", "offline")},
)  # fmt: skip
ZONE_MINIMUM = SECTION.gauge("baton_zone_drivers_wanted", "How few online make the zone understaffed.", {"zone": ZONE})
ZONE_SEARCHES = SECTION.gauge("baton_zone_open_searches", "Deliveries of it that wait for a driver.", {"zone": ZONE})
ZONE_OLDEST = SECTION.gauge(
    "baton_zone_oldest_search_seconds", "How long the longest of them has waited.", {"zone": ZONE}, unit="seconds"
)
ZONE_PRESSURE = SECTION.gauge(
    "baton_zone_pressure", "Open searches for each available driver of the zone.", {"zone": ZONE}
)
ZONE_WAIT = SECTION.gauge(
    "baton_zone_wait_seconds", "How long deliveries of the zone lately waited for a driver.",
    {"zone": ZONE, "percentile": ("50", "95")}, unit="seconds",
)  # fmt: skip
ZONE_UNDERSTAFFED = SECTION.gauge("baton_zone_understaffed", "Whether the zone's alert is on: 1 or 0.", {"zone": ZONE})
