"""`baton simulate`: seeds of the simulation, what they add up to, and the story of the first that broke."""

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from dispatch.simulation.many import Total

console = Console()


def attach(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(simulate)


def simulate(
    seeds: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many seeds.")] = 1_000,
    first: Annotated[int, typer.Option("--from", min=0, max=2**53, help="The first seed.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = os.cpu_count() or 1,
    until_caught: Annotated[bool, typer.Option("--until-caught", help="End with the first seed that breaks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of the table; no story.")] = False,
    story: Annotated[bool, typer.Option("--story", help="Tell the first seed's story, broken or not.")] = False,
) -> int:
    """Live through seeds on a virtual clock, with faults; exit code 1 when a rule was broken (docs/simulation.md)."""
    from concurrent.futures.process import BrokenProcessPool

    from dispatch.simulation.many import Total, run_many
    from dispatch.simulation.plan import Options
    from dispatch.simulation.running import run
    from dispatch.simulation.shrink import shrunk

    if story:
        outcome = run(first)
        sys.stdout.write(outcome.story() + "\n")
        return 0 if outcome.ok else 1
    options = Options()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=as_json or not sys.stderr.isatty(),
    ) as progress:  # fmt: skip
        bar = progress.add_task("seeds", total=seeds)

        def seen(total: Total) -> None:
            told = f"{total.seeds_a_minute:,.0f} a minute, {len(total.broken)} broken"
            progress.update(bar, completed=total.seeds, description=told)

        try:
            total = run_many(range(first, first + seeds), jobs, options, until_caught=until_caught, seen=seen)
        except BrokenProcessPool as error:
            told = "one of the processes was killed, perhaps for want of memory; take fewer"
            raise typer.BadParameter(told, param_hint="--jobs") from error
    if as_json:
        sys.stdout.write(json.dumps(_summary(total)) + "\n")
        return 1 if total.broken else 0
    _show(total, first, jobs)
    if total.broken:
        least = shrunk(run(total.broken[0].seed, options))
        plan = least.plan
        console.print(
            f"\nseed {plan.seed}, shrunk to {len(plan.orders)} orders, {len(plan.drivers)} drivers, "
            f"{len(plan.faults)} faults:\n", highlight=False,
        )  # fmt: skip
        sys.stdout.write(least.story() + "\n")
    return 1 if total.broken else 0


def _summary(total: "Total") -> dict[str, object]:
    return {
        "seeds": total.seeds,
        "decisions": total.decisions,
        "seeds_a_minute": round(total.seeds_a_minute),
        "seeds_a_cpu_minute": round(total.seeds_a_cpu_minute),
        "faults": dict(sorted(total.faults.items())),
        "broken": [
            {"seed": one.seed, "rules": list(one.rules), "wrong": list(one.wrong)} for one in total.broken
        ],
    }  # fmt: skip


def _show(total: "Total", first: int, jobs: int) -> None:
    table = Table(show_header=False, box=None)
    table.add_row("seeds", f"{total.seeds:,} from {first:,}, on {jobs} processes")
    table.add_row("seeds a minute", f"{total.seeds_a_minute:,.0f}")
    table.add_row("of processor time", f"{total.seeds_a_cpu_minute:,.0f} a minute and core")
    table.add_row("decisions", f"{total.decisions:,}")
    table.add_row("faults that struck", ", ".join(f"{kind} {count:,}" for kind, count in sorted(total.faults.items())))
    table.add_row("broken", f"{len(total.broken)}")
    console.print(table)
    for one in total.broken[:20]:
        console.print(f"seed {one.seed}: {one.wrong[0]}", highlight=False, soft_wrap=True)
