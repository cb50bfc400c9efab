"""A driver's score: five shares of what went well, each shrunk towards the mean while data is thin, weighted and added.

value = (good + mean x strength) / (seen + strength): the posterior mean of a share under a Beta prior that weighs as
much as `strength` observations. score = sum of weight x value over the parts, 0..1.
"""

from math import fsum

import msgspec

from dispatch.contract.records.shared import DriverScorePart
from dispatch.contract.records.system import DriverScored
from dispatch.core.policy import DriverScorePolicy

PARTS = ("acceptance", "completion", "on_time", "rating", "cancellations")
_STARS = 5
_WORDS = {
    "acceptance": "offers accepted, of those answered or let expire",
    "completion": "assignments seen through to the customer",
    "on_time": "handed over by the time told at the assignment",
    "rating": "rating",
    "cancellations": "assignments not given up",
}


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of one driver, from the events."""

    driver_id: str
    at_ms: int = 0
    """The last event that counted."""
    accepted: int = 0
    refused: int = 0
    expired: int = 0
    completed: int = 0
    on_time: int = 0
    given_up: int = 0
    lost: int = 0
    """Taken away for the driver's absence or way, not given up."""
    rating: float = 0.0
    """0: none yet."""

    @property
    def offers(self) -> int:
        """Those that came to an answer or to silence; what was withdrawn says nothing of the driver."""
        return self.accepted + self.refused + self.expired

    @property
    def assignments(self) -> int:
        """Those that ended, with the driver having had a say in how."""
        return self.completed + self.given_up + self.lost


def scored(tally: Tally, policy: DriverScorePolicy) -> DriverScored:
    """The score with every part."""
    rated = policy.rating_counts if tally.rating > 0 else 0.0
    counted = {
        "acceptance": (tally.accepted, tally.offers),
        "completion": (tally.completed, tally.assignments),
        "on_time": (tally.on_time, tally.completed),
        "rating": (rated * min(1.0, tally.rating / _STARS), rated),
        "cancellations": (tally.assignments - tally.given_up, tally.assignments),
    }
    weights = _weights(policy)
    parts = tuple(
        DriverScorePart(
            part=part,
            good=float(good),
            seen=float(seen),
            value=shrunk(good, seen, getattr(policy, f"{part}_mean"), policy.strength),
            weight=weights[part],
        )
        for part, (good, seen) in counted.items()
    )
    return DriverScored(
        driver_id=tally.driver_id,
        at_ms=tally.at_ms,
        score=min(1.0, fsum(part.weight * part.value for part in parts)),
        mean=mean_score(policy),
        acceptance_rate=parts[0].value,
        parts=parts,
    )


def shrunk(good: float, seen: float, mean: float, strength: float) -> float:
    """The share of good in seen, pulled towards the mean as if `strength` more had been seen that went as usual."""
    return min(1.0, (good + mean * strength) / (seen + strength))


def mean_score(policy: DriverScorePolicy) -> float:
    """The score of a driver of whom nothing is known."""
    return min(1.0, fsum(weight * getattr(policy, f"{part}_mean") for part, weight in _weights(policy).items()))


def _weights(policy: DriverScorePolicy) -> dict[str, float]:
    """Weights that add up to 1; all alike where the policy gives none."""
    given = {part: float(getattr(policy, f"{part}_weight")) for part in PARTS}
    whole = fsum(given.values())
    return {part: weight / whole if whole else 1 / len(PARTS) for part, weight in given.items()}


def told(score: DriverScored) -> list[str]:
    """The score in words: a sentence, then one for each part, those that move the score most first."""
    lead = 100 * (score.score - score.mean)
    how = "as a driver of whom nothing is known" if abs(lead) < 0.05 else f"{lead:+.1f} against one unknown"
    lines = [f"{score.driver_id} scores {100 * score.score:.1f} of 100, {how}"]
    for part in sorted(score.parts, key=lambda part: (-part.weight * part.value, part.part)):
        share = f"{100 * part.value:.1f}% after shrinkage"
        adds = f"adds {100 * part.weight * part.value:.1f} of {100 * part.weight:.1f}"
        lines.append(f"  {part.part.replace('_', ' ')}: {_counted(part)}; {share}, {adds}")
    return lines


def _counted(part: DriverScorePart) -> str:
    if not part.seen:
        return f"nothing seen yet ({_WORDS.get(part.part, part.part)})"
    if part.part == "rating":
        return f"{_STARS * part.good / part.seen:.2f} stars"
    return f"{part.good:g} of {part.seen:g} {_WORDS.get(part.part, part.part)}"
