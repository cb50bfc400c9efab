"""`make bench`: measures on servers of its own, prints a table and writes bench/results/latest.json.

`python -m bench peers restore` measures these parts only. Each runs in a process of its own, so that no figure leans on
what another left in memory.
"""

import datetime
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import (
    broker,
    candidates,
    checker,
    cost,
    decisions,
    eta,
    java,
    peers,
    presence,
    projection,
    records,
    replay,
    sockets,
    tracking,
    webhooks,
    whole,
    zones,
)
from deploy.local import Addresses, Kafka
from dispatch.log.collector import rest_the_collector
from dispatch.log.logs import configure

Figures = dict[str, float | str]
RUNS = 3
RATES = (50, 100, 200, 500)


def main(wanted: list[str]) -> int:
    """0; 2 for a part that is not known."""
    console = Console(width=110, highlight=False)
    if unknown := set(wanted) - set(PARTS):
        console.print(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        return 2
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    results: dict[str, Figures] = {}
    for name in wanted or PARTS:
        stands_on, measure = PARTS[name]
        with console.status(f"measuring: {name}"), stands_on() as ground:
            results[name] = _apart(measure, ground)
        console.print(f"\n[bold]{name}[/] ({machine})")
        console.print(_table(results[name]))
    if "decisions" in results and isinstance(faust := results.get("peers", {}).get("Faust, records a second"), float):
        ratio = float(results["decisions"]["decisions a second"]) / faust
        console.print(f"\nDecisions a second of one worker / records a second passed through by Faust: {ratio:.1f}")
    out = Path(__file__).parent / "results"
    out.mkdir(exist_ok=True)
    said = {"machine": machine, "at": datetime.datetime.now(datetime.UTC).isoformat(), "results": results}
    (out / "latest.json").write_text(json.dumps(said, indent=1))
    return 0


def _table(figures: Figures) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for what, figure in figures.items():
        table.add_row(what, figure if isinstance(figure, str) else f"{figure:,.1f}")
    return table


def _apart(measure: Callable[[Any], Figures], ground: Any) -> Figures:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_settle) as pool:
        return pool.submit(measure, ground).result()


def _settle() -> None:
    configure("bench", "error")
    rest_the_collector()


@contextmanager
def _kafka() -> Iterator[str]:
    """A broker of its own, or the one given."""
    if given := os.environ.get("BATON_KAFKA", ""):
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        kafka = Kafka(Path(folder))
        kafka.start()
        try:
            yield kafka.address
        finally:
            kafka.kill()


def measure_decisions(kafka: str) -> Figures:
    """The median of several runs, in which the broker too gets warm."""
    runs = [decisions.run(kafka) for _ in range(RUNS)]
    figures: Figures = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return figures | {f"median of {RUNS} runs": ", ".join(f"{run['decisions a second']:,.0f}" for run in runs)}


def measure_replay(kafka: str) -> Figures:
    """Deciding again, beside plain decoding."""
    return {**replay.run(kafka)}


def measure_checker(_nothing: None) -> Figures:
    """The rules over a log in memory, beside plain decoding."""
    return {**checker.run()}


def measure_records(_nothing: None) -> Figures:
    """What a record costs, beside the library."""
    return {**records.run()}


def measure_peers(kafka: str) -> Figures:
    """Baton's host, Faust, Kafka Streams."""
    return peers.run(kafka)


@contextmanager
def _filled() -> Iterator[tuple[str, str]]:
    with _kafka() as kafka:
        yield kafka, decisions.fill_states(kafka)


def measure_restore(ground: tuple[str, str]) -> Figures:
    """100,000 active deliveries."""
    return {**decisions.restore(*ground)}


def measure_latency(status: dict[str, Any]) -> Figures:
    """Latencies at steady rates. The last may be more than the machine takes."""
    return {**whole.latencies(status, RATES, seconds=20, drivers=500)}


def measure_sustained(status: dict[str, Any]) -> Figures:
    """Whole deliveries: once to get warm, then counted."""
    whole.sustained(status, deliveries=3_000, drivers=500)
    return {**whole.sustained(status, deliveries=5_000, drivers=500)}


def measure_cost(status: dict[str, Any]) -> Figures:
    """CPU a delivery, of all processes."""
    return {**cost.cost(status, (100, 50), seconds=20, drivers=500)}


def measure_java(_nothing: None) -> Figures:
    """What the broker's Java does for a worker."""
    return java.run()


def measure_transactions(_nothing: None) -> Figures:
    """What a worker's transaction takes of the broker."""
    return broker.transactions()


def measure_starts(_nothing: None) -> Figures:
    """What the broker's start takes."""
    return broker.starts()


def measure_pings(status: dict[str, Any]) -> Figures:
    """Pings of 2,000 drivers."""
    return {**presence.pings(status)}


def measure_wakeups(status: dict[str, Any]) -> Figures:
    """Drivers who become free where deliveries wait."""
    return {**presence.wakeups(status)}


def measure_sockets(status: dict[str, Any]) -> Figures:
    """5,000 drivers' sockets on one gateway."""
    return {**sockets.run(status)}


def measure_tracking(status: dict[str, Any]) -> Figures:
    """A delivery's status, and its stream."""
    return {**tracking.run(status)}


def measure_webhooks(status: dict[str, Any]) -> Figures:
    """How soon sellers' servers are told, beside some that hang or refuse."""
    return webhooks.first_tries(status) | webhooks.backlog(status)


def measure_projection(addresses: Addresses) -> Figures:
    """Events into all tables, seen in time, made again."""
    return projection.run(addresses)


def measure_candidates(addresses: Addresses) -> Figures:
    """Who is near, by Valkey and by Postgres."""
    return candidates.run(addresses)


def measure_zones(_nothing: None) -> Figures:
    """Which of 5,000 polygons a place lies in."""
    return {**zones.lookups()}


def measure_eta(_ground: None) -> Figures:
    """Travel times and arrivals of a search; no servers but OSRM's own."""
    return eta.run()


PARTS: dict[str, tuple[Callable[[], Any], Callable[[Any], Figures]]] = {
    "decisions": (_kafka, measure_decisions),
    "replay": (_kafka, measure_replay),
    "checker": (nullcontext, measure_checker),
    "records": (nullcontext, measure_records),
    "peers": (_kafka, measure_peers),
    "restore": (_filled, measure_restore),
    "sustained": (whole.running, measure_sustained),
    "latency": (whole.running, measure_latency),
    "cost": (whole.running, measure_cost),
    "transactions": (nullcontext, measure_transactions),
    "java": (nullcontext, measure_java),
    "starts": (nullcontext, measure_starts),
    "pings": (whole.running, measure_pings),
    "wakeups": (whole.running, measure_wakeups),
    "sockets": (whole.running, measure_sockets),
    "tracking": (whole.running, measure_tracking),
    "webhooks": (webhooks.running, measure_webhooks),
    "projection": (projection.running, measure_projection),
    "candidates": (candidates.running, measure_candidates),
    "zones": (nullcontext, measure_zones),
    "eta": (nullcontext, measure_eta),
}
