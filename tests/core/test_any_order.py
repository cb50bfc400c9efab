"""Whatever comes in whatever order: the reservation's rules hold at every moment, and all agree when it is quiet.

Here by chance (hypothesis, long and wild); every interleaving of a small world is visited in tests/model.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from world import World, agreement, always, an_order

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.core import delivery, driver
from dispatch.core.policy import Flag, Flags, OfferPolicy, Policy

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
