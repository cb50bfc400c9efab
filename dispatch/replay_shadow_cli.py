"""`baton run shadow` and `baton replay shadow report`: a second policy beside the first, live, and what it would do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatch.contract import topics
from dispatch.log.errors import Misconfigured
from dispatch.replay_cli import As_json, From, To, at_ms, clock, opened, settings_now
from dispatch.run_cli import Port, until_signalled

if TYPE_CHECKING:
    from dispatch.replay.shadow_report import Agreement

console = Console()
shadow_app = typer.Typer(no_args_is_help=True, help="A policy in the shadow: how far it agrees with the one in force.")


def attach(group: typer.Typer, run_app: typer.Typer) -> None:
    """Adds both commands."""
    group.add_typer(shadow_app, name="shadow")
    run_app.command("shadow")(shadow)


def shadow(
    policy: Annotated[Path, typer.Option(help="The policy in the shadow, TOML or JSON.")],
    since: Annotated[str, typer.Option("--from", help="Where it begins the first time, UTC; else now.")] = "",
    health_port: Port = 0,
) -> None:
    """Decide every decision again under a second policy, live; written to shadow.decisions and nowhere else."""
    from dispatch.inputs import policy_file
    from dispatch.log import logs
    from dispatch.log.collector import rest_the_collector
    from dispatch.replay.shadow import run

    wanted, settings = policy_file.read(policy).policy, settings_now(health_port=health_port)
    with opened(settings) as log:
        _require(log.has(topics.SHADOW_DECISIONS), settings.namespace)
    logs.configure("shadow", settings.log_level)
    rest_the_collector()
    until_signalled(lambda stop: run(settings, wanted, stop, at_ms(since)))


@shadow_app.command("report")
def report(since: From = "", until: To = "", as_json: As_json = False) -> None:
    """Tell how far each policy in the shadow agrees with the one in force, and in what they differ."""
    from dispatch.replay.shadow_report import agreement

    settings = settings_now()
    with opened(settings) as log:
        _require(log.has(topics.SHADOW_DECISIONS), settings.namespace)
        found = agreement(log.whole(topics.SHADOW_DECISIONS), at_ms(since), at_ms(until))
    if as_json:
        plain = [{**msgspec.to_builtins(one, str_keys=True), "percent": round(one.percent, 3)} for one in found]
        typer.echo(msgspec.json.encode(plain).decode())
        return
    if not found:
        console.print("Nothing was decided in the shadow yet; `baton run shadow --policy FILE` does it.")
    for one in found:
        _say(one)


def _require(there: bool, namespace: str) -> None:
    if not there:
        raise Misconfigured(f"there is no topic {namespace}{topics.SHADOW_DECISIONS.name}; `baton setup` creates it")


def _say(one: "Agreement") -> None:
    beside = ", ".join(str(version) for version in sorted(one.policies))
    console.print(Text(f"Policy {one.shadow} in the shadow of policy {beside}", "bold"))
    console.print(f"decisions from {clock(one.first_ms)} to {clock(one.last_ms)} UTC", highlight=False, style="dim")
    style = "green" if not one.differs else "yellow"
    console.print(Text(f"{one.agrees:,} agree, {one.differs:,} differ: {one.percent:.2f}% agreement", style))
    for reason, count in one.why_undecidable.items():
        console.print(f"{count:,} not decidable from the record: {reason}", style="yellow", highlight=False)
    if one.kinds:
        table = Table("in what they differ", "decisions", box=None, pad_edge=False)
        table.columns[1].justify = "right"
        for kind, count in sorted(one.kinds.items(), key=lambda entry: -entry[1]):
            table.add_row(Text(kind), f"{count:,}")
        console.print()
        console.print(table, highlight=False)
    zones = Table("zone", "agree", "differ", "not decidable", box=None, pad_edge=False)
    for column in zones.columns[1:]:
        column.justify = "right"
    for zone, counts in sorted(one.by_zone.items(), key=lambda entry: -entry[1][1]):
        zones.add_row(Text(zone), *(f"{count:,}" for count in counts))
    console.print()
    console.print(zones, highlight=False)
    for kind, examples in one.examples.items():
        console.print(Text(f"\n{kind}", "bold"))
        for example in examples:
            grid = Table.grid(padding=(0, 1))
            head = f"{clock(example.at_ms)[11:19]} {example.command} of {example.aggregate_id}"
            grid.add_row("", Text(head, "dim"))
            if example.was != example.would_be:
                grid.add_row("", Text(f"was:   {example.was}"))
                grid.add_row("", Text(f"would: {example.would_be}"))
            console.print(grid, highlight=False)
    console.print()
