"""What an expression asks for: metrics, labels and their values, against the catalogue."""

import re

from dispatch.metrics.catalogue import series

_SELECTOR = re.compile(r"\b((?:baton|feature_flags?)_\w+|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
SCRAPED = {"job", "instance", "process"}
"""Labels that are added where it is scraped."""


def wrong(expression: str) -> list[str]:
    """What it asks for and nobody gives; variables of dashboards stand for any value."""
    known, found, labels = series(), [], set(SCRAPED)
    for name, inside in _SELECTOR.findall(expression):
        if name == "up":
            continue
        if name not in known:
            found.append(f"no metric {name}")
            continue
        metric = known[name]
        mine = set(metric.labels) | SCRAPED | ({"le"} if name.endswith("_bucket") else set())
        labels |= mine
        for label, how, value in _MATCHER.findall(inside):
            if label not in mine:
                found.append(f"{name} has no label {label}")
                continue
            values = metric.labels.get(label, "")
            asked = value.split("|") if how.endswith("~") else [value]
            if not isinstance(values, str) and "$" not in value:
                found += [f"{name} has no {label} {one!r}" for one in asked if one not in values]
    for group in _GROUPED.findall(expression):
        found += [f"nothing has a label {label}" for label in re.findall(r"\w+", group) if label not in labels]
    return found
