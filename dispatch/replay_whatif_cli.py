"""`baton replay what-if`: the recorded orders and drivers through the simulation, under another policy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatch.log.errors import Misconfigured
from dispatch.replay_cli import As_json, From, To, at_ms, clock, opened, partitions, settings_now
from dispatch.replay_policy_cli import counting, figure

if TYPE_CHECKING:
    from dispatch.replay.whatif import Left, WhatIf

console = Console()


def attach(group: typer.Typer) -> typer.Typer:
    """Adds the command; gives the group."""
    group.command("what-if")(what_if)
    return group


def what_if(
    policy: Annotated[Path, typer.Option(help="Another policy, TOML or JSON.")],
    since: From = "",
    until: To = "",
    most: Annotated[int, typer.Option(min=1, max=5_000, help="So many orders at most.")] = 300,
    as_json: As_json = False,
) -> None:
    """Let the recorded orders and drivers live again under another policy: an estimate, beside one of what was."""
    from dispatch.inputs import policy_file
    from dispatch.log.collector import rest_the_collector
    from dispatch.replay.cast import cast
    from dispatch.replay.ranges import Range, steps
    from dispatch.replay.whatif import what_if as live

    wanted, begin, end = policy_file.read(policy).policy, at_ms(since), at_ms(until)
    if begin and end and begin >= end:
        raise Misconfigured(f"--from {since} is not before --to {until}")
    rest_the_collector()
    with opened(settings_now()) as log, counting(quiet=as_json) as told:
        policies = log.policies()
        people = cast(told(steps(log, Range(partitions(log, -1), 0, end), lambda _reason: None)), begin, most)
    if not people.orders:
        raise Misconfigured("no order began in that time")
    was = policies.of(people.policy_version, "", people.last_ms)
    if was is None:
        raise Misconfigured(f"policy {people.policy_version} is not on record")
    with console.status("living it again, twice"):
        found = live(people, was, wanted)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _say(found, str(policy))


def _say(found: "WhatIf", name: str) -> None:
    since = f" from {clock(found.from_ms)} UTC" if found.from_ms else ""
    console.print(Text(f"What if {name}{since}", "bold"))
    console.print(f"{found.orders:,} orders, {found.drivers:,} drivers", highlight=False)
    if found.by_hand:
        console.print(f"{found.by_hand:,} interventions by hand are left out", style="yellow", highlight=False)
    table = Table("", "recorded", "simulated", "would be", "", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for words, (recorded, was, would) in found.figures.items():
        changed = f"{100 * (would - was) / abs(was):+.1f}%" if was and would != was else ""
        table.add_row(words, figure(recorded), figure(was), figure(would), Text(changed, "yellow"))
    console.print()
    console.print(table, highlight=False)
    console.print()
    _say_left("simulated", found.was)
    _say_left("would be", found.would)
    for wrong in found.problems:
        console.print(Text(f"The simulation itself: {wrong}", "red"))
    console.print(f"\n{found.truth}", style="dim", highlight=False)


def _say_left(column: str, left: "Left") -> None:
    if not left.first_off_ms:
        console.print(f"{column}: on the record to its end", highlight=False)
        return
    console.print(
        f"{column}: left the record at {clock(left.first_off_ms)[11:19]}; {left.answers_off:,} of {left.answers:,} "
        f"answers and {left.carries_off:,} of {left.carries:,} ways are not on it",
        highlight=False,
    )
