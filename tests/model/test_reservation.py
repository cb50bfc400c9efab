"""The model of the reservation visits every interleaving, and finds where a rule breaks that is left out."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as dr
from dispatch.core.driver import holding

sys.path.insert(0, str(Path(__file__).parent))
from reservation import FAMILIES, crash, explore, start

delivery_react: Any = importlib.import_module("dispatch.core.delivery.react")
delivery_decide: Any = importlib.import_module("dispatch.core.delivery.decide")
driver_decide: Any = importlib.import_module("dispatch.core.driver.decide")


@pytest.mark.no_cover
@pytest.mark.parametrize("kinds", FAMILIES, ids=" ".join)
def test_every_interleaving_of_two_deliveries_and_two_drivers_keeps_the_rules(
    kinds: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    visited = explore(kinds)
    record_property("worlds visited", visited.states)
    assert visited.wrong == ""
    assert visited.states > 1_000


def test_the_command_tells_the_number_of_worlds_visited_and_the_shortest_way_to_one_that_is_wrong() -> None:
    code = (
        "import sys\n"
        "from tests.model import __main__ as command, reservation\n"
        "command.FAMILIES = (('accept', 'give up'),)\n"
        "if sys.argv[1:]: reservation.always = lambda world: 'two holders' if world.drivers['ana'].holds else ''\n"
        "sys.exit(command.main([]))\n"
    )

    def told(*words: str) -> Any:
        command = [sys.executable, "-c", code, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])

    good, wrong = told(), told("wrong")
    assert good.returncode == 0, good.stderr
    assert "worlds visited, over" in good.stdout
    assert wrong.returncode == 1
    assert "two holders: arrive" in wrong.stdout


def test_a_crash_changes_nothing_and_tells_when_what_is_read_back_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = start()
    before = dict(world.deliveries), dict(world.drivers), {pair: list(queue) for pair, queue in world.queues.items()}
    crash(world)
    assert (world.deliveries, world.drivers, {pair: list(queue) for pair, queue in world.queues.items()}) == before
    name = next(iter(world.deliveries))
    world.deliveries[name] = replace(world.deliveries[name], former=["ana"])  # read back as a tuple
    with pytest.raises(AssertionError, match="is read back as"):
        crash(world)
    monkeypatch.undo()


def found() -> str:
    """The first story of any family in which a rule is broken."""
    return next((story for kinds in FAMILIES if (story := explore(kinds).wrong)), "")


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
