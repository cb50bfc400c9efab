"""The decision table of deliveries against the code: each pair is really decided, in a phase really reached."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from world import World, an_order

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records.shared import Eta, EtaBand
from dispatch.core import delivery
from dispatch.core.delivery.states import Phase
from dispatch.core.facts import Refusal
from dispatch.core.policy import Policy, ReassignmentPolicy

TABLE = Path(__file__).parents[2] / "docs/tables/delivery.md"
ORDER = an_order()
NAME = identity.delivery_id(ORDER.seller_id, ORDER.seller_order_id)
GONE = {"offer_id": identity.derived("test", "an offer long over"), "driver_id": "ana"}


def city(policy: Policy | None = None) -> World:
    """Ana is nearest, then bob, then cleo, whom admins name."""
    return World(policy).sign_on("ana").sign_on("bob").sign_on("cleo")


def unknown() -> World:
    return city()


def placed() -> World:
    world = city()
    world.ask(dc.PlaceOrder, NAME, order=ORDER)
    return world


def searching() -> World:
    """It became ready with nobody there; the drivers came later."""
    world = World()
    world.ready()
    return world.sign_on("ana").sign_on("bob").sign_on("cleo")


def reserving() -> World:
    world = city()
    world.ask(dc.MarkReady, NAME, order=ORDER)
    return world


def offered() -> World:
    world = city()
    world.ready()
    return world


def held() -> World:
    world = offered()
    world.accept(NAME)
    return world


def held_with_goods() -> World:
    world = held()
    world.progress(NAME, "picked_up")
    return world


def returning() -> World:
    world = held_with_goods()
    world.ask(dc.FailDelivery, NAME, **world.offer(NAME), reason="nobody at the door")
    world.settle()
    return world


def review() -> World:
    """It changed hands more often than allowed."""
    world = city(Policy(reassignment=ReassignmentPolicy(max_attempts=0)))
    world.ready()
    world.accept(NAME)
    world.ask(dc.GiveUpDelivery, NAME, **world.offer(NAME))
    world.settle()
    return world


def delivered() -> World:
    world = held_with_goods()
    world.progress(NAME, "delivered")
    return world


def cancelled() -> World:
    world = offered()
    world.ask(dc.CancelDelivery, NAME, reason="changed their mind")
    world.settle()
    return world


PHASES: dict[str, Callable[[], World]] = {
    "unknown": unknown, "placed": placed, "searching": searching, "reserving": reserving, "offered": offered,
    "held": held, "held with goods": held_with_goods, "returning": returning, "review": review,
    "delivered": delivered, "cancelled": cancelled,
}  # fmt: skip
COMMANDS: dict[str, type[Any]] = {command.__name__: command for command in get_args(dc.DeliveryCommand)}


def late(world: World) -> Eta:
    """Both arrivals an hour from now, or the one that is still to come."""
    band = EtaBand(p10_ms=world.now_ms, p50_ms=world.now_ms + 3_600_000, p90_ms=world.now_ms + 7_200_000, confidence=50)
    state = world.deliveries.get(NAME) or delivery.initial(NAME)
    return Eta(pickup=None if delivery.status(state) == "picked_up" else band, delivery=band)


def sample(world: World, command: str) -> tuple[str, dict[str, Any]]:
    """Who gives the command in this phase, and its fields: about the offer that is open or held, if there is one."""
    state = world.deliveries.get(NAME) or delivery.initial(NAME)
    offer = world.offer(NAME) if hasattr(state.phase, "offer_id") else GONE
    due = next(iter(delivery.deadlines(state)), None)
    step = "enroute_to_dropoff" if delivery.status(state) == "picked_up" else "enroute_to_pickup"
    return {
        "PlaceOrder": ("order_service", {"order": ORDER}),
        "MarkReady": ("order_service", {"order": ORDER}),
        "ChangePrepTime": ("order_service", {"prep_s": 900}),
        "CancelDelivery": ("order_service", {"reason": "changed their mind"}),
        "ReservationGranted": ("system", {**offer, "fence": 1}),
        "ReservationDenied": ("system", {**offer, "why": "at_capacity"}),
        "AcceptOffer": ("driver", offer),
        "RejectOffer": ("driver", {**offer, "reason": "too_far"}),
        "ReportProgress": ("driver", {**offer, "step": step}),
        "FailDelivery": ("driver", {**offer, "reason": "nobody at the door"}),
        "ReturnDelivery": ("driver", offer),
        "GiveUpDelivery": ("driver", offer),
        "DriverUnavailable": ("system", {**offer, "why": "offline"}),
        "DriverBack": ("system", offer),
        "SearchAgain": ("system", {}),
        "EscalateDelivery": ("admin", {}),
        "ReassignDelivery": ("admin", {"reason": "admin_forced"}),
        "AssignDriver": ("admin", {"driver_id": "cleo", "note": "she is at the store"}),
        "UpdateEta": ("system", {**offer, "eta": late(world), "why": "driver_moved"}),
        "DeliveryTimerDue": (
            "system",
            {"timer": due.kind, "due_at_ms": due.at_ms, "ref": due.ref}
            if due
            else {"timer": "offer_expiry", "due_at_ms": world.now_ms, "ref": GONE["offer_id"]},
        ),
    }[command]


def comes_of(phase: str, command: str) -> str:
    """What the code makes of the pair, in the table's words."""
    world = PHASES[phase]()
    actor, fields = sample(world, command)
    if command == "DeliveryTimerDue":
        world.now_ms = max(world.now_ms, fields["due_at_ms"])
    result = world.ask(COMMANDS[command], NAME, actor, **fields)
    if isinstance(result, Refusal):
        return f"refused `{result.code}`"
    return ", ".join(f"`{type(event).__name__}`" for event in result) or "nothing"


def written() -> list[tuple[str, str, str]]:
    """(phase, command, what comes of it) of every row, a row for several phases taken apart."""
    rows = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0].strip("`") in COMMANDS:
            command, phases, outcome, _because = cells
            rows += [(phase.strip(), command.strip("`"), outcome) for phase in phases.split(",")]
    return rows


def test_the_table_lists_every_phase_with_every_command_once() -> None:
    pairs = [(phase, command) for phase, command, _ in written()]
    assert sorted(pairs) == sorted((phase, command) for phase in PHASES for command in COMMANDS)


def test_the_phases_of_the_table_are_all_there_are() -> None:
    reached = {type(world.deliveries[NAME].phase) for name, make in PHASES.items() if name != "unknown"
               for world in [make()]}  # fmt: skip
    assert reached | {type(delivery.initial(NAME).phase)} == set(get_args(Phase))


@pytest.mark.parametrize("command", COMMANDS)
def test_what_comes_of_a_command_in_each_phase_is_what_the_table_says(command: str) -> None:
    said = {phase: outcome for phase, of, outcome in written() if of == command}
    assert {phase: comes_of(phase, command) for phase in PHASES} == said
