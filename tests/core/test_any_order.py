"""Whatever comes in whatever order: the reservation's rules hold at every moment, and all agree when it is quiet.

First by chance (hypothesis, long and wild), then exhaustively (every interleaving of a small world), and the exhaustive
search is shown to have teeth: with a rule left out it finds a moment at which an invariant breaks.
"""

import importlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace
from world import World, agreement, always, an_order

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as dr
from dispatch.core import delivery, driver
from dispatch.core.driver import holding
from dispatch.core.policy import Flag, Flags, OfferPolicy, Policy

delivery_react: Any = importlib.import_module("dispatch.core.delivery.react")
delivery_decide: Any = importlib.import_module("dispatch.core.delivery.decide")
driver_decide: Any = importlib.import_module("dispatch.core.driver.decide")
DRIVERS = ("ana", "ben", "cleo")
ORDERS = (1, 2, 3, 4)
STEPS = ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered")
ENDED = (de.DeliveryCompleted, de.DeliveryReturned, de.DeliveryCancelled)


def delivery_name(number: int) -> str:
    return identity.delivery_id("s1", f"o{number}")


class Soup(RuleBasedStateMachine):
    """Any command at any moment, messages in flight for as long as chance keeps them."""

    @initialize(on_expiry=st.sampled_from(["auto_assign", "next_driver", "auto_assign_after_n"]), off=st.booleans())
    def begin(self, on_expiry: Any, off: bool) -> None:
        flags = Flags(driver_offers=Flag(enabled=not off))
        self.world = World(Policy(offer=OfferPolicy(on_expiry=on_expiry)), flags)
        for place, name in enumerate(DRIVERS):
            self.world.sign_on(name, capacity=1 + (place == 2))
        self.last: Any = None

    def say(self, command: Any) -> None:
        self.last = command
        self.world.decide(command)

    @rule(number=st.sampled_from(ORDERS), kind=st.sampled_from([dc.MarkReady, dc.PlaceOrder]))
    def order(self, number: int, kind: Any) -> None:
        self.say(self.world.made(kind, delivery_name(number), order=an_order(number)))

    @rule(choice=st.integers(0, 1000))
    def message_arrives(self, choice: int) -> None:
        pairs = [pair for pair, queue in self.world.queues.items() if queue]
        if pairs:
            self.world.deliver(pairs[choice % len(pairs)])

    @rule(
        number=st.sampled_from(ORDERS),
        kind=st.sampled_from(
            [dc.AcceptOffer, dc.RejectOffer, dc.GiveUpDelivery, dc.FailDelivery, dc.ReturnDelivery, *STEPS]
        ),
        wrong=st.integers(0, 9),
    )
    def driver_speaks(self, number: int, kind: Any, wrong: int) -> None:
        phase: Any = getattr(self.world.deliveries.get(delivery_name(number)), "phase", None)
        if not hasattr(phase, "offer_id"):
            return
        names = {"offer_id": phase.offer_id, "driver_id": "cleo" if wrong == 0 else phase.driver_id}
        more: dict[str, Any] = {}
        if isinstance(kind, str):
            kind, more = dc.ReportProgress, {"step": kind}
        elif kind in (dc.RejectOffer, dc.FailDelivery):
            more = {"reason": "other"}
        self.say(self.world.made(kind, delivery_name(number), "driver", **names, **more))

    @rule(
        number=st.sampled_from(ORDERS),
        kind=st.sampled_from(
            [
                dc.CancelDelivery,
                dc.ReassignDelivery,
                dc.AssignDriver,
                dc.EscalateDelivery,
                dc.SearchAgain,
                dc.FailDelivery,
                dc.ReturnDelivery,
            ]
        ),
        name=st.sampled_from((*DRIVERS, "ghost")),
        actor=st.sampled_from(["admin", "system", "order_service"]),
    )
    def others_speak(self, number: int, kind: Any, name: str, actor: str) -> None:
        fields: dict[Any, dict[str, Any]] = {
            dc.CancelDelivery: {"reason": "r"}, dc.ReassignDelivery: {"reason": "admin_forced"},
            dc.AssignDriver: {"driver_id": name, "note": "n"}, dc.FailDelivery: {"reason": "r"},
        }  # fmt: skip
        self.say(self.world.made(kind, delivery_name(number), actor, **fields.get(kind, {})))

    @rule(
        name=st.sampled_from(DRIVERS),
        kind=st.sampled_from(
            [
                vc.TakeBreak,
                vc.ExtendBreak,
                vc.EndShift,
                vc.ResumeWork,
                vc.PauseDriver,
                vc.UnpauseDriver,
                vc.SeenAlive,
                vc.SignOn,
            ]
        ),
        choice=st.booleans(),
    )
    def driver_changes(self, name: str, kind: Any, choice: bool) -> None:
        fields: dict[Any, dict[str, Any]] = {
            vc.TakeBreak: {"duration_ms": 600_000}, vc.ExtendBreak: {"extra_ms": 300_000},
            vc.EndShift: {"after_delivery": choice}, vc.UnpauseDriver: {"reason": "r"},
            vc.PauseDriver: {"reason": "r", "held": "keep" if choice else "reassign"},
            vc.SeenAlive: {"seen_at_ms": self.world.now_ms},
            vc.SignOn: {"vehicle": "car", "capacity": 2, "lat": 1.0, "lng": 1.0},
        }  # fmt: skip
        self.say(self.world.made(kind, name, **fields.get(kind, {})))

    @rule(choice=st.integers(0, 1000))
    def a_deadline_comes(self, choice: int) -> None:
        due = [entry for entry in self.world.due() if entry[1].kind != "forget"]
        if due:
            self.world.fire(*due[choice % len(due)])

    @rule(seconds=st.integers(0, 40), fails=st.booleans())
    def time_passes(self, seconds: int, fails: bool) -> None:
        self.world.now_ms += seconds * 1000
        self.world.index_fails = fails and seconds > 30

    @invariant()
    def rules_hold(self) -> None:
        if hasattr(self, "world"):
            assert always(self.world) == ""

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.settle()
        assert agreement(self.world) == ""
        assert always(self.world) == ""
        check_history(self.world)


def check_history(world: World) -> None:
    """Versions without a gap, one end, fences that rise, and folding that gives the stored state."""
    per: dict[str, list[Any]] = {}
    for event in world.events:
        per.setdefault(event.delivery_id if type(event).__module__ == de.__name__ else event.driver_id, []).append(
            event
        )
    for name, history in per.items():
        assert [event.version for event in history] == list(range(1, len(history) + 1))
        core: Any = delivery if name in world.deliveries else driver
        state = core.initial(name)
        for event in history:
            state = core.evolve(state, event)
        assert state == (world.deliveries if name in world.deliveries else world.drivers)[name]
        ends = [
            event
            for event in history
            if isinstance(event, ENDED) or (isinstance(event, de.DeliveryFailed) and not event.returning)
        ]
        assert len(ends) <= 1
        assert not ends or history[-1] is ends[0]
        fences = [event.fence for event in history if type(event).__name__ == "DriverReserved"]
        assert fences == sorted(set(fences))


Soup.TestCase.settings = settings(
    max_examples=120, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSoup = Soup.TestCase


# Exhaustively


Move = tuple[str, Callable[[World], Any]]


def moves(world: World, spent: frozenset[str]) -> list[tuple[str, Callable[[World], Any]]]:
    """Everything that can happen next; what is not a message or timer happens once."""
    found: list[Move] = [
        (f"arrive {pair[0][:4]}>{pair[1][:4]}", lambda w, pair=pair: w.deliver(pair))
        for pair, queue in sorted(world.queues.items())
        if queue
    ]  # type: ignore[misc]
    for name, state in sorted(world.deliveries.items()):
        phase: Any = state.phase
        if hasattr(phase, "offer_id"):
            ids = {"offer_id": phase.offer_id, "driver_id": phase.driver_id}
            if type(phase).__name__ == "Offered":
                found.append((f"accept {name}", lambda w, name=name, ids=ids: w.ask(dc.AcceptOffer, name, **ids)))  # type: ignore[misc]
                found.append(
                    (f"reject {name}", lambda w, name=name, ids=ids: w.ask(dc.RejectOffer, name, **ids, reason="other"))
                )  # type: ignore[misc]
            if type(phase).__name__ == "Held":
                found.append((f"give up {name}", lambda w, name=name, ids=ids: w.ask(dc.GiveUpDelivery, name, **ids)))  # type: ignore[misc]
                if phase.progress < 3:
                    found.append(
                        (
                            f"pick up {name}",
                            lambda w, name=name, ids=ids: w.ask(dc.ReportProgress, name, **ids, step="picked_up"),
                        )
                    )  # type: ignore[misc]
                else:
                    found.append(
                        (
                            f"deliver {name}",
                            lambda w, name=name, ids=ids: w.ask(dc.ReportProgress, name, **ids, step="delivered"),
                        )
                    )  # type: ignore[misc]
        found.append((f"cancel {name}", lambda w, name=name: w.ask(dc.CancelDelivery, name, reason="r")))  # type: ignore[misc]
        found.append(
            (
                f"assign ben {name}",
                lambda w, name=name: w.ask(dc.AssignDriver, name, "admin", driver_id="ben", note="n"),
            )
        )  # type: ignore[misc]
        found.append((f"again {name}", lambda w, name=name: w.ask(dc.SearchAgain, name, "system")))  # type: ignore[misc]
        for due in delivery.deadlines(state):
            if due.kind in ("offer_expiry", "reserve_timeout", "grace"):
                found.append((f"{due.kind} {name}", lambda w, name=name, due=due: w.fire(name, due)))  # type: ignore[misc]
    found.append(("break ana", lambda w: w.ask(vc.TakeBreak, "ana", duration_ms=600_000)))
    found.append(("pause ben", lambda w: w.ask(vc.PauseDriver, "ben", "admin", reason="r", held="reassign")))
    return [(name, act) for name, act in found if name.startswith("arrive") or name not in spent]


def explore(kinds: tuple[str, ...]) -> tuple[int, str]:
    """Visits every state that these kinds of moves lead to: how many, and the story of the first that is wrong."""
    start = World(Policy(offer=OfferPolicy(on_expiry="next_driver")))
    for name in ("ana", "ben"):
        start.sign_on(name)
    start.settle()
    for number in (1, 2):
        start.ask(dc.MarkReady, delivery_name(number), order=an_order(number))
    start.events, start.told = [], []
    frontier: list[tuple[World, frozenset[str], tuple[str, ...]]] = [(start, frozenset(), ())]
    seen: set[Any] = set()
    while frontier:
        following = []
        for world, spent, story in frontier:
            for name, act in moves(world, spent):
                if not name.startswith(("arrive", *kinds)):
                    continue
                after = world.copy()
                act(after)
                after.events, after.told = [], []
                told = (*story, name)
                if wrong := always(after):
                    return len(seen), f"{wrong}: {' / '.join(told)}"
                if not any(after.queues.values()) and (wrong := agreement(after)):
                    return len(seen), f"{wrong}: {' / '.join(told)}"
                now_spent = spent if name.startswith("arrive") else spent | {name}
                mark = fingerprint(after, now_spent)
                if mark not in seen:
                    seen.add(mark)
                    following.append((after, now_spent, told))
        frontier = following
    return len(seen), ""


def fingerprint(world: World, spent: frozenset[str]) -> Any:
    """What makes two states the same: phases, holds, queues; not the clock, nor how many events led there."""
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
                state.former,
                state.attempt_count,
            )
        )
    holds = tuple(
        (
            name,
            state.duty,
            state.paused,
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


FAMILIES = (
    ("accept", "reject", "offer_expiry"),
    ("accept", "cancel", "break", "pause"),
    ("accept", "reserve_timeout", "cancel"),
    ("accept", "give up", "break"),
    ("accept", "assign", "pause"),
    ("accept", "pick", "deliver", "cancel", "pause"),
    ("offer_expiry", "reserve_timeout", "reject"),
)


@pytest.mark.no_cover  # what it runs is counted by the tests of tables; counting here doubles its time
@pytest.mark.parametrize("kinds", FAMILIES, ids=" ".join)
def test_every_interleaving_of_two_deliveries_and_two_drivers_keeps_the_rules(kinds: tuple[str, ...]) -> None:
    states, story = explore(kinds)
    print(f"{states} states visited with {', '.join(kinds)}")
    assert story == ""
    assert states > 300


def found() -> str:
    """The first story of any family in which a rule is broken."""
    return next((story for kinds in FAMILIES if (story := explore(kinds)[1])), "")


def _forgets_to_release(before: Any, after: Any, event: Any) -> list[Any]:
    return [effect for effect in _TO_DRIVER(before, after, event) if type(effect).__name__ != "ReleaseReservation"]


def _releases_another_offer(before: Any, after: Any, event: Any) -> list[Any]:
    effects = _TO_DRIVER(before, after, event)
    return [
        replace(effect, offer_id=identity.derived("other")) if type(effect).__name__ == "ReleaseReservation" else effect
        for effect in effects
    ]


def _grants_without_counting(state: Any, _command: Any) -> Any:
    return None if state.known else "unknown_driver"


def _frees_by_own_clock(draft: Any, command: Any) -> None:
    hold = next(iter(draft.state.holds), None)
    if hold is not None:
        draft.add(
            dr.DriverReservationReleased,
            offer_id=hold.offer_id,
            delivery_id=hold.delivery_id,
            why="denied",
            free_capacity=0,
        )
    _RESERVE(draft, command)


_TO_DRIVER = delivery_react._to_driver
_RESERVE = holding.reserve


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("module", "name", "broken"),
    [
        (delivery_react, "_to_driver", _forgets_to_release),
        (delivery_react, "_to_driver", _releases_another_offer),
        (holding, "_why_not", _grants_without_counting),
    ],
    ids=["no release", "a release of another offer", "capacity not counted"],
)
def test_a_rule_left_out_is_found(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, broken: Any) -> None:
    monkeypatch.setattr(module, name, broken)
    assert found(), f"{broken.__name__} was not found"


@pytest.mark.no_cover
def test_a_driver_who_frees_holds_by_own_clock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(driver_decide._DECIDERS, vc.ReserveDriver, _frees_by_own_clock)
    assert found()


@pytest.mark.no_cover
def test_messages_about_an_offer_that_is_not_the_current_one_must_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def obeys_any_grant(draft: Any, command: Any) -> None:
        asked: Any = draft.state.phase
        if type(asked).__name__ == "Reserving":
            _GRANTED(draft, replace(command, offer_id=asked.offer_id, driver_id=asked.driver_id))

    monkeypatch.setitem(delivery_decide._DECIDERS, dc.ReservationGranted, obeys_any_grant)
    assert found()


_GRANTED = delivery_decide.offering.granted
