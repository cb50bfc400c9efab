"""`baton projections`: which read models there are, how far they are, made again from the log, compared with it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from dispatch.config import Settings
from dispatch.log.errors import Misconfigured

if TYPE_CHECKING:
    from projections.rebuild.acts import Verdict, Where
    from projections.runtime import Poison

projections_app = typer.Typer(no_args_is_help=True, help="The tables in Postgres that are folded from the log.")
console = Console()
_settings: Callable[..., Settings]
_require_kafka: Callable[[Settings, str], None]
_SHOWN_COLUMNS = 6
_PERSONAL = ("contacts", "driver_contacts", "tracking_links")
Names = Annotated[list[str] | None, typer.Argument(help="Read models; none: all that can be made again.")]


def attach(
    app: typer.Typer, settings: Callable[..., Settings], require: Callable[[Settings, str], None]
) -> typer.Typer:
    """Adds the commands; gives the group. `require` says in a sentence when Kafka or a topic is not there."""
    global _settings, _require_kafka
    _settings, _require_kafka = settings, require
    app.add_typer(projections_app, name="projections")
    return projections_app


@projections_app.command("list")
def list_() -> None:
    """Every read model: what it is folded from, how it is kept, whether it can be made again."""
    from projections.runtime import chosen

    table = Table(Column("read model", no_wrap=True), "from", "months", "made again", box=None)
    for name in chosen.TABLES:
        found = chosen.with_what_they_need([name])
        why_not = chosen.why_not_again(name)
        table.add_row(
            name,
            ", ".join(topic.name for topic in found.topics),
            chosen.month_of(name),
            f"no: {why_not}" if why_not else "yes",
        )
    console.print(table)


@projections_app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """How far each topic is folded, behind its end in Kafka. Exit code 1 when something is more than 1,000 behind."""
    from projections.rebuild.status import standing

    with _mistakes():
        rows = standing(_where())
    if as_json:
        console.print_json(json.dumps([row.told() for row in rows]))
    else:
        table = Table("topic", "partitions", "folded to", "end in Kafka", "behind", "last batch", box=None)
        for row in rows:
            ago = f"{row.seconds_ago:.0f} s ago" if row.seconds_ago is not None else "never"
            table.add_row(
                row.topic, str(row.partitions), f"{row.folded:,}", f"{row.end:,}", f"{row.behind:,}", ago
            )  # fmt: skip
        console.print(table)
        console.print("Offsets count the markers of transactions, too: a few behind is none.")
    raise typer.Exit(1 if any(row.behind > 1_000 for row in rows) else 0)


@projections_app.command()
def rebuild(names: Names = None) -> None:
    """Fold the log again into new tables, beside those in use, and put them in place in one moment."""
    from projections.rebuild import acts

    with _mistakes(), _progress() as (told, said):
        wanted = names or _all()
        began = time.monotonic()
        made, poison = acts.rebuild(_where(), wanted, told, said)
    table = Table("read model", "rows before", "rows now", "hash now", "", box=None)
    for one in made:
        word = "as it was" if one.before == one.after else "changed"
        table.add_row(one.table, f"{one.before.rows:,}", f"{one.after.rows:,}", str(one.after), word)
    console.print(table)
    _left_out(poison)
    console.print(f"In place after {time.monotonic() - began:.1f} s.")


@projections_app.command()
def verify(names: Names = None, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Fold the log again and compare with the tables in use, row by row. Exit code 1 when something differs."""
    from projections.rebuild import acts

    with _mistakes(), _progress() as (told, said):
        verdicts, poison = acts.verify(_where(), names or _all(), told, said)
    if as_json:
        console.print_json(json.dumps([_told(verdict) for verdict in verdicts], default=str))
    else:
        table = Table("read model", "rows", "hash", "hash of the fold", "differ", box=None)
        for one in verdicts:
            table.add_row(one.table, f"{one.used.rows:,}", str(one.used), str(one.folded), f"{one.differing:,}")
        console.print(table)
        for one in verdicts:
            _differing(one)
        _left_out(poison)
    raise typer.Exit(1 if any(one.differing for one in verdicts) else 0)


def _differing(verdict: "Verdict") -> None:
    for one in verdict.shown:
        key = ", ".join(one.key)
        if one.only:
            where = "is not in the log" if one.only == "table" else "is missing in the table"
            console.print(f"{verdict.table} {key}: {where}", highlight=False, markup=False)
            continue
        columns = [(name, *_shown(verdict.table, used, made)) for name, (used, made) in one.columns.items()]
        text = "; ".join(f"{name} is {used}, the log says {made}" for name, used, made in columns[:_SHOWN_COLUMNS])
        more = f"; and {len(columns) - _SHOWN_COLUMNS} columns more" if len(columns) > _SHOWN_COLUMNS else ""
        console.print(f"{verdict.table} {key}: {text}{more}", highlight=False, markup=False)
    if verdict.differing > len(verdict.shown):
        console.print(f"... and {verdict.differing - len(verdict.shown):,} rows of {verdict.table} more")


def _shown(table: str, used: object, made: object) -> tuple[str, str]:
    """What differs; of personal data only that it does."""
    return ("one thing", "another") if table in _PERSONAL else (str(used), str(made))


def _told(verdict: "Verdict") -> dict[str, Any]:
    shown = []
    for one in verdict.shown:
        columns = {name: _shown(verdict.table, used, made) for name, (used, made) in one.columns.items()}
        told = {name: {"table": used, "log": made} for name, (used, made) in columns.items()}
        shown.append({"key": one.key, "only": one.only or None, "columns": told})
    return {
        "read_model": verdict.table, "rows": verdict.used.rows, "hash": str(verdict.used),
        "hash_of_the_fold": str(verdict.folded), "differing": verdict.differing, "shown": shown,
    }  # fmt: skip


def _left_out(poison: "list[Poison]") -> None:
    for one in poison[:5]:
        record = one.record
        console.print(f"Left out: {record.topic} {record.partition} {record.offset}: {one.reason}", markup=False)
    if len(poison) > 5:
        console.print(f"... and {len(poison) - 5:,} records more")


def _all() -> list[str]:
    from projections.runtime import chosen

    return [name for name in chosen.TABLES if not chosen.why_not_again(name)]


def _where() -> "Where":
    from dispatch.contract import topics
    from projections.rebuild.acts import Where

    settings = _settings()
    _require_kafka(settings, topics.DELIVERY_EVENTS.name)
    return Where(settings.kafka, settings.postgres, settings.namespace)


@contextmanager
def _mistakes() -> Iterator[None]:
    """What the user can put right is told in one sentence."""
    import psycopg

    from projections.rebuild.acts import Refused

    try:
        yield
    except Refused as refused:
        raise Misconfigured(str(refused)) from refused
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        said = error.diag.message_primary or str(error)
        raise Misconfigured(f"Postgres does not do it (has `baton setup` run?): {said}") from error


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """Records folded, and in words what is being done. On standard error, so that the result can be piped."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield (
            lambda count: progress.advance(task, count),
            lambda text: progress.update(task, description=text),
        )
