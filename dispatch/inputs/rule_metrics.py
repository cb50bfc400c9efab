"""The rules in force as metrics, on every process that follows them."""

from dispatch.core.policy import Flag, Flags, Policy
from dispatch.metrics.rules import ENABLED, POLICY_VERSION, ROLLOUT, TOGGLES


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
