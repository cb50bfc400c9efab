"""`baton replay blast-radius`: whom a bug, a version, a flag or a fact reached."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatch.log.errors import Misconfigured
from dispatch.replay_cli import As_json, From, To, at_ms, clock, opened, partitions, settings_now
from dispatch.replay_policy_cli import counting

if TYPE_CHECKING:
    from dispatch.replay.blast import Radius

console = Console()
_SHOWN = 20


def attach(group: typer.Typer) -> typer.Typer:
    """Adds the command; gives the group."""
    group.command("blast-radius")(blast_radius)
    return group


def blast_radius(
    bug: Annotated[str, typer.Option(help="A predicate over a decision, in CEL; `--bug help` lists what it may name.")],
    since: From = "",
    until: To = "",
    as_json: As_json = False,
) -> None:
    """List the deliveries and drivers that went through it: a code path, a version, a flag's variant, a fact."""
    from dispatch.replay.blast import radius
    from dispatch.replay.predicate import NAMES, Predicate
    from dispatch.replay.ranges import Range, steps

    if bug == "help":
        table = Table("name", "what it is", box=None, pad_edge=False)
        for name, words in NAMES.items():
            table.add_row(name, words)
        console.print(table, highlight=False)
        return
    predicate, begin, end = Predicate(bug), at_ms(since), at_ms(until)
    if begin and end and begin >= end:
        raise Misconfigured(f"--from {since} is not before --to {until}")
    missed: dict[str, int] = {}

    def passed_over(reason: str) -> None:
        missed[reason] = missed.get(reason, 0) + 1

    with opened(settings_now()) as log, counting(quiet=as_json) as told:
        found = radius(told(steps(log, Range(partitions(log, -1), begin, end), passed_over)), predicate, bug)
    found.passed_over = missed
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _say(found)


def _say(found: "Radius") -> None:
    console.print(Text(found.predicate, "bold"))
    console.print(f"{found.decisions:,} of {found.looked_at:,} decisions, {found.deliveries:,} deliveries, "
                  f"{found.drivers:,} drivers", highlight=False)  # fmt: skip
    for counts in (found.passed_over, found.unjudged):
        for reason, count in counts.items():
            console.print(Text(f"{count:,} not looked at: {reason}", "yellow"))
    if not found.decisions:
        return
    console.print(f"from {clock(found.first_ms)} to {clock(found.last_ms)} UTC", highlight=False)
    _say_hours(found)
    split = Table.grid(padding=(0, 2))
    named = (
        ("command", found.by_command),
        ("zone", found.by_zone),
        ("policy", found.by_policy),
        ("code", found.by_code),
    )
    for name, counts in named:
        ranked = sorted(counts.items(), key=lambda one: -one[1])
        more = f", and {len(ranked) - 6} more" if len(ranked) > 6 else ""
        split.add_row(Text(name, "cyan"), Text(", ".join(f"{what} {count:,}" for what, count in ranked[:6]) + more))
    console.print(split, highlight=False)
    table = Table("who", "", "decisions", "first", "last", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for one in found.reached[:_SHOWN]:
        table.add_row(one.aggregate, one.aggregate_id, f"{one.decisions:,}", clock(one.first_ms)[11:19],
                      clock(one.last_ms)[11:19])  # fmt: skip
    console.print()
    console.print(table, highlight=False)
    if len(found.reached) > _SHOWN:
        console.print(f"... and {len(found.reached) - _SHOWN:,} more; --json names them", highlight=False)
    first = found.examples[0]
    console.print(f"`baton replay explain {first.command_id}` explains the first.", style="dim", highlight=False)


def _say_hours(found: "Radius") -> None:
    from projections.sparks import spark

    hours = range(min(found.by_hour), max(found.by_hour) + 1, 3_600_000)
    if len(hours) > 1:
        counts = [float(found.by_hour.get(hour, 0)) for hour in hours]
        console.print(Text(f"by hour {spark(counts, 48)}"))
