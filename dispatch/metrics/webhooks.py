"""What sellers' servers were told."""

from dispatch.metrics.form import Section

SECTION = Section("Webhooks of sellers", ("webhooks",))

ATTEMPTS = SECTION.counter(
    "baton_webhook_attempts_total", "Sendings to sellers by what became of them.",
    {"outcome": ("sent", "failed", "dead", "lapsed")},
)  # fmt: skip
DISABLED = SECTION.counter(
    "baton_webhook_endpoints_disabled_total", "Endpoints of sellers that were given up.", {"why": ("gone", "given_up")}
)
FIRST_TRY = SECTION.histogram(
    "baton_webhook_first_try_seconds", "From the event to the end of the first attempt at telling it.",
    (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60),
)  # fmt: skip
