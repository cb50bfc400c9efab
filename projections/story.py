"""A delivery's events told in words: what happened, who did it, who was considered and why the first was first."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.contract.records.shared import Candidate, OfferTerms
from dispatch.contract.score import parts_of, why_before
from projections.story_eta import arrivals, eta_changed
from projections.story_money import earning, economics, price

_AVAILABILITY_WORDS = {"ON_BREAK": "on a break", "SHIFT_ENDED": "off shift", "OFFLINE": "offline", "PAUSED": "paused"}

_PART_WORDS: dict[str, Callable[[Candidate], str]] = {
    "rating_min": lambda _seen: "rating",
    "driver_score_min": lambda seen: f"driver score {100 * (seen.score_share):.0f}",
    "fairness_min": lambda _seen: "fairness",
    "load_min": lambda _seen: "load",
    "zone_min": lambda _seen: "prefers the zone",
    "acceptance_min": lambda seen: f"accepts with {100 * (seen.accept_chance):.0f}%",
    "exploration_min": lambda _seen: "exploration",
}
"""How each part of a score is told, beside the way to the store."""

_HOW = {
    "accepted": "who accepted",
    "auto": "by silence",
    "manual": "named by an admin",
    "direct": "with no offer",
}


def tell(history: Iterable[DeliveryEvent]) -> list[tuple[str, str]]:
    """Rows of (time UTC, sentence), in the order of the events; a search is followed by rows for its candidates."""
    rows: list[tuple[str, str]] = []
    for event in history:
        moment = datetime.fromtimestamp(event.at_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
        first, *more = _sentences(event)
        rows.append((moment, first))
        rows += [("", line) for line in more]
    return rows


def _sentences(event: DeliveryEvent) -> list[str]:
    match event:
        case events.DriverCandidatesFound():
            return _search(event)
        case events.DriverOfferSent():
            seconds = (event.expires_at_ms - event.sent_at_ms) / 1000
            return [f"Offered to {event.driver_id} for {seconds:g} s (fence {event.fence})", f"  {_terms(event.terms)}"]
        case events.DriverAssigned():
            how = _HOW.get(event.how, event.how)
            told = f"Assigned to {event.driver_id}, {how}, {event.search_ms / 1000:.1f} s after it was ready"
            return [told, f"  {earning(event.terms)}", *arrivals(event.terms)]
        case events.EtaChanged():
            return eta_changed(event)
        case events.DeliveryCreated(order=order):
            money = f"{order.order_value_minor / 100:.2f} {order.currency}"
            known = f"Order {order.seller_order_id} of {order.seller_id} ({order.store_name}), {money}, became known"
            return [known, *price(event)]
        case events.DeliveryEconomicsEstimated() | events.DeliveryEconomicsSettled():
            return economics(event)
        case events.AssignmentStarted():
            off = [name for name in ("driver_offers", "reassignment", "escalation") if not getattr(event, name)]
            without = f", without {', '.join(off)}" if off else ""
            return [f"Ready: dispatch begins under policy {event.policy_version}{without}"]
        case _:
            return [_sentence(event)]


def _sentence(event: DeliveryEvent) -> str:
    match event:
        case events.PrepTimeChanged():
            return f"The store now needs {event.prep_s} s"
        case events.ReservationRequested():
            return f"Asked for {event.driver_id}" + (f", number {event.rank + 1} of the list" if event.rank else "")
        case events.ReservationFailed():
            why = event.why.replace("_", " ")
            return f"{event.driver_id} was not to be had: {why}"
        case events.DriverAccepted():
            return f"{event.driver_id} accepted after {event.response_ms / 1000:.1f} s"
        case events.DriverRejected():
            note = f": {event.note}" if event.note else ""
            return f"{event.driver_id} refused after {event.response_ms / 1000:.1f} s ({event.reason}{note})"
        case events.OfferExpired():
            return f"{event.driver_id} did not answer" + ("; silence assigns" if event.auto_assigned else "")
        case events.OfferWithdrawn():
            return f"The offer to {event.driver_id} was withdrawn: {event.why.replace('_', ' ')}"
        case events.DriverLost():
            until = datetime.fromtimestamp(event.grace_until_ms / 1000, UTC).strftime("%H:%M:%S")
            return f"{event.driver_id} was lost ({event.why}); may come back until {until}"
        case events.DriverRecovered():
            return f"{event.driver_id} is back and keeps it"
        case events.AssignmentReassigned():
            note = f": {event.note}" if event.note else ""
            return f"Taken from {event.driver_id} ({event.reason}{note}); change number {event.attempt_count}"
        case events.NoDriverFound():
            return f"Nobody could be asked: {event.why.replace('_', ' ')}"
        case events.UnassignedEscalated():
            by = " by an admin" if event.by_admin else ""
            waited = f"{event.waiting_ms / 60_000:.1f} min"
            return f"Escalated to level {event.level}{by} after {waited}; searching within {event.radius_m / 1000:g} km"
        case events.ManualReviewRequired():
            return f"People must look at it{' (critical)' if event.critical else ''}: {event.reason.replace('_', ' ')}"
        case events.ManualReviewEnded():
            return "An admin took it up again" + (f": {event.note}" if event.note else "")
        case events.DeliveryCompleted():
            return f"Handed over by {event.driver_id}, {event.total_ms / 60_000:.1f} min after it was ready"
        case events.ProofRefused():
            return f"A wrong PIN was said at the door, number {event.wrong}"
        case events.DeliveryFailed():
            return f"Failed: {event.reason}" + ("; the goods go back to the store" if event.returning else "")
        case events.DeliveryReturned():
            return "The goods are back at the store"
        case events.DeliveryCancelled():
            return f"Cancelled by {event.actor_type.replace('_', ' ')}: {event.reason}"
        case _:
            return _STEPS[type(event)]


_STEPS: dict[type[DeliveryEvent], str] = {
    events.PickupStarted: "On the way to the store",
    events.ArrivedAtPickup: "At the store",
    events.PickupCompleted: "Picked up",
    events.DeliveryStarted: "On the way to the customer",
    events.ArrivedAtDropoff: "At the customer's door",
}


def _search(event: events.DriverCandidatesFound) -> list[str]:
    answered = f"{event.source} answered" + ("" if event.redis_ok else ", the geo index did not")
    model = f", acceptance model {event.model_version}" if event.model_version else ""
    head = (
        f"Search {event.search_no} within {event.radius_m / 1000:g} km{_zone(event)}: {event.free_in_radius} free, "
        f"{event.busy_in_radius} busy ({answered}, policy {event.policy_version}{model})"
    )
    rows = [f"  {place}. {_candidate(candidate)}" for place, candidate in enumerate(event.candidates, 1)]
    return [head, *rows, *_why_first(event.candidates)]


def _zone(event: events.DriverCandidatesFound) -> str:
    """The zone, and why the search was wider there."""
    if not event.zone_version:
        return ""
    few = 0 <= event.zone_drivers_online < event.zone_min_drivers
    short = f", {event.zone_drivers_online} online of at least {event.zone_min_drivers}" if few else ""
    return f" (zone {event.zone}{short})"


def _candidate(seen: Candidate) -> str:
    source = f" by {seen.travel_source}" if seen.travel_source else ""
    parts = [f"{_minutes(seen.travel_min)} min to the store{source}"]
    for name, minutes in parts_of(seen).items():
        if minutes and name != "travel_min":
            parts.append(f"{_PART_WORDS[name](seen)} {_minutes(minutes, '+')}")
    out = f"; not asked: {seen.excluded.replace('_', ' ')}" if seen.excluded else ""
    state = _AVAILABILITY_WORDS.get(seen.availability, f"holds {seen.orders} of {seen.capacity}")
    return (
        f"{seen.driver_id}, {seen.vehicle}, {seen.distance_m / 1000:.2f} km, {state}: "
        f"{_minutes(seen.score)} = {', '.join(parts)}{out}"
    )


def _why_first(candidates: Sequence[Candidate]) -> list[str]:
    """Which part of the score put the first before the second."""
    fit = [candidate for candidate in candidates if not candidate.excluded]
    if len(fit) < 2:
        return ["  the only one who could be asked"] if fit else []
    first, second = fit[0], fit[1]
    why = why_before(first, second)
    lead = second.score - first.score
    if not why or lead <= 0:
        return [f"  {first.driver_id} and {second.driver_id} score the same; the name decides"]
    told = f"by {_minutes(lead)} min, most of it {why[0].words} ({_minutes(why[0].minutes, '+')})"
    others = [f"{one.part.replace('_', ' ')} {_minutes(one.minutes, '+')}" for one in why[1:]]
    also = f"; also {', '.join(others)}" if others else ""
    return [f"  {first.driver_id} before {second.driver_id} {told}{also}"]


def _minutes(value: float, sign: str = "") -> str:
    """A tenth of a minute is enough; in a city that lives faster two digits that say something."""
    return f"{value:{sign}.1f}" if abs(value) >= 1 else f"{value:{sign}.2g}"


def _terms(terms: OfferTerms) -> str:
    return (
        f"{terms.store_name}: {terms.pickup_distance_m / 1000:.1f} km to the store, "
        f"{terms.total_distance_m / 1000:.1f} km in all; {earning(terms)}"
    )


def from_rows(rows: Iterable[tuple[str, dict[str, object]]]) -> list[DeliveryEvent]:
    """The events of audit rows (name, body)."""
    kinds = {kind.__name__: kind for kind in events.AUDIT_WORDS}
    return [msgspec.convert(body, kinds[name], strict=False) for name, body in rows]
