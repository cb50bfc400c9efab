"""`baton replay diff`: which decisions another policy, or another version of the code, would have made otherwise."""

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatch.replay_cli import As_json, From, To, at_ms, clock, opened, partitions, settings_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from dispatch.replay.diffing import Diff, Group
    from dispatch.replay.walking import Step

console = Console()
_ZONES, _GROUPS = 12, 20
_TOLD_EVERY = 500
_MS_DIGITS = 13


def attach(group: typer.Typer) -> typer.Typer:
    """Adds the command; gives the group."""
    group.command("diff")(diff)
    return group


def diff(  # noqa: PLR0913 - the options of a command
    policy: Annotated[Path | None, typer.Option(help="Another policy, TOML or JSON.")] = None,
    code: Annotated[str, typer.Option(help="Another version of the code: a git revision of this repository.")] = "",
    since: From = "",
    until: To = "",
    zone: Annotated[str, typer.Option(help="Only decisions about deliveries picked up there.")] = "",
    most: Annotated[int, typer.Option(min=0, help="Look at so many decisions at most; 0: at all.")] = 0,
    fail_above: Annotated[
        float, typer.Option("--fail-above", min=0, max=100, help="Exit code 1 when more than so many percent change.")
    ] = 100,
    as_json: As_json = False,
) -> None:
    """Decide on the recorded facts under another policy or code: what changes, how often, where, and what it means."""
    from dispatch.inputs import policy_file
    from dispatch.log.collector import rest_the_collector
    from dispatch.replay.diffing import Tally, acts_outside, under_policy
    from dispatch.replay.other_code import under_code
    from dispatch.replay.ranges import Range, steps

    if (policy is None) == (not code):
        raise typer.BadParameter("one of them is wanted", param_hint="--policy, --code")
    wanted = policy_file.read(policy).policy if policy is not None else None
    begin, end = at_ms(since), at_ms(until)
    if begin and end and begin >= end:
        raise typer.BadParameter(f"--from {since} is not before --to {until}")
    rest_the_collector()
    tally = Tally()
    with opened(settings_now()) as log, counting(quiet=as_json) as told:
        asked, policies = Range(partitions(log, -1), begin, end), log.policies()
        found: Iterator[Step] = steps(log, asked, tally.passed_over)
        chosen = told(itertools.islice(found, most) if most else found)
        if wanted is not None:
            under_policy(chosen, policies, wanted, tally, zone)
            latest = policies.latest()
            tally.diff.outside = acts_outside(latest, wanted) if latest is not None else ()
        else:
            under_code(chosen, policies, code, tally, zone)
    made = tally.finish()
    if as_json:
        typer.echo(msgspec.json.encode({**msgspec.to_builtins(made), "percent": round(made.percent, 3)}).decode())
    else:
        _say(made, str(policy) if policy is not None else f"code {code}")
    raise typer.Exit(1 if made.percent > fail_above else 0)


@contextmanager
def counting(*, quiet: bool) -> "Iterator[Callable[[Iterator[Step]], Iterator[Step]]]":
    """Passes the steps on, and tells on a terminal how many there were."""
    shown = Console(stderr=True)
    with shown.status("reading") as line:
        if quiet or not sys.stderr.isatty():
            line.stop()

        def counted(found: "Iterator[Step]") -> "Iterator[Step]":
            for number, step in enumerate(found, 1):
                if number % _TOLD_EVERY == 0:
                    line.update(f"{number:,} decisions, at {clock(step.one.decision.now_ms)}")
                yield step

        yield counted


def _say(made: "Diff", what: str) -> None:
    console.print(f"{made.decided:,} decisions decided again under {what}", highlight=False, markup=False)
    style = "green" if not made.changed else "yellow"
    console.print(Text(f"{made.changed:,} would come out otherwise ({made.percent:.2f}%)", style))
    if made.scores_only:
        console.print(f"{made.scores_only:,} more have other scores in the same order", style="dim", highlight=False)
    for reason, count in made.undecidable.items():
        console.print(f"{count:,} not decidable from the record: {reason}", style="yellow", highlight=False)
    for reason, count in made.passed_over.items():
        console.print(f"{count:,} not compared: {reason}", style="yellow", highlight=False)
    if made.outside:
        console.print(Text(f"Not seen here, for no decision looks at it: {', '.join(made.outside)}", "yellow"))
    if made.groups:
        _say_groups(list(made.groups.values()))
        _say_zones(made)
    if made.effects:
        _say_effects(made)
    for group in itertools.islice(made.groups.values(), _GROUPS):
        _say_examples(group)
    console.print(f"\n{made.truth}", style="dim", highlight=False)


def _say_groups(groups: "list[Group]") -> None:
    table = Table("what changes", "decisions", "of", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for group in groups[:_GROUPS]:
        of = ", ".join(f"{name} {count:,}" for name, count in sorted(group.by_command.items(), key=lambda one: -one[1]))
        table.add_row(Text(group.kind), f"{group.decisions:,}", Text(of, "dim"))
    console.print()
    console.print(table, highlight=False)
    if len(groups) > _GROUPS:
        console.print(f"... and {len(groups) - _GROUPS} kinds more; --json has them", highlight=False)


def _say_zones(made: "Diff") -> None:
    table = Table("zone", "decided", "changed", "", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    ranked = sorted(made.by_zone.items(), key=lambda one: -one[1][1])
    for zone, (decided, changed) in ranked[:_ZONES]:
        table.add_row(Text(zone), f"{decided:,}", f"{changed:,}", f"{100 * changed / max(1, decided):.1f}%")
    console.print()
    console.print(table, highlight=False)


def _say_effects(made: "Diff") -> None:
    table = Table("in these decisions", "as it was", "as it would be", "", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    same = [name for name, (old, new) in made.effects.items() if old == new]
    for name, (old, new) in made.effects.items():
        if old == new and len(same) < len(made.effects):
            continue
        changed = f"{100 * (new - old) / abs(old):+.1f}%" if old and new != old else "" if new == old else "new"
        table.add_row(name, figure(old), figure(new), Text(changed, "yellow"))
    console.print()
    console.print(table, highlight=False)
    if 0 < len(same) < len(made.effects):
        console.print(Text(f"the same: {', '.join(same)}", "dim"))


def figure(value: float) -> str:
    """Whole numbers without decimals."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _plain(said: str) -> str:
    """A moment as a time of day."""
    return clock(int(said))[11:] if said.isdigit() and len(said) == _MS_DIGITS else said


def _say_examples(group: "Group") -> None:
    console.print(Text(f"\n{group.kind}", "bold"))
    for one in group.examples:
        grid = Table.grid(padding=(0, 1))
        head = f"{clock(one.at_ms)[11:19]} {one.command} of {one.aggregate_id}, zone {one.zone}"
        grid.add_row("", Text(head, "dim"))
        if one.was != one.would_be:
            grid.add_row("", Text(f"was:   {one.was}"))
            grid.add_row("", Text(f"would: {one.would_be}"))
        for field in one.fields:
            grid.add_row("", Text(f"{field.where} {field.field}: {_plain(field.logged)} -> {_plain(field.again)}"))
        console.print(grid, highlight=False)
