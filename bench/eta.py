"""How long a search waits for its travel times and arrivals, with 20 candidates; and how good the arrivals are.

With the formula: the whole wrapper of the worker's search, the model just changed, so that nothing is remembered. With
OSRM: the same on a real server of a made road grid, every place new to the memory.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.eta_city import lived
from bench.routing import SIZE, NoOsrm, crossing, grid, served
from dispatch.core.facts import FoundDriver, SearchNeed, SearchResult, Trip
from dispatch.core.policy import Policy
from dispatch.inputs.arrivals import Arrivals
from dispatch.inputs.rules import Rules
from dispatch.inputs.travel import Roads, with_travel
from dispatch.inputs.travel.osrm import Osrm
from dispatch.streams.eta_report import Report, report_of, score

CANDIDATES, TURNS, CITIES = 20, 1_000, (1, 2, 3)
OSRM_LIMIT_MS = 100


def run() -> dict[str, float | str]:
    """Milliseconds, and shares in percent."""
    figures: dict[str, float | str] = {}
    history, courses = lived(500, Policy())
    del history
    figures |= _named("formula", _times(Roads(None), courses.arrivals))
    try:
        with tempfile.TemporaryDirectory() as folder, served(grid(Path(folder) / "made.osm"), Path(folder)) as url:
            roads = Roads(Osrm(url, OSRM_LIMIT_MS), OSRM_LIMIT_MS)
            figures |= _named("OSRM", _times(roads, courses.arrivals))
            roads.close()
    except NoOsrm as error:
        figures["OSRM"] = f"not measured: {error}"[:60]
    return figures | _calibration()


def _times(roads: Roads, arrivals: Arrivals) -> tuple[list[float], int]:
    """Milliseconds of each search, and how many got the formula's times from an engine."""
    answers: list[SearchResult] = []
    search = with_travel(lambda _needs: answers, roads, arrivals, Rules())
    took_ms, late = [], 0
    for turn in range(TURNS):
        answers[:] = [SearchResult(drivers=tuple(_driver(turn, number) for number in range(CANDIDATES)))]
        store, door = crossing(turn % SIZE, turn // SIZE % SIZE), crossing(turn // SIZE % SIZE, turn % SIZE)
        trip = Trip(*door, f"store-{turn % 48:02}", f"zone-{turn % 6}")
        need = SearchNeed(lat=store[0], lng=store[1], radius_m=5_000, limit=CANDIDATES, trip=trip)
        arrivals.model.forget("nobody")
        roads.forget()
        began = time.perf_counter()
        result = search([need])[0]
        took_ms.append((time.perf_counter() - began) * 1000)
        late += _holds(result, roads)
    return took_ms, late


def _holds(result: SearchResult, roads: Roads) -> bool:
    """Whether the engine was too late. Raises RuntimeError for a search without its arrivals."""
    if result.eta is None or len(result.drivers) != CANDIDATES:
        raise RuntimeError("a search without its arrivals: the figures mean nothing")
    return roads.engine and any(found.travel_source != "osrm" for found in result.drivers)


def _driver(turn: int, number: int) -> FoundDriver:
    lat, lng = crossing((turn + number) % SIZE, (3 * number + turn) % SIZE)
    return FoundDriver(
        driver_id=f"d{number}", lat=lat, lng=lng, distance_m=100 * number, vehicle="car", capacity=1, orders=0,
        rating=4.5, availability="AVAILABLE",
    )  # fmt: skip


def _named(by: str, measured: tuple[list[float], int]) -> dict[str, float | str]:
    in_order, late = sorted(measured[0]), measured[1]
    more: dict[str, float | str] = {f"answered by the formula instead, of {TURNS}": str(late)} if by == "OSRM" else {}
    return more | {
        f"20 candidates by {by}, p50 ms": f"{statistics.median(in_order):.2f}",
        f"20 candidates by {by}, p99 ms": f"{in_order[len(in_order) * 99 // 100]:.2f}",
    }


def _calibration() -> dict[str, float | str]:
    whole, policy = Report(), Policy()
    for seed in CITIES:
        latest = report_of(lived(4_000, policy, seed)[0]).last(2_000)
        whole.pickups += latest.pickups
        whole.deliveries += latest.deliveries
    figures: dict[str, float | str] = {}
    told: tuple[tuple[str, Callable[[Any], float], str], ...] = (
        ("in the band, %", lambda judged: 100 * judged.covered, ".1f"),
        ("within 5 min, %", lambda judged: 100 * judged.good, ".1f"),
        ("within 5 min by the plain formula, %", lambda judged: 100 * judged.plain_good, ".1f"),
        ("bias, s", lambda judged: judged.bias_s, ".0f"),
        ("bias of the plain formula, s", lambda judged: judged.plain_bias_s, ".0f"),
    )
    for name, arrivals in (("pickup", whole.pickups), ("delivery", whole.deliveries)):
        judged = score(arrivals, policy.eta.good_s)
        figures |= {f"{name}: {what}": format(figure(judged), form) for what, figure, form in told}
    return figures | {"arrivals judged, of three cities": str(len(whole.deliveries))}
