"""`baton projections keep`, `kept`, `drop-old`: for how long the read models keep their rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from dispatch.config import Settings
from dispatch.log.errors import Misconfigured

console = Console()
_settings: Callable[..., Settings]


def attach(projections_app: typer.Typer, settings: Callable[..., Settings]) -> None:
    """Adds the commands to those of the read models. `settings` gives them, with Postgres' address."""
    global _settings
    _settings = settings
    projections_app.command("keep")(keep)
    projections_app.command("kept")(kept)
    projections_app.command("drop-old")(drop_old)


def keep(
    table: Annotated[str, typer.Argument(help="A table that `baton projections kept` names.")],
    how_long: Annotated[str, typer.Argument(metavar="DAYS|forever", help="For so many days, 7 at least.")],
    actor: Annotated[str, typer.Option(help="Who changes it.")],
    reason: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """Set for how long a table is kept. What is older goes with the keeper's next run, within the hour."""
    from projections.keeping import retention

    days = None if how_long == "forever" else _days(how_long)
    with _asking() as dsn:
        now = retention.keep(dsn, table, days, actor, reason)
    console.print(f"{now.table} is kept {_words(now.days)}.", highlight=False)


def kept() -> None:
    """For how long each table is kept, since when and why, and how large it is."""
    from projections.keeping import retention

    with _asking() as dsn:
        rows = retention.kept(dsn)
    table = Table(Column("table", no_wrap=True), "kept", "months", "MB", "set by", "why", box=None)
    for row in rows:
        months = str(row.months) if row.by_month else "-"
        size = f"{row.bytes / 1e6:.1f}"
        table.add_row(row.table, _words(row.days), months, size, escape(row.actor_id), escape(row.reason))
    console.print(table, highlight=False)


def drop_old(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
) -> None:
    """Let old months and rows go now, as the projector does every hour."""
    from projections.keeping import retention

    with _asking() as dsn:
        if dry_run:
            found = retention.old(dsn)
            for month in found.months:
                what = f"stays: {month.held}" if month.held else "would go"
                rows = f"about {month.about_rows} rows, " if month.about_rows else ""  # 0: nobody counted yet
                console.print(f"{month.part} ({rows}{month.bytes / 1e6:.1f} MB) {what}", highlight=False)
            for table, count in found.rows.items():
                console.print(f"{count} rows of {table} would go", highlight=False)
            if not found.months and not found.rows:
                console.print("Nothing is old enough to go.")
            return
        done = retention.drop_old(dsn)
    if done is None:
        raise Misconfigured("a keeper is at it already; `baton projections drop-old --dry-run` tells what is left")
    for part in done.months:
        console.print(f"{part} is gone", highlight=False)
    for table, count in done.rows.items():
        console.print(f"{count} rows of {table} are gone", highlight=False)
    for part, reason in done.held.items():
        console.print(f"{part} stays: {reason}", highlight=False)
    if not (done.months or done.rows or done.held):
        console.print("Nothing was old enough to go.")


def _days(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise typer.BadParameter(f"{text[:40]!r} is no number of days; 400, or forever, is wanted")
    return int(text)


def _words(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"


@contextmanager
def _asking() -> Iterator[str]:
    """Postgres' address; what goes wrong there is one sentence."""
    import psycopg

    from projections.keeping.retention import NotKept

    try:
        yield _settings().postgres
    except NotKept as error:
        raise Misconfigured(str(error)) from error
    except psycopg.OperationalError as error:
        raise Misconfigured(f"Postgres does not answer: {error}") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise Misconfigured(f"only who owns the tables may do that: {error.diag.message_primary}") from error
    except psycopg.Error as error:
        raise Misconfigured(f"Postgres cannot be asked (was `baton setup` run?): {error}") from error
