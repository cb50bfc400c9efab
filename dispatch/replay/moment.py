"""What was so at one moment of a delivery: its state, what was open, who was considered, and what each party could see.

It is what the log says; tables, sockets and pages are a moment behind it.
"""

from typing import Any

import msgspec

from dispatch.contract.records import delivery_events as events
from dispatch.core.delivery.deadlines import deadlines
from dispatch.core.delivery.states import (
    PICKED_UP,
    Closed,
    Delivery,
    Held,
    Offered,
    Reserving,
    Review,
    Searching,
    status,
)
from dispatch.core.delivery.telling import notices
from dispatch.replay.deciding import CORES
from dispatch.replay.history import History
from dispatch.replay.ranking_words import Ranked, ranked
from dispatch.webhooks.kinds import TOLD


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one party could see or had been told, in sentences."""

    party: str
    sees: tuple[str, ...]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery at a moment."""

    delivery_id: str
    at_ms: int
    version: int
    since_ms: int
    """When the last event before was decided."""
    status: str
    phase: str
    facts: dict[str, Any]
    """Of the phase, as the state has them."""
    timers: tuple[tuple[str, int, str], ...]
    """Kind, moment, reference."""
    former: tuple[str, ...]
    attempt_count: int
    level: int
    needs_manual_review: bool
    search_no: int
    searched_ms: int
    candidates: tuple[Ranked, ...]
    sights: tuple[Sight, ...]


def at(known: History, at_ms: int) -> Moment | None:
    """The delivery at this moment; None: nothing was known of it yet."""
    until = known.until(at_ms)
    if not until:
        return None
    state: Delivery = known.state_at(at_ms)
    search = next((event for event in reversed(until) if isinstance(event, events.DriverCandidatesFound)), None)
    return Moment(
        delivery_id=known.aggregate_id,
        at_ms=at_ms,
        version=state.version,
        since_ms=until[-1].at_ms,
        status=status(state),
        phase=type(state.phase).__name__.lower(),
        facts=_facts(state),
        timers=tuple((due.kind, due.at_ms, due.ref) for due in deadlines(state)),
        former=state.former,
        attempt_count=state.attempt_count,
        level=state.level,
        needs_manual_review=state.needs_review,
        search_no=state.search_no,
        searched_ms=search.at_ms if search else 0,
        candidates=tuple(ranked(search)) if search else (),
        sights=(
            _customer(known, state, until),
            _driver(state, until, at_ms),
            _seller(until),
            _operations(known, state, at_ms),
        ),
    )


def _facts(state: Delivery) -> dict[str, Any]:
    phase = state.phase
    return {name: msgspec.to_builtins(getattr(phase, name)) for name in phase.__struct_fields__ if name != "earning"}


def _told(known: History, until: tuple[Any, ...], audience: str) -> list[tuple[int, str]]:
    """Notices to somebody so far: when, and which."""
    state, told = CORES[known.kind].initial(known.aggregate_id), []
    for event in until:
        told += [(one.at_ms, one.kind) for one in notices(state, event) if one.audience == audience]
        state = CORES[known.kind].evolve(state, event)
    return told


def _customer(known: History, state: Delivery, until: tuple[Any, ...]) -> Sight:
    word = status(state)
    sees = [f"status {word}"]
    if isinstance(state.phase, Held):
        sees.append(f"the driver {state.phase.driver_id} (first name, rating, vehicle, masked phone) and their place")
        if state.phase.delivery_eta_ms:
            sees.append(f"arrival about {clock(state.phase.delivery_eta_ms)}")
    else:
        sees.append("no driver and no place: those are shown from the assignment to the hand-over")
    told = _told(known, until, "customer")
    sees += [f"told {kind.replace('_', ' ')} at {clock(at_ms)}" for at_ms, kind in told]
    return Sight(party="customer", sees=tuple(sees))


def _driver(state: Delivery, until: tuple[Any, ...], at_ms: int) -> Sight:
    sees: tuple[str, ...]
    match state.phase:
        case Offered() as offer:
            terms = next(event.terms for event in reversed(until) if isinstance(event, events.DriverOfferSent))
            left_s = (offer.expires_at_ms - at_ms) / 1000
            over = f"{left_s:.1f} s left" if left_s > 0 else f"over for {-left_s:.1f} s, its timer has not come"
            money = f"{terms.earning_minor / 100:.2f} {terms.currency}"
            sees = (
                f"{offer.driver_id}: the offer of {terms.store_name}, {terms.pickup_distance_m / 1000:.1f} km to it, "
                f"{terms.total_distance_m / 1000:.1f} km in all, {money}, until {clock(offer.expires_at_ms)} ({over})",
                "the exact drop-off and the customer's contact are not shown yet",
            )
        case Held() as held:
            what = "on the way with the goods" if held.progress >= PICKED_UP else "assigned"
            sees = (f"{held.driver_id}: {what}, with the exact drop-off and the contact",)
            if held.grace_until_ms:
                sees = (*sees, f"was lost ({held.lost}); may come back until {clock(held.grace_until_ms)}")
        case Reserving() as asked:
            sees = (f"{asked.driver_id} is being reserved and sees nothing yet",)
        case Closed():
            sees = ("nothing more: it ended",)
        case _:
            sees = ("nobody has it before them",)
    if state.former:
        sees = (*sees, f"not asked again: {', '.join(state.former)}")
    return Sight(party="driver", sees=sees)


def _seller(until: tuple[Any, ...]) -> Sight:
    told = [(event.at_ms, TOLD[type(event)][0]) for event in until if type(event) in TOLD]
    return Sight(party="seller", sees=tuple(f"{name} at {clock(at_ms)}" for at_ms, name in told) or ("nothing yet",))


def _operations(known: History, state: Delivery, at_ms: int) -> Sight:
    sees = []
    if isinstance(state.phase, Searching | Reserving | Offered | Review):
        waited = max(0, at_ms - state.waiting_since_ms) / 60_000
        why = state.phase.why.replace("_", " ") if isinstance(state.phase, Searching) else ""
        queue = "in the queue" if isinstance(state.phase, Searching | Review) else "not in the queue: somebody is asked"
        sees.append(f"waits for {waited:.1f} min, level {state.level}, search {state.search_no}, {queue}")
        if why:
            sees.append(f"because: {why}")
    if state.needs_review or isinstance(state.phase, Review):
        sees.append("needs manual review")
    sees.append(f"{state.attempt_count} reassignments so far")
    told = _told(known, known.until(at_ms), "operations") + _told(known, known.until(at_ms), "support")
    sees += [f"told {kind.replace('_', ' ')} at {clock(when)}" for when, kind in sorted(told)]
    return Sight(party="operations", sees=tuple(sees))


def clock(ms: int) -> str:
    """The time of day, UTC."""
    seconds, thousandths = divmod(ms, 1000)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{thousandths:03}"
