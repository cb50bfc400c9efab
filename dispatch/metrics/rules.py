"""The rules in force, on every process that follows them."""

from dispatch.metrics.form import Section

SECTION = Section("Rules in force", ("worker", "streams", "eta", "scores", "notifier", "gateway"))

POLICY_VERSION = SECTION.gauge("baton_policy_version", "Version of the policy in force here.")
ENABLED = SECTION.gauge(
    "feature_flags_enabled", "Whether the flag is on here: 1 or 0.", {"flag": "the flags of docs/policy.md"}
)
ROLLOUT = SECTION.gauge(
    "feature_flags_rollout_percent", "Share of the deliveries, or drivers, that the flag is on for.",
    {"flag": "the flags of docs/policy.md"}, unit="percent",
)  # fmt: skip
TOGGLES = SECTION.counter(
    "feature_flag_toggles_total", "Changes of the flag's setting that this process saw.",
    {"flag": "the flags of docs/policy.md"},
)  # fmt: skip
