"""`baton replay show`, `timeline`, `explain`: one delivery, at a moment, over time, and why."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatch.audit_cli import signer_of
from dispatch.log.errors import Misconfigured
from dispatch.replay_cli import As_json, at_ms, clock, delivery_id, opened, settings_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatch.replay.explaining import Explained
    from dispatch.replay.history import Entry, History
    from dispatch.replay.moment import Moment
    from dispatch.replay.policies import Policies
    from dispatch.replay.ranking_words import Ranked

console = Console()
_PARTS = ("travel", "rating", "driver_score", "fairness", "load", "zone", "acceptance", "exploration")
_WIDTHS = 6
_LONGEST_REASON = 500
Which = Annotated[str, typer.Argument(metavar="DELIVERY", help="A delivery's id, or SELLER/ORDER.")]


def attach(group: typer.Typer) -> typer.Typer:
    """Adds the commands; gives the group."""
    group.command("show")(show)
    group.command("timeline")(timeline)
    group.command("explain")(explain)
    group.command("export")(export)
    return group


def show(
    delivery: Which,
    at: Annotated[str, typer.Option(help="The moment, UTC (2026-11-21T18:04:05.250), or so long ago (90s); else now.")]
    = "",
    bundle: Annotated[str, typer.Option(help="From an incident bundle instead of Kafka.")] = "",
    as_json: As_json = False,
) -> None:  # fmt: skip
    """Show a delivery as it was at a moment: state, open offer, timers, candidates, and what each party could see."""
    from dispatch.replay.moment import at as seen_at

    known, _ = _known(delivery, bundle)
    found = seen_at(known, at_ms(at) if at else max(event.at_ms for event in known.events))
    if found is None:
        raise Misconfigured(f"nothing was known of delivery {delivery} at {at}; its first event came "
                            f"{clock(known.events[0].at_ms)}")  # fmt: skip
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _say_moment(found, given=bool(at))
    _say_unread(known)


def timeline(
    delivery: Which,
    bundle: Annotated[str, typer.Option(help="From an incident bundle instead of Kafka.")] = "",
    as_json: As_json = False,
) -> None:
    """List every decision of a delivery: when, what caused it, what came of it, under which policy."""
    known, _ = _known(delivery, bundle)
    if as_json:
        typer.echo(json.dumps([_row(entry) for entry in known.entries]))
    else:
        _say_timeline(known)
    _say_unread(known)


def explain(
    decision: Annotated[
        str, typer.Argument(help="DELIVERY@TIME (the last until then), DELIVERY@vN, or a command's id.")
    ],
    bundle: Annotated[str, typer.Option(help="From an incident bundle instead of Kafka.")] = "",
    as_json: As_json = False,
) -> None:
    """Explain one decision: which rule, on which facts, and why one driver was before another."""
    from dispatch.replay.explaining import explained

    entry, policies = _entry(decision, bundle)
    found = explained(entry, policies)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _say_explained(found)


def export(
    delivery: Which,
    out: Annotated[Path, typer.Option(help="The file to write; it must not be there yet.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the bundle.")],
    actor: Annotated[str, typer.Option(help="Who; by default the user of this terminal.")] = "",
) -> None:
    """Write an incident bundle: all that the decisions rested on, signed, without contacts, to be replayed anywhere."""
    from dispatch.inputs import rulebook
    from dispatch.replay.bundle import made

    if not reason.strip() or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise typer.BadParameter(f"1 to {_LONGEST_REASON} printable characters are wanted", param_hint="--reason")
    if out.exists():
        raise typer.BadParameter(f"{out} is there already", param_hint="--out")
    signer = signer_of(settings_now())
    known, policies = _known(delivery, "")
    who = (rulebook.now_ms(), actor or rulebook.whoever_this_is(), reason)
    about, content = made(known, policies, who, signer)
    try:
        with out.open("xb") as stream:
            stream.write(content)
    except OSError as error:
        raise Misconfigured(f"{out} cannot be written: {error.strerror}") from error
    told = f"{about.decisions} decisions and {about.events} events of delivery {about.aggregate_id} in {out}"
    console.print(told, highlight=False, soft_wrap=True)
    cut = ", ".join(f"{name} ({count})" for name, count in sorted(about.cut.items()))
    console.print(f"Cut out: {cut or 'nothing was there to cut'}", highlight=False)


def _known(delivery: str, bundle: str) -> "tuple[History, Policies]":
    """From Kafka, or from a bundle. Raises Misconfigured for a delivery of which nothing is known."""
    from dispatch.replay.history import history_of

    if bundle:
        from dispatch.replay.bundle import opened_file

        found = opened_file(bundle)
        known, policies = found.known, found.policies
    else:
        with opened(settings_now()) as log:
            known, policies = history_of(log, "delivery", delivery_id(delivery)), log.policies()
    if not known.events or (bundle and known.aggregate_id != delivery_id(delivery)):
        raise Misconfigured(f"no delivery {delivery} is known")
    return known, policies


def _entry(asked: str, bundle: str) -> "tuple[Entry, Policies]":
    name, at, when = asked.rpartition("@")
    if not at:
        return _by_command(asked, bundle)
    known, policies = _known(name, bundle)
    if when.startswith("v") and when[1:].isdigit():
        wanted = int(when[1:])
        made = [entry for entry in known.entries if any(event.version == wanted for event in entry.events)]
        found = made[0] if made else None
    else:
        found = known.decision_at(at_ms(when))
    if found is None:
        raise Misconfigured(f"no decision about delivery {name} at {when} is on record")
    return found, policies


def _by_command(command_id: str, bundle: str) -> "tuple[Entry, Policies]":
    from dispatch.replay.finding import by_command

    if bundle:
        from dispatch.replay.bundle import opened_file

        read = opened_file(bundle)
        found, policies = read.known.decision(command_id), read.policies
    else:
        with opened(settings_now()) as log:
            found, policies = by_command(log, command_id), log.policies()
    if found is None:
        raise Misconfigured(f"no decision about a command {command_id[:60]} is on record; DELIVERY@TIME finds one too")
    return found, policies


def _row(entry: "Entry") -> dict[str, Any]:
    decision = entry.one.decision
    return {
        "at_ms": decision.now_ms, "command": type(entry.one.command).__name__, "command_id": decision.command_id,
        "actor": f"{entry.one.command.actor_type} {entry.one.command.actor_id}", "outcome": decision.outcome,
        "reason": decision.reason, "version_before": decision.version_before,
        "policy_version": decision.policy_version, "policy_zone": decision.policy_zone,
        "code_version": decision.code_version, "place": str(entry.one.place),
        "events": [{"event": type(event).__name__, "version": event.version, "at_ms": event.at_ms}
                   for event in entry.events],
    }  # fmt: skip


def _say_timeline(known: "History") -> None:
    from projections.story import tell

    first, last = known.entries[0].one.decision, known.entries[-1].one.decision
    console.print(f"Delivery {known.aggregate_id}, {clock(first.now_ms)[:10]}, times in UTC", highlight=False)
    policy = None
    for entry in known.entries:
        decision, command = entry.one.decision, entry.one.command
        if decision.policy_version != policy:
            policy = decision.policy_version
            console.print(f"[dim]policy {policy}, code {decision.code_version}[/]", highlight=False)
        by = f"{command.actor_type} {command.actor_id}".replace("_", " ")
        timer = f" {command.timer}" if hasattr(command, "timer") else ""
        outcome = "" if decision.outcome == "accepted" else f" - {decision.outcome} {decision.reason}".rstrip()
        line = Text(clock(decision.now_ms)[11:], "cyan")
        line.append(f" {type(command).__name__}{timer}", "bold").append(f" by {by}", "dim").append(outcome, "yellow")
        console.print(line, soft_wrap=True)
        for event in entry.events:
            grid = Table.grid(padding=(0, 1))
            words = "\n".join(sentence for _, sentence in tell([event])) if known.kind == "delivery" else ""
            grid.add_row(Text(f"{'':11}{event.version:>3}", "dim"), Text(words or type(event).__name__))
            console.print(grid, highlight=False)
    taken = (last.now_ms - first.now_ms) / 1000
    console.print(f"{len(known.entries)} decisions, {len(known.events)} events in {taken:,.1f} s", highlight=False)


def _say_moment(found: "Moment", *, given: bool) -> None:
    when = f"at {clock(found.at_ms)} UTC" if given else "as it is now"
    console.print(f"Delivery {found.delivery_id} {when}", style="bold", highlight=False, soft_wrap=True)
    facts = ", ".join(f"{name} {value}" for name, value in _readable(found.facts).items())
    grid = Table.grid(padding=(0, 2))
    grid.add_row("status", f"{found.status} since {clock(found.since_ms)[11:]}, version {found.version}")
    grid.add_row("phase", Text(found.phase + (f": {facts}" if facts else "")))
    timers = ", ".join(f"{kind} at {_at(due, found.at_ms, given=given)}" for kind, due, _ in found.timers)
    grid.add_row("timers", timers or "none")
    if found.former:
        grid.add_row("former", Text(", ".join(found.former)))
    if found.level or found.attempt_count or found.needs_manual_review:
        review = ", needs manual review" if found.needs_manual_review else ""
        grid.add_row("trouble", f"level {found.level}, {found.attempt_count} reassignments{review}")
    console.print(grid, highlight=False)
    if found.candidates:
        console.print(f"\nCandidates of search {found.search_no}, {clock(found.searched_ms)[11:]}", style="bold",
                      highlight=False)  # fmt: skip
        _say_candidates(found.candidates)
    console.print("\nWho could see what", style="bold")
    sights = Table.grid(padding=(0, 2))
    for sight in found.sights:
        sights.add_row(Text(sight.party, "cyan"), Text("\n".join(sight.sees)))
    console.print(sights, highlight=False)


def _say_candidates(candidates: "Sequence[Ranked]") -> None:
    parts = [name for name in _PARTS if any(name in seen.parts for seen in candidates)]
    table = Table("", "driver", "km", "score", *(name.replace("_", " ") for name in parts[:_WIDTHS]), "", box=None,
                  pad_edge=False)  # fmt: skip
    for column in table.columns[2 : 4 + len(parts)]:
        column.justify = "right"
    for seen in candidates:
        minutes = [f"{seen.parts[name]:+.2f}" if name in seen.parts else "" for name in parts[:_WIDTHS]]
        excluded = Text(seen.excluded.replace("_", " "), "yellow")
        table.add_row(
            str(seen.place),
            seen.driver_id,
            f"{seen.distance_m / 1000:.1f}",
            f"{seen.score_min:.2f}",
            *minutes,
            excluded,
        )
    console.print(table, highlight=False)


def _say_explained(found: "Explained") -> None:
    head = f"{found.command} of {found.aggregate} {found.aggregate_id}"
    console.print(head, style="bold", markup=False, highlight=False, soft_wrap=True)
    late = f", decided {found.late_ms / 1000:.1f} s later" if found.late_ms >= 1_000 else ""
    grid = Table.grid(padding=(0, 2))
    grid.add_row("when", f"{clock(found.now_ms)} UTC{late}")
    grid.add_row("who", Text(found.actor.replace("_", " ")))
    if said := ", ".join(f"{name} {value}" for name, value in _readable(found.said).items()):
        grid.add_row("said", Text(said))
    grid.add_row("rule", Text.assemble((found.rule.removeprefix("dispatch.core."), "cyan"), f": {found.rule_words}"))
    grid.add_row("state", f"{found.phase_before} -> {found.phase_after}")
    outcome = found.outcome + (f" {found.reason}: {found.detail}" if found.reason else "")
    grid.add_row("outcome", Text(outcome + (f": {', '.join(found.events)}" if found.events else "")))
    zone = f", as in zone {found.policy_zone}" if found.policy_zone else ""
    grid.add_row("policy", Text(f"{found.policy_version}{zone}, {found.policy_words}"))
    if found.policy_differs:
        more = len(found.policy_differs) - 5
        grid.add_row("", Text(", ".join(found.policy_differs[:5]) + (f", and {more} more" if more > 0 else ""), "dim"))
    if found.flags:
        grid.add_row("flags", Text(", ".join(found.flags)))
    for fact in found.facts:
        grid.add_row("fact", Text(fact))
    grid.add_row("again", "the same" if found.same_again else Text("otherwise; `baton replay verify` says how", "red"))
    grid.add_row("record", Text(f"{found.place}, command {found.command_id}", "dim"))
    console.print(grid, highlight=False)
    if found.candidates:
        console.print()
        _say_candidates(found.candidates)
    for sentence in found.why:
        line = Table.grid(padding=(0, 1))
        line.add_row("-", Text(sentence))
        console.print(line, highlight=False)


def _readable(facts: dict[str, Any]) -> dict[str, str]:
    """Moments as times, ids of offers short, the rest as it is."""
    said = {}
    for name, value in facts.items():
        if name.endswith("_ms") and isinstance(value, int) and value > 10**11:
            said[name.removesuffix("_ms").replace("_", " ")] = clock(value)[11:]
        elif name == "order" and isinstance(value, dict):
            said["order"] = f"{value['seller_order_id']} of {value['seller_id']} ({value['store_name']})"
        elif value not in ("", 0, None):
            said[name.replace("_", " ")] = str(value)
    return said


def _at(due_ms: int, at_ms: int, *, given: bool) -> str:
    left = (due_ms - at_ms) / 1000
    return f"{clock(due_ms)[11:]}" + (f" (in {left:,.1f} s)" if given and left >= 0 else "")


def _say_unread(known: "History") -> None:
    for sentence in known.unread:
        typer.echo(f"not read: {sentence}", err=True)
