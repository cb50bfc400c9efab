"""The rules in force as metrics, on every process that follows them."""

from prometheus_client import Counter, Gauge

from dispatch.core.policy import Flag, Flags, Policy

POLICY_VERSION = Gauge("baton_policy_version", "Version of the policy in force here.")
ENABLED = Gauge("feature_flags_enabled", "Whether the flag is on here: 1 or 0.", ["flag"])
ROLLOUT = Gauge(
    "feature_flags_rollout_percent", "Share of the deliveries, or drivers, that the flag is on for.", ["flag"]
)
TOGGLES = Counter("feature_flag_toggles_total", "Changes of the flag's setting that this process saw.", ["flag"])


def show(policy: Policy, flags: Flags) -> None:
    """Sets the gauges to what is in force."""
    POLICY_VERSION.set(policy.version)
    for name in Flags.__struct_fields__:
        flag: Flag = getattr(flags, name)
        ENABLED.labels(name).set(flag.enabled)
        ROLLOUT.labels(name).set(flag.rollout_percent)
        TOGGLES.labels(name)  # shown from the start, at 0


def changed(before: Flags, after: Flags) -> None:
    """Counts the flags whose setting differs."""
    for name in Flags.__struct_fields__:
        if getattr(before, name) != getattr(after, name):
            TOGGLES.labels(name).inc()
