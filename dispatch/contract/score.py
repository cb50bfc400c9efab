"""The parts of a candidate's score, and why one candidate stands before another: read from the record alone.

A score is the sum of its parts in minutes, and the lowest is first; so why A was before B is how many minutes each part
put between them.
"""

from typing import NamedTuple

from dispatch.contract.records.shared import Candidate

PARTS: dict[str, str] = {
    "travel_min": "the shorter way to the store",
    "rating_min": "the better rating",
    "driver_score_min": "the better driver score",
    "fairness_min": "the longer wait since the last assignment",
    "load_min": "the lighter load",
    "zone_min": "the preference for this zone",
    "acceptance_min": "the better chance that it is accepted",
    "exploration_min": "the turn of a second-best, to learn from it",
}
"""Every part by the name of its field, with what it means where it speaks for a candidate."""


class Difference(NamedTuple):
    """What one part did to the order of two candidates."""

    part: str
    """The field's name without its unit: travel, rating, ..."""
    words: str
    minutes: float
    """Above 0: it speaks for the first; below: for the second."""


def parts_of(candidate: Candidate) -> dict[str, float]:
    """Every part in minutes, by the name of its field; their sum is the score."""
    return {name: getattr(candidate, name) for name in PARTS}


def why_before(first: Candidate, second: Candidate) -> tuple[Difference, ...]:
    """The parts that differ, those that speak for the first at the front, the strongest first.

    Their minutes add up to `second.score - first.score`. Empty: the scores are the same, and the id decided.
    """
    ours, theirs = parts_of(first), parts_of(second)
    found = [
        Difference(name.removesuffix("_min"), words, theirs[name] - ours[name])
        for name, words in PARTS.items()
        if theirs[name] != ours[name]
    ]
    return tuple(sorted(found, key=lambda difference: -difference.minutes))
