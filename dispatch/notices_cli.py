"""`baton tickets` and `baton notices`: what waits for people, and what became of what was told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dispatch.config import Settings
from dispatch.log.errors import Misconfigured

tickets_app = typer.Typer(no_args_is_help=True, help="Support tickets: one for each delivery that found no driver.")
notices_app = typer.Typer(no_args_is_help=True, help="What customers, drivers, operations and support were told.")
console = Console()
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")]
_reach: Callable[[], Settings]


def attach(app: typer.Typer, reach: Callable[[], Settings]) -> None:
    """Adds both to the command line."""
    global _reach
    _reach = reach
    app.add_typer(tickets_app, name="tickets")
    app.add_typer(notices_app, name="notices")


@tickets_app.command("list")
def list_tickets(
    closed_too: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False, limit: Limit = 100
) -> None:
    """Print the open tickets, the oldest first."""
    from dispatch.notices.reading import open_tickets

    with _asking() as dsn:
        rows = open_tickets(dsn, closed_too=closed_too, limit=limit)
    if not rows:
        console.print("No ticket is open." if not closed_too else "There are no tickets.")
        return
    table = Table("ticket", "opened (UTC)", "order", "zone", "why", "closed", box=None)
    for row in rows:
        order = f"{row['seller_id']}/{row['seller_order_id']}" if row["seller_id"] else str(row["delivery_id"])
        closed = (
            f"{row['closed_at']:%Y-%m-%d %H:%M} by {row['closed_by']}: {row['closed_why']}" if row["closed_at"] else ""
        )
        cells = (
            str(row["ticket_id"]),
            f"{row['opened_at']:%Y-%m-%d %H:%M}",
            order,
            row["zone"] or "",
            row["why"],
            closed,
        )
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)


@tickets_app.command("close")
def close_ticket(
    ticket: Annotated[str, typer.Argument(help="The ticket's id, or the delivery's.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the ticket.")] = "closed by hand",
    actor: Annotated[str, typer.Option(help="Who; by default the user of this terminal.")] = "",
) -> None:
    """Close an open ticket."""
    from dispatch.notices.reading import close_ticket as close
    from dispatch.notices.reading import whoever_this_is

    with _asking() as dsn:
        done = close(dsn, _an_id(ticket), actor or whoever_this_is(), reason[:200])
    if not done:
        raise Misconfigured(f"no open ticket {ticket} is known; `baton tickets list` shows those that are open")
    console.print("Closed.")


@notices_app.command("list")
def list_notices(
    state: Annotated[str, typer.Option(help="pending, claimed, sent, dropped, unknown or dead; empty: all.")] = "",
    delivery: Annotated[str, typer.Option(help="Of this delivery only.")] = "",
    limit: Limit = 50,
) -> None:
    """Print what became of notices, the newest first."""
    from dispatch.notices.reading import STATES, notices

    if state and state not in STATES:
        raise Misconfigured(f"{state[:40]!r} is no state of a notice; known are {', '.join(STATES)}")
    with _asking() as dsn:
        rows = notices(dsn, state, _an_id(delivery), limit)
    if not rows:
        console.print("There are none.")
        return
    table = Table("notice", "at (UTC)", "for", "kind", "channel", "state", "tries", "why", box=None)
    for row in rows:
        cells = (str(row["notice_id"]), f"{row['at']:%Y-%m-%d %H:%M:%S}", row["audience"], row["kind"], row["channel"],
                 row["state"], str(row["attempts"]), row["reason"])  # fmt: skip
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)


@notices_app.command("again")
def send_again(notice_id: Annotated[str, typer.Argument(help="A notice that is dead or unknown.")]) -> None:
    """Send a notice again that was given up, or of which nobody knows whether it arrived."""
    from dispatch.notices.reading import send_again as again

    with _asking() as dsn:
        count = again(dsn, _an_id(notice_id))
    if not count:
        raise Misconfigured(f"no notice {notice_id} is dead or unknown; `baton notices list --state dead` shows those")
    console.print(f"{count} sendings are due again.")


def _an_id(text: str) -> str:
    if not text.isprintable() or len(text) > 200:
        raise Misconfigured(f"{text[:60]!r} is no id, which has at most 200 printable characters")
    return text


@contextmanager
def _asking() -> Iterator[str]:
    """Postgres' address; what goes wrong there is one sentence."""
    import psycopg

    try:
        yield _reach().postgres
    except psycopg.OperationalError as error:
        raise Misconfigured(f"Postgres does not answer: {error}") from error
    except psycopg.Error as error:
        raise Misconfigured(f"Postgres cannot be asked (was `baton setup` run?): {error}") from error
