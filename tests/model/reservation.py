"""The reservation between delivery and driver as a small model: two deliveries, two drivers, every interleaving.

The core is the real one. A world is what the two kinds of aggregates know and what is under way between them; each pair
keeps its order, and everything else may happen at any moment. Every world that can be reached is visited once: in each
the rules must hold, and where nothing is under way holders and held must agree.
"""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.core import delivery, driver
from dispatch.core.policy import OfferPolicy, Policy

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from world import World, agreement, always, an_order

FAMILIES = (
    ("accept", "give up", "break"),
    ("accept", "offline ana", "back ana", "grace"),
    ("accept", "reject", "offer_expiry"),
    ("accept", "pick", "deliver", "cancel", "pause"),
    ("reserve_timeout", "cancel"),
    ("accept", "cancel", "offer_expiry", "offline ana"),
)
"""What may happen besides messages and crashes, by the beginning of its name, each once to each."""
WHOLE = (
    ("accept", "cancel", "offer_expiry", "offline", "back", "grace"),
    ("accept", "cancel", "break", "pause"),
    ("accept", "reserve_timeout", "cancel"),
    ("accept", "assign", "pause"),
    ("offer_expiry", "reserve_timeout", "reject"),
)
"""More and larger ones, for `python -m tests.model --whole`."""
_STATES = {
    core: msgspec.msgpack.Decoder(kind) for core, kind in ((delivery, delivery.Delivery), (driver, driver.Driver))
}
_DELIVERY_TIMERS = ("offer_expiry", "reserve_timeout", "grace")
AGAIN = ("arrive", "crash")
"""What may happen any number of times."""
Act = Callable[[World], Any]


class Move(NamedTuple):
    """Something that can happen."""

    name: str
    act: Act


class Visited(NamedTuple):
    """How many different worlds were reached, over how many moves, and the story of the first that is wrong."""

    states: int
    moves: int
    wrong: str


def start() -> World:
    """Two drivers at work, two orders just ready."""
    world = World(Policy(offer=OfferPolicy(on_expiry="next_driver")))
    for name in ("ana", "ben"):
        world.sign_on(name)
    world.settle()
    for number in (1, 2):
        name = identity.delivery_id("s1", f"o{number}")
        world.ask(dc.MarkReady, name, order=an_order(number))
    world.events, world.told = [], []
    return world


def explore(kinds: tuple[str, ...]) -> Visited:
    """Visits every world that these kinds of moves lead to, the nearest first."""
    frontier: list[tuple[World, frozenset[str], tuple[str, ...]]] = [(start(), frozenset(), ())]
    seen: set[Any] = set()
    made = 0
    while frontier:
        following = []
        for world, spent, story in frontier:
            for move in moves(world, spent):
                again = move.name.startswith(AGAIN)
                if not again and not move.name.startswith(kinds):
                    continue
                after = world.copy()
                move.act(after)
                after.events, after.told = [], []
                made += 1
                told = (*story, move.name)
                if wrong := _wrong(after):
                    return Visited(len(seen), made, f"{wrong}: {' / '.join(told)}")
                now_spent = spent if again else spent | {move.name}
                mark = fingerprint(after, now_spent)
                if mark not in seen:
                    seen.add(mark)
                    following.append((after, now_spent, told))
        frontier = following
    return Visited(len(seen), made, "")


def _wrong(world: World) -> str:
    if wrong := always(world):
        return wrong
    return "" if any(world.queues.values()) else agreement(world)


def moves(world: World, spent: frozenset[str]) -> list[Move]:
    """Everything that can happen next; what is neither a message's arrival nor a crash happens once."""
    found = [
        Move(f"arrive {pair[0][:4]}>{pair[1][:4]}", _arrival(pair))
        for pair, queue in sorted(world.queues.items())
        if queue
    ]
    for name, state in sorted(world.deliveries.items()):
        found += _of_delivery(name, state)
    for name, state in sorted(world.drivers.items()):
        found += _of_driver(name, state)
    found.append(Move("crash", crash))
    return [move for move in found if move.name.startswith(AGAIN) or move.name not in spent]


def _arrival(pair: tuple[str, str]) -> Act:
    return lambda world: world.deliver(pair)


def _asks(kind: Any, name: str, actor: str = "", **fields: Any) -> Act:
    return lambda world: world.ask(kind, name, actor, **fields)


def _fires(name: str, due: Any) -> Act:
    return lambda world: world.fire(name, due)


def _of_delivery(name: str, state: Any) -> list[Move]:
    phase, found = state.phase, []
    ids = {"offer_id": phase.offer_id, "driver_id": phase.driver_id} if hasattr(phase, "offer_id") else {}
    match type(phase).__name__:
        case "Offered":
            found.append(Move(f"accept {name}", _asks(dc.AcceptOffer, name, **ids)))
            found.append(Move(f"reject {name}", _asks(dc.RejectOffer, name, **ids, reason="other")))
        case "Held":
            step, word = ("picked_up", "pick up") if phase.progress < 3 else ("delivered", "deliver")
            found.append(Move(f"give up {name}", _asks(dc.GiveUpDelivery, name, **ids)))
            found.append(Move(f"{word} {name}", _asks(dc.ReportProgress, name, **ids, step=step)))
    found.append(Move(f"cancel {name}", _asks(dc.CancelDelivery, name, reason="r")))
    found.append(Move(f"assign ben {name}", _asks(dc.AssignDriver, name, "admin", driver_id="ben", note="n")))
    found.append(Move(f"again {name}", _asks(dc.SearchAgain, name, "system")))
    for due in delivery.deadlines(state):
        if due.kind in _DELIVERY_TIMERS:
            found.append(Move(f"{due.kind} {name}", _fires(name, due)))
    return found


def _of_driver(name: str, state: Any) -> list[Move]:
    found = [
        Move(f"offline {name}", _fires(name, due)) for due in driver.deadlines(state) if due.kind == "offline_check"
    ]
    if state.offline:
        found.append(Move(f"back {name}", lambda world: world.ask(vc.SeenAlive, name, seen_at_ms=world.now_ms)))
    if name == "ana":
        found.append(Move("break ana", _asks(vc.TakeBreak, name, duration_ms=600_000)))
    else:
        found.append(Move("pause ben", _asks(vc.PauseDriver, name, "admin", reason="r", held="reassign")))
    return found


def crash(world: World) -> None:
    """The worker dies inside a transaction: what it decided is gone, the message comes again, states are read back.

    Raises AssertionError when what is read back is not what was known, or its timers are others.
    """
    died = world.copy()
    if pair := next((pair for pair, queue in sorted(died.queues.items()) if queue), None):
        died.deliver(pair)
    parts: tuple[tuple[Any, dict[str, Any]], ...] = ((delivery, world.deliveries), (driver, world.drivers))
    for core, states in parts:
        for name, state in states.items():
            restored = _STATES[core].decode(msgspec.msgpack.encode(state))
            assert restored == state, f"{name} was {state}, and is read back as {restored}"
            assert core.deadlines(restored) == core.deadlines(state), f"{name} has other timers after a restart"
            states[name] = restored


def fingerprint(world: World, spent: frozenset[str]) -> Any:
    """What makes two worlds the same: phases, holds, queues; not the clock, nor how many events led there."""
    ids = itertools.count()
    known: dict[str, int] = {}

    def short(offer_id: str) -> int:
        return known.setdefault(offer_id, next(ids))

    phases = []
    for name, state in sorted(world.deliveries.items()):
        phase: Any = state.phase
        offer = short(phase.offer_id) if hasattr(phase, "offer_id") else -1
        phases.append(
            (
                name[:4],
                type(phase).__name__,
                offer,
                getattr(phase, "driver_id", ""),
                getattr(phase, "progress", 0),
                getattr(phase, "grace_until_ms", 0) > 0,
                state.former,
                state.attempt_count,
            )
        )
    holds = tuple(
        (
            name,
            state.duty,
            state.paused,
            state.offline,
            state.pending_break_ms > 0,
            tuple((short(hold.offer_id), hold.confirmed) for hold in state.holds),
        )
        for name, state in sorted(world.drivers.items())
    )
    queues = tuple(
        (pair, tuple((type(message).__name__, short(message.offer_id)) for message in queue))
        for pair, queue in sorted(world.queues.items())
        if queue
    )
    return tuple(phases), holds, queues, spent
