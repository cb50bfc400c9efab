"""Why one candidate stood before another, and why a nearer one was not taken: from the parts recorded with a search."""

from typing import NamedTuple

from dispatch.contract.records.delivery_events import DriverCandidatesFound
from dispatch.contract.records.shared import Candidate
from dispatch.contract.score import parts_of, why_before

_WHY_NOT = {
    "former_driver": "had it before, or refused it",
    "at_capacity": "had no room left",
    "not_available": "was not available",
    "zone_unavailable": "does not drive in this zone",
}


class Ranked(NamedTuple):
    """A candidate for people and programs."""

    place: int
    driver_id: str
    distance_m: int
    travel_s: int
    score_min: float
    parts: dict[str, float]
    """In minutes; those that are nothing are left out."""
    excluded: str


def ranked(search: DriverCandidatesFound) -> list[Ranked]:
    """All of a search, best first."""
    return [
        Ranked(
            number, seen.driver_id, seen.distance_m, seen.travel_s, round(seen.score, 3),
            {name.removesuffix("_min"): round(minutes, 3) for name, minutes in parts_of(seen).items() if minutes},
            seen.excluded,
        )
        for number, seen in enumerate(search.candidates, 1)
    ]  # fmt: skip


def why_first(search: DriverCandidatesFound) -> list[str]:
    """Sentences: why the first is before the second, and why each nearer one is not the first."""
    fit = [seen for seen in search.candidates if not seen.excluded]
    if not fit:
        return []
    first, said = fit[0], []
    if len(fit) > 1:
        said.append(before(first, fit[1]))
    nearer = [seen for seen in search.candidates if seen.distance_m < first.distance_m]
    for seen in sorted(nearer, key=lambda seen: seen.distance_m):
        by = f"{first.distance_m - seen.distance_m:,} m nearer"
        if seen.excluded:
            why = _WHY_NOT.get(seen.excluded, seen.excluded.replace("_", " "))
            said.append(f"{seen.driver_id}, {by}, was not asked: {why}")
        elif len(fit) < 2 or seen is not fit[1]:
            said.append(f"{seen.driver_id} was {by}; but {before(first, seen)}")
        else:
            said.append(f"{seen.driver_id} was {by}; the above outweighed it")
    return said


def before(first: Candidate, second: Candidate) -> str:
    """Why one is before another, in minutes."""
    differences = why_before(first, second)
    if not differences:
        return f"{first.driver_id} and {second.driver_id} had the same score; the id decided"
    ours = [f"{one.words} ({one.minutes:.2f})" for one in differences if one.minutes > 0]
    theirs = [f"{one.words} ({-one.minutes:.2f})" for one in differences if one.minutes < 0]
    gap = second.score - first.score
    against = f", against {second.driver_id}'s {', '.join(theirs)}" if theirs else ""
    return f"{first.driver_id} was {gap:.2f} min before {second.driver_id}: {', '.join(ours) or 'the order'}{against}"
