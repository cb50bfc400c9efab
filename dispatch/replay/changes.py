"""In what a decision comes out otherwise, in words that can be counted: `kinds` of two outcomes."""

from typing import Any, NamedTuple

import msgspec

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Outcome

SCORES = "scores only"
"""Numbers of a ranking whose order stays: written, and of no consequence in this step."""
_WORDS = {
    "NoDriverFound.retry_at_ms": "searches again at another time",
    "DriverOfferSent.expires_at_ms": "the offer is open for another time",
    "OfferExpired.auto_assigned": "silence has another consequence",
    "ReservationRequested.answer_by_ms": "a reservation is waited for another time",
    "AssignmentReassigned.compensation_minor": "other compensation",
    "AssignmentReassigned.notify_customer": "the customer is told otherwise",
    "DriverLost.grace_until_ms": "another grace",
    "DriverCandidatesFound.radius_m": "another search radius",
    "AssignmentStarted.radius_m": "another search radius",
    "UnassignedEscalated.radius_m": "another search radius",
    "DeliveryCreated.remember_ms": "its marker stays for another time",
    "DeliveryCreated.multiplier_percent": "another price",
    "EtaChanged.tell_customer": "the customer is told otherwise",
}
_MONEY = ("DeliveryEconomicsEstimated", "DeliveryEconomicsSettled")
_SHOWN_ONCE = frozenset({"terms", "eta"})


class Came(NamedTuple):
    """What a decision came to."""

    outcome: Outcome
    reason: str
    events: tuple[Any, ...]


def kinds(old: Came, new: Came) -> list[str]:
    """In what they differ; empty: in nothing."""
    if (old.outcome, old.reason) != (new.outcome, new.reason):
        return [f"{_said(old)} -> {_said(new)}"]
    if old.events == new.events:
        return []
    before, after = [type(event) for event in old.events], [type(event) for event in new.events]
    if before != after:
        return [_sequence(old.events, new.events)]
    found: dict[str, None] = {}
    for one, other in zip(old.events, new.events, strict=True):
        for kind in of_event(one, other):
            found[kind] = None
    if len(found) > 1:
        found.pop(SCORES, None)
    return list(found)


def _said(came: Came) -> str:
    return f"refused {came.reason}" if came.outcome == "refused" else came.outcome


def _sequence(old: tuple[Any, ...], new: tuple[Any, ...]) -> str:
    """Other events: the two that matter are named."""
    before, after = ({type(event).__name__ for event in made} for made in (old, new))
    gone, came = sorted(before - after), sorted(after - before)
    if "NoDriverFound" in came and "ReservationRequested" in gone:
        return "finds nobody, where somebody was asked"
    if "NoDriverFound" in gone and "ReservationRequested" in came:
        return "asks somebody, where nobody was found"
    if "DriverAssigned" in gone and "OfferExpired" in before & after:
        return "silence does not assign any more"
    if "DriverAssigned" in came and "OfferExpired" in before & after:
        return "silence assigns"
    return f"{', '.join(gone) or 'nothing'} -> {', '.join(came) or 'nothing'}"


def of_event(old: Any, new: Any) -> list[str]:
    """In what two events of one kind differ."""
    if old == new:
        return []
    name = type(old).__name__
    if isinstance(old, events.DriverCandidatesFound):
        return _ranking(old, new)
    if name in _MONEY:
        return ["other money expected" if name.endswith("Estimated") else "other money settled"]
    found = []
    for field in old.__struct_fields__:
        ours, theirs = getattr(old, field), getattr(new, field)
        if ours == theirs:
            continue
        if field == "driver_id":
            return ["another driver is asked"]
        if field == "terms":
            found += _terms(ours, theirs)
        elif field == "eta":
            found.append("other arrivals")
        elif field.startswith("level_") and field.endswith("_ms"):
            found.append("escalates at other times")
        else:
            found.append(_WORDS.get(f"{name}.{field}", f"{name}.{field}"))
    return found


def _ranking(old: events.DriverCandidatesFound, new: events.DriverCandidatesFound) -> list[str]:
    found = ["another search radius"] if old.radius_m != new.radius_m else []
    before, after = ([(seen.driver_id, seen.excluded) for seen in one.candidates] for one in (old, new))
    if before != after:
        fewer = len(after) != len(before)
        found.append("other candidates" if fewer else "another order of candidates")
    elif old.candidates != new.candidates:
        found.append(SCORES)
    return found


def _terms(old: Any, new: Any) -> list[str]:
    changed = {name for name in old.__struct_fields__ if getattr(old, name) != getattr(new, name)}
    found = []
    if any(name.endswith("_minor") for name in changed):
        found.append("other pay")
    if changed & {"pickup_eta_ms", "delivery_eta_ms", "eta"}:
        found.append("other arrivals")
    return found or [f"terms.{name}" for name in sorted(changed)]


def plain(came: Came) -> dict[str, Any]:
    """For programs."""
    return {
        "outcome": came.outcome,
        "reason": came.reason,
        "events": [{"event": type(event).__name__, **msgspec.to_builtins(event)} for event in came.events],
    }
