"""Reading what was counted in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY


def figure(name: str, **labels: str) -> float:
    """A sample's value; 0 when it is not there."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def figures() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of ours, but when series were made."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name.startswith(("baton_", "feature_flag")) and not sample.name.endswith("_created")
    }


@contextmanager
def counting() -> Iterator[dict[tuple[str, tuple[tuple[str, str], ...]], float]]:
    """What was added within, filled at the end: only what changed."""
    before, added = figures(), {}
    yield added
    for key, value in figures().items():
        if value != before.get(key, 0.0):
            added[key] = value - before.get(key, 0.0)


def of(added: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str) -> dict[str, float]:
    """By the values of its labels, joined by blanks."""
    return {" ".join(value for _, value in labels): count for (known, labels), count in added.items() if known == name}
