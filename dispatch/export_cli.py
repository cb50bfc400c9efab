"""`baton export`: analysts' views and tables as Parquet or CSV."""

import difflib
import errno
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from dispatch.config import Settings
from dispatch.log.errors import Misconfigured

console = Console()
_settings: Callable[[], Settings]


def attach(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Adds the command."""
    global _settings
    _settings = settings
    app.command("export")(export)


def moment(text: str) -> datetime | None:
    """A time as people write it, in UTC unless it says otherwise; None for nothing."""
    if not text:
        return None
    try:
        seen = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; 2026-11-21 or 2026-11-21T18:00 is wanted, in UTC") from error
    return seen if seen.tzinfo else seen.replace(tzinfo=UTC)


def period(since: str, until: str) -> tuple[datetime | None, datetime | None]:
    """Both ends, the first before the second."""
    begin, end = moment(since), moment(until)
    if begin and end and begin >= end:
        raise typer.BadParameter(f"--since {since} is not before --until {until}")
    return begin, end


def export(
    what: Annotated[list[str] | None, typer.Argument(help="Names of views or tables; none: what there is.")] = None,
    since: Annotated[str, typer.Option(help="From then on, UTC.")] = "",
    until: Annotated[str, typer.Option(help="Before then, UTC.")] = "",
    form: Annotated[Literal["parquet", "csv"], typer.Option("--format", help="Of the files.")] = "parquet",
    out: Annotated[Path, typer.Option(help="A file, or a folder that is there.")] = Path(),
) -> None:
    """Write views and tables of analysts as files; several are of one and the same moment."""
    import psycopg

    from projections import export as exports

    known = exports.sources()
    if not what:
        _list(known.values())
        return
    begin, end = period(since, until)
    for name in what:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; is {near[0]} meant?" if near else ""
            raise typer.BadParameter(f"{name[:60]!r} is not exported{hint} `baton export` lists what is")
    if form == "parquet" and not exports.can_write_parquet():
        raise Misconfigured("Parquet needs the extra `analytics` (baton-dispatch[analytics]); --format csv does not")
    places = _places(what, form, out)
    try:
        with exports.snapshot(_settings().postgres) as connection, console.status("exporting") as line:
            for name, path in zip(what, places, strict=True):
                rows = exports.export(
                    connection, known[name], path, form, (begin, end),
                    lambda count, name=name: line.update(f"{name}: {count:,} rows"),  # type: ignore[misc]
                )  # fmt: skip
                console.print(f"{path}: {rows:,} rows, {path.stat().st_size:,} bytes", highlight=False, soft_wrap=True)
    except exports.NotExported as error:
        raise typer.BadParameter(str(error)) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise Misconfigured(
            f"this role of Postgres may not read that; analysts' may read the views: {error}"
        ) from error
    except psycopg.OperationalError as error:
        raise Misconfigured(f"Postgres does not answer: {error}") from error
    except psycopg.Error as error:
        raise Misconfigured(f"Postgres cannot be asked (was `baton setup` run?): {error}") from error
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise Misconfigured(f"{places[0].parent} cannot be written to: {why}") from error


def _places(what: list[str], form: str, out: Path) -> list[Path]:
    if out.is_dir():
        return [out / f"{name}.{form}" for name in what]
    if len(what) > 1:
        raise typer.BadParameter(f"several are written into a folder, and {out} is none")
    if not out.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.parent}")
    return [out]


def _list(known: "object") -> None:
    table = Table("name", "what", "time", box=None)
    for source in known:  # type: ignore[attr-defined]
        table.add_row(source.name, source.about, source.time or "now")
    console.print(table)
