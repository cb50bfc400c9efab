"""Dispatching as operations watch it, counted by the projector from the events that it folds.

Counters count what was folded since the process began, each event once; several projectors share the events.
"""

from dispatch.metrics.form import Section

SECTION = Section("Dispatching", ("projector",))
WAITS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800)

CREATED = SECTION.counter("baton_deliveries_created_total", "Orders that became known.")
READY = SECTION.counter("baton_deliveries_ready_total", "Orders that became ready: a driver is searched.")
ENDED = SECTION.counter(
    "baton_deliveries_ended_total", "Deliveries that ended, by how.",
    {"outcome": ("delivered", "failed", "returned", "cancelled")},
)  # fmt: skip
CANCELLED = SECTION.counter(
    "baton_cancellations_total", "Cancelled deliveries by who cancelled; policy: nobody was found.",
    {"by": ("order_service", "customer", "admin", "driver", "system", "policy", "UNKNOWN")},
)  # fmt: skip
DELIVERY_SECONDS = SECTION.histogram(
    "baton_delivery_seconds", "From ready to handed over.", (300, 600, 900, 1200, 1800, 2400, 3600, 5400, 7200)
)
OFFERS_SENT = SECTION.counter("baton_offers_sent_total", "Offers made to drivers.")
OFFERS = SECTION.counter(
    "baton_offers_ended_total",
    "Offers by what came of them; auto_assigned: silence that assigned by policy.",
    {"outcome": ("accepted", "rejected", "expired", "auto_assigned", "withdrawn")},
)
REJECTIONS = SECTION.counter(
    "baton_offer_rejections_total", "Refused offers by the driver's reason.",
    {"reason": ("too_far", "no_time", "bad_area", "vehicle", "earning", "other", "UNKNOWN")},
)  # fmt: skip
RESPONSE_SECONDS = SECTION.histogram(
    "baton_offer_response_seconds", "How long drivers took to accept or refuse.", (1, 2, 5, 10, 15, 20, 25, 30, 60)
)
FIRST_OFFER_SECONDS = SECTION.histogram(
    "baton_first_offer_seconds",
    "From ready to the first offer, without its commit. search: first, when the first search led to it; later, when"
    " nobody was to be had at first.",
    (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 15, 60, 300, 1800), {"search": ("first", "later")},
)  # fmt: skip
ASSIGNED = SECTION.counter(
    "baton_assignments_total", "Assignments by how they came about.",
    {"how": ("accepted", "auto", "manual", "direct", "UNKNOWN")},
)  # fmt: skip
ASSIGNMENT_SECONDS = SECTION.histogram(
    "baton_assignment_seconds", "From ready to the first assignment.", (0.1, 0.5, *WAITS)
)
FIRST_ATTEMPTS = SECTION.counter(
    "baton_first_attempts_total", "Deliveries by whether the first driver asked took them.",
    {"outcome": ("taken", "not_taken")},
)  # fmt: skip
REASSIGNMENTS = SECTION.counter(
    "baton_reassignments_total", "Assignments that ended before the pickup, by reason.",
    {"reason": ("driver_offline", "driver_cancelled", "driver_distance_too_far", "admin_forced", "UNKNOWN")},
)  # fmt: skip
REASSIGNED = SECTION.counter(
    "baton_reassignments_ended_total",
    "Deliveries that lost their driver, by what came next: another driver, people who must look at it, or an end.",
    {"outcome": ("assigned", "manual_review", "ended")},
)
REASSIGNMENT_SECONDS = SECTION.histogram(
    "baton_reassignment_seconds", "From losing a driver to having the next.", WAITS
)
NOBODY = SECTION.counter(
    "baton_searches_in_vain_total", "Searches that found nobody, by why.",
    {
        "why": (
            "no_available_drivers", "all_drivers_busy", "distance_exceeded", "redis_timeout", "unknown", "UNKNOWN"
        )
    },
)  # fmt: skip
RESERVATIONS_FAILED = SECTION.counter(
    "baton_reservations_failed_total", "Drivers who were chosen and not to be had, by why.",
    {
        "why": (
            "not_available", "at_capacity", "unknown_driver", "already_held", "no_answer", "abandoned", "UNKNOWN"
        )
    },
)  # fmt: skip
ESCALATIONS = SECTION.counter(
    "baton_escalations_total", "Escalations by level, and whether time or a person made them.",
    {"level": ("1", "2", "3"), "by": ("deadline", "admin")},
)  # fmt: skip
ESCALATION_DEADLINES = SECTION.counter(
    "baton_escalation_deadlines_total",
    "Deadlines of escalation that came: kept, or missed by more than 10 s, also by an order that never was escalated.",
    {"result": ("kept", "missed")},
)
REVIEWS = SECTION.counter("baton_manual_reviews_total", "Deliveries that people had to look at.")
ETA_CHANGES = SECTION.counter(
    "baton_eta_changes_total", "Arrivals told anew, by why.",
    {"why": ("driver_moved", "status_changed", "prep_time_changed", "other")},
)  # fmt: skip
ETA_ARRIVALS = SECTION.counter(
    "baton_eta_arrivals_total",
    "Arrivals against what the assignment foretold: before, within or after the band, or foretold without a band.",
    {"at": ("pickup", "dropoff"), "band": ("early", "within", "late", "none")},
)
ETA_ERROR_SECONDS = SECTION.histogram(
    "baton_eta_error_seconds", "How far an arrival was from the middle of what the assignment foretold.",
    (30, 60, 120, 180, 300, 600, 900, 1800), {"at": ("pickup", "dropoff")},
)  # fmt: skip
AVAILABILITY = SECTION.counter(
    "baton_availability_changes_total", "Changes of drivers' availability, by what they became.",
    {"to": ("AVAILABLE", "BUSY", "ON_BREAK", "SHIFT_ENDED", "OFFLINE", "PAUSED", "UNKNOWN")},
)  # fmt: skip
LOST = SECTION.counter("baton_drivers_lost_total", "Times that nothing was heard of a driver for too long.")
BREAKS = SECTION.counter(
    "baton_breaks_ended_total",
    "Breaks by how they ended: by themselves in time, by themselves more than 10 s late, or by anything else before.",
    {"how": ("in_time", "late", "otherwise")},
)
REVENUE = SECTION.counter(
    "baton_revenue_minor_total", "What settled deliveries brought.",
    {"part": ("commission", "delivery_fee"), "zone": "of the pickup", "currency": "ISO 4217"}, unit="minor units",
)  # fmt: skip
COST = SECTION.counter(
    "baton_cost_minor_total", "What settled deliveries cost.",
    {
        "part": ("driver_pay", "compensation", "routing", "messages", "storage", "platform"),
        "zone": "of the pickup", "currency": "ISO 4217",
    },
    unit="minor units",
)  # fmt: skip
SETTLED = SECTION.counter(
    "baton_deliveries_settled_total", "Deliveries whose money is settled.",
    {"zone": "of the pickup", "currency": "ISO 4217"},
)  # fmt: skip
