"""`baton report`: whether the business has what it wants of Baton, how it went over time, and what stands out."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatch.config import Settings
from dispatch.export_cli import period
from dispatch.log.errors import Misconfigured

if TYPE_CHECKING:
    from projections.report import Report

console = Console()
_settings: Callable[[], Settings]
_MARKS = {"met": ("✓", "green"), "missed": ("✗", "red"), "soft": ("·", "dim")}
_SPARK = 26


def attach(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Adds the command."""
    global _settings
    _settings = settings
    app.command("report")(report)


def report(
    since: Annotated[str, typer.Option(help="From then on, UTC; else the last 7 days.")] = "",
    until: Annotated[str, typer.Option(help="Before then, UTC; else now.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page with plots into this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    speed: Annotated[float, typer.Option(min=0.1, max=1000, help="The city lives so many times as fast.")] = 1,
) -> None:
    """Tell how deliveries went: the criteria of the business, figures over time, what stands out."""
    import psycopg

    from projections.report import gathered

    begin, end = period(since, until)
    if html is not None and not html.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {html.parent}")
    try:
        found = gathered(_settings().postgres, begin, end, speed)
    except psycopg.OperationalError as error:
        raise Misconfigured(f"Postgres does not answer: {error}") from error
    except psycopg.Error as error:
        raise Misconfigured(f"Postgres cannot be asked (was `baton setup` run?): {error}") from error
    if as_json:
        typer.echo(orjson.dumps(found.as_json(), default=str).decode())
    else:
        _show(found)
    if html is not None:
        _write(html, found)
        if not as_json:
            console.print(f"The page with plots: {html}", highlight=False, soft_wrap=True)


def _write(path: Path, found: "Report") -> None:
    from projections.report_page import page

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(page(found), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _show(found: "Report") -> None:
    from projections.report import criterion, step_words, verdict
    from projections.sparks import spark

    console.print(f"Baton, {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC", style="bold",
                  highlight=False)  # fmt: skip
    console.print(found.about(), highlight=False)
    if not found.deliveries:
        return
    table = Table("", "what the business wants", "seen", "wanted", "rests on", box=None, pad_edge=False)
    for row in found.criteria:
        mark, style = _MARKS[verdict(row)[1]]
        name, seen, rests = criterion(row)
        table.add_row(Text(mark, style), name, seen, row["wanted"] or "-", Text(rests, "dim"))
    console.print()
    console.print(table, highlight=False)
    figures = Table("over time", f"a step is {step_words(found.step)}", "", box=None, pad_edge=False)
    for one in found.series:
        figures.add_row(one.name, Text(spark(one.values, _SPARK), no_wrap=True), Text(one.whole, "dim"))
    console.print()
    console.print(figures, highlight=False)
    if found.sentences:
        console.print("\nWhat stands out", style="bold")
    for sentence in found.sentences:
        shown = Table.grid(padding=(0, 1))
        shown.add_row("-", Text(sentence))
        console.print(shown)
