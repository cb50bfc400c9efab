"""The decision table of drivers against the code: each pair is really decided, in a situation really reached."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from world import PLACE, World

from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as ve
from dispatch.core import driver
from dispatch.core.driver.states import Duty, availability
from dispatch.core.facts import Refusal

TABLE = Path(__file__).parents[2] / "docs/tables/driver.md"
MINUTE_MS = 60_000


def unknown() -> World:
    return World()


def available() -> World:
    return World().sign_on("ana")


def reserved() -> World:
    world = available()
    world.ask(vc.ReserveDriver, "ana", "system", **_hold("o1"), **_pickup())
    return world


def busy() -> World:
    world = reserved()
    world.ask(vc.ConfirmReservation, "ana", "system", **_hold("o1"), how="accepted")
    return world


def stopping() -> World:
    """Busy, and the shift ends with the delivery."""
    world = busy()
    world.ask(vc.EndShift, "ana", after_delivery=True)
    return world


def on_break() -> World:
    world = available()
    world.ask(vc.TakeBreak, "ana", duration_ms=30 * MINUTE_MS)
    return world


def shift_ended() -> World:
    world = available()
    world.ask(vc.EndShift, "ana")
    return world


def offline() -> World:
    world = available()
    due = next(due for _, due in world.due() if due.kind == "offline_check")
    world.fire("ana", due)
    return world


def paused() -> World:
    world = available()
    world.ask(vc.PauseDriver, "ana", "admin", reason="papers", held="keep")
    return world


SITUATIONS: dict[str, tuple[Callable[[], World], str]] = {
    "unknown": (unknown, "OFFLINE"), "available": (available, "AVAILABLE"), "reserved": (reserved, "AVAILABLE"),
    "busy": (busy, "BUSY"), "stopping": (stopping, "BUSY"), "on break": (on_break, "ON_BREAK"),
    "shift ended": (shift_ended, "SHIFT_ENDED"), "offline": (offline, "OFFLINE"), "paused": (paused, "PAUSED"),
}  # fmt: skip
COMMANDS: dict[str, type[Any]] = {command.__name__: command for command in get_args(vc.DriverCommand)}


def _hold(offer_id: str) -> dict[str, str]:
    return {"offer_id": offer_id, "delivery_id": "d1"}


def _pickup() -> dict[str, float]:
    return {"pickup_lat": PLACE[0], "pickup_lng": PLACE[1]}


def sample(world: World, command: str) -> tuple[str, dict[str, Any]]:
    """Who gives the command, and its fields."""
    due = next(iter(driver.deadlines(world.drivers["ana"])), None) if "ana" in world.drivers else None
    return {
        "SignOn": ("driver", {"vehicle": "car", "lat": PLACE[0], "lng": PLACE[1]}),
        "StartShift": ("driver", {}),
        "ResumeWork": ("driver", {}),
        "EndShift": ("driver", {}),
        "TakeBreak": ("driver", {"duration_ms": 15 * MINUTE_MS}),
        "ExtendBreak": ("driver", {"extra_ms": 15 * MINUTE_MS}),
        "PauseDriver": ("admin", {"reason": "papers", "held": "keep"}),
        "UnpauseDriver": ("admin", {"reason": "papers are there"}),
        "SeenAlive": ("driver", {"seen_at_ms": world.now_ms}),
        "SetZonePreference": ("driver", {"zone": "old-town", "preference": "UNAVAILABLE"}),
        "ApplyAvailabilityStates": ("system", {}),
        "ReserveDriver": ("system", {**_hold("o2"), **_pickup()}),
        "ConfirmReservation": ("system", {**_hold("o1"), "how": "accepted"}),
        "ReleaseReservation": ("system", {**_hold("o1"), "why": "completed"}),
        "DriverTimerDue": (
            "system",
            {"timer": due.kind, "due_at_ms": due.at_ms, "ref": due.ref}
            if due
            else {"timer": "offline_check", "due_at_ms": world.now_ms},
        ),
    }[command]


def comes_of(situation: str, command: str) -> str:
    """What the code makes of the pair, in the table's words: a change names the new availability."""
    world = SITUATIONS[situation][0]()
    world.now_ms += MINUTE_MS
    actor, fields = sample(world, command)
    if command == "DriverTimerDue":
        world.now_ms = max(world.now_ms, fields["due_at_ms"])
    result = world.ask(COMMANDS[command], "ana", actor, **fields)
    if isinstance(result, Refusal):
        return f"refused `{result.code}`"
    return ", ".join(_word(event) for event in result) or "nothing"


def _word(event: Any) -> str:
    name = f"`{type(event).__name__}`"
    return f"{name} {event.to_availability}" if isinstance(event, ve.DriverAvailabilityChanged) else name


def written() -> list[tuple[str, str, str]]:
    """(situation, command, what comes of it) of every row, a row for several situations taken apart."""
    rows = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0].strip("`") in COMMANDS:
            command, situations, outcome, _because = cells
            rows += [(situation.strip(), command.strip("`"), outcome) for situation in situations.split(",")]
    return rows


def test_the_table_lists_every_situation_with_every_command_once() -> None:
    pairs = [(situation, command) for situation, command, _ in written()]
    assert sorted(pairs) == sorted((situation, command) for situation in SITUATIONS for command in COMMANDS)


def test_the_situations_of_the_table_show_every_availability_and_duty() -> None:
    seen, duties = set(), set()
    for make, word in SITUATIONS.values():
        state = make().drivers.get("ana", driver.initial("ana"))
        assert availability(state) == word
        seen.add(word)
        duties.add(state.duty)
    assert seen == {"AVAILABLE", "BUSY", "ON_BREAK", "SHIFT_ENDED", "OFFLINE", "PAUSED"}
    assert duties == set(get_args(Duty))


@pytest.mark.parametrize("command", COMMANDS)
def test_what_comes_of_a_command_in_each_situation_is_what_the_table_says(command: str) -> None:
    said = {situation: outcome for situation, of, outcome in written() if of == command}
    assert {situation: comes_of(situation, command) for situation in SITUATIONS} == said
