"""What the lists take: words, times, limits; and how a page is told."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateways.commands import json
from gateways.problems import Problem
from projections.queries_paging import Filter

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_IDENTIFIER = r"^[A-Za-z0-9_.:@|-]+$"


def _utc(moment: datetime) -> datetime:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError("a time from 2000 on and before 2100 is wanted")
    return moment


Moment = Annotated[datetime, AfterValidator(_utc)]
Word = Annotated[str, Field(min_length=1, max_length=128, pattern=_IDENTIFIER)]
Limit = Annotated[int, Field(ge=1, le=1000, description="Rows at most.")]


class Asking(BaseModel):
    """Unknown parameters are mistakes: a filter with a slip would give everything."""

    model_config = ConfigDict(extra="forbid")


class Listing(Asking):
    """The parameters of every list."""

    cursor: str | None = Field(None, description="`next_cursor` of the page before, with the same filters.")
    limit: Limit = 100


class Span(Asking):
    """A time."""

    since: Moment | None = Field(None, alias="from", description="From this moment on; without a zone: UTC.")
    until: Moment | None = Field(None, alias="to", description="Before this moment; without a zone: UTC.")


class Ranged(Listing, Span):
    """A list of what was within a time."""


def within(name: str, since: datetime | None, until: datetime | None) -> list[Filter]:
    """The filters of a time range. Raises Problem for one that ends before it begins."""
    if since is not None and until is not None and since >= until:
        raise Problem(422, "bad_range", "`from` must be before `to`.")
    made: list[Filter] = []
    if since is not None:
        made.append((f"{name} >= %s", since))
    if until is not None:
        made.append((f"{name} < %s", until))
    return made


def same(**columns: Any) -> list[Filter]:
    """A filter for each column that is asked for; `__` stands for the point of a table's name."""
    return [(f"{name.replace('__', '.')} = %s", value) for name, value in columns.items() if value is not None]


def question(name: str, filters: list[Filter]) -> str:
    """What a cursor belongs to: the list and its filters."""
    return "\n".join([name, *(f"{condition} {value!r}" for condition, value in filters)])


def told(name: str, rows: list[dict[str, Any]], cursor: str | None) -> Response:
    """A page as JSON."""
    return json({name: rows, "next_cursor": cursor})


def money(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """The row with amounts in `currency` as money: `earning_minor` becomes `earning`."""
    rest = {name: value for name, value in row.items() if name not in names and name != "currency"}
    for name in names:
        amount = row[name]
        rest[name.removesuffix("_minor")] = (
            None if amount is None else {"amount_minor": amount, "currency": row["currency"]}
        )
    return rest
